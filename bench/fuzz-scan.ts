// Fuzzes the body scanner and editor against JSON.parse: `node bench/fuzz-scan.ts [seconds]`.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { scanTop } from '../src/openai/scan.ts'
import { BodyError } from '../src/openai/skip.ts'
import { editBody } from '../src/openai/spans.ts'
import { decode, encode, membersOf, rawObject, rawValue } from '../test/openai/_json.ts'

const seconds = Number(process.argv[2] ?? 180)
const until = Date.now() + seconds * 1000

function checkValid(text: string, shift: number): void {
  const top = scanTop(new Uint8Array(encode('"'.repeat(shift) + text).buffer, shift))
  assert.deepEqual(new Map(top.keys().map((key) => [key, top.raw(key)])), membersOf(text))
}

function checkEdit(text: string, key: string, value: string): void {
  const bytes = encode(text)
  const edited = decode(editBody(bytes, scanTop(bytes), [{ kind: 'set', key, value }]))
  JSON.parse(edited)
  const expected = membersOf(text).set(key, value)
  assert.deepEqual(membersOf(edited), expected)
  const rest = decode(editBody(bytes, scanTop(bytes), [{ kind: 'delete', key }]))
  JSON.parse(rest)
  expected.delete(key)
  assert.deepEqual(membersOf(rest), expected)
}

function checkBroken(text: string, noise: readonly [number, number][]): void {
  const bytes = encode(text)
  for (const [at, byte] of noise) bytes[at % bytes.length] = byte
  try {
    const top = scanTop(bytes)
    for (const key of top.keys()) top.json(key)
  } catch (error) {
    assert.ok(error instanceof BodyError, String(error))
    assert.ok(!isObject(bytes), 'a valid object was refused')
  }
}

function isObject(bytes: Uint8Array): boolean {
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
    return typeof value === 'object' && value !== null && !Array.isArray(value)
  } catch {
    // Broken, as it should be.
    return false
  }
}

let runs = 0
while (Date.now() < until) {
  const seed = Math.floor(Math.random() * 2 ** 31)
  const noise = fc.array(
    fc.tuple(fc.nat(), fc.oneof(fc.nat(255), fc.constantFrom(0x22, 0x5c, 0x7b, 0x7d, 0x2c, 0x20))),
    {
      minLength: 1,
      maxLength: 3,
    },
  )
  fc.assert(fc.property(rawObject, fc.nat(7), checkValid), { seed, numRuns: 1000 })
  fc.assert(fc.property(rawObject, fc.constantFrom('model', 'a', 'new', ''), rawValue, checkEdit), {
    seed,
    numRuns: 1000,
  })
  fc.assert(fc.property(rawObject, noise, checkBroken), { seed, numRuns: 1000 })
  runs += 3000
}
console.log(`${runs} bodies in ${seconds} s: no disagreement`)
