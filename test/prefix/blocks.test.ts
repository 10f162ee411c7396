import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { scanTop } from '../../src/openai/scan.ts'
import { hashBlocks } from '../../src/prefix/blocks.ts'
import { readPrompt, type Prompt } from '../../src/prefix/prompt.ts'
import { MAX_BLOCKS, MAX_BYTES, blocksIn, bytesAt } from '../../src/prefix/sizes.ts'

const encoder = new TextEncoder()

function prompt(bytes: Uint8Array, spans: readonly number[] = [0, bytes.length, 0]): Prompt {
  let length = 0
  for (let i = 0; i < spans.length; i += 3) length += spans[i + 1]! - spans[i]!
  return { bytes, model: 'm', keys: [], spans, length }
}

const hashesOf = (body: unknown, model = 'm') =>
  hashBlocks(readPrompt(scanTop(encoder.encode(JSON.stringify(body))), model))

/** Random bytes, the same each run. */
function noise(length: number, seed: number): Uint8Array {
  let state = seed * 2 + 1
  return Uint8Array.from({ length }, () => (state = (state * 48271) % 2147483647) >> 8)
}

function sameUpTo(one: Float64Array, other: Float64Array): number {
  let depth = 0
  while (depth < one.length && one[depth] === other[depth]) depth++
  return depth
}

test('blocks are 256 bytes up to 16 KiB and 1 KiB after that, 512 at most', () => {
  assert.deepEqual([1, 64, 65, 512].map(bytesAt), [256, 16_384, 17_408, MAX_BYTES])
  for (let depth = 1; depth <= MAX_BLOCKS; depth++) {
    assert.equal(blocksIn(bytesAt(depth)), depth)
    assert.equal(blocksIn(bytesAt(depth) - 1), depth - 1)
  }
  assert.equal(hashBlocks(prompt(noise(255, 1))).length, 0)
  assert.equal(hashBlocks(prompt(noise(2_000_000, 1))).length, 512)
})

test('hashes are whole numbers of 52 bits', () => {
  for (const hash of hashBlocks(prompt(noise(100_000, 7))))
    assert.ok(Number.isInteger(hash) && hash >= 0 && hash < 2 ** 52)
})

test('neither where the bytes lie nor how they are cut into spans shows in the hashes', () => {
  const text = noise(40_000, 3)
  const expected = hashBlocks(prompt(text))
  const cuts = fc.array(fc.nat(text.length), { maxLength: 60 })
  fc.assert(
    fc.property(fc.nat(8), fc.nat(9), cuts, fc.nat(12), (before, after, places, gap) => {
      const ends = [...places.toSorted((a, b) => a - b), text.length]
      const buffer = new Uint8Array(before + after + text.length + gap * ends.length)
      const spans: number[] = []
      let at = 0
      let from = 0
      for (const end of ends) {
        const part = text.subarray(from, end)
        buffer.set(part, before + at)
        spans.push(at, at + part.length, 0)
        at += part.length + gap
        from = end
      }
      const bytes = buffer.subarray(before)
      assert.deepEqual(hashBlocks(prompt(bytes, spans)), expected)
    }),
    { numRuns: 150 },
  )
})

test('two prompts share exactly the hashes of the blocks before their first difference', () => {
  fc.assert(
    fc.property(fc.nat(39_999), fc.integer({ min: 1, max: 255 }), (place, change) => {
      const one = noise(40_000, 5)
      const other = one.slice()
      other[place]! ^= change
      const [left, right] = [hashBlocks(prompt(one)), hashBlocks(prompt(other))]
      assert.equal(sameUpTo(left, right), blocksIn(place))
      assert.ok(left.every((hash, depth) => depth < blocksIn(place) || hash !== right[depth]))
    }),
    { numRuns: 60 },
  )
})

test('a conversation goes on with the hashes it had, and another model, adapter or salt has none of them', () => {
  const turn = (i: number) => ({ role: i % 2 ? 'assistant' : 'user', content: `turn ${i} `.repeat(90) })
  const messages = Array.from({ length: 8 }, (_, i) => turn(i))
  const before = hashesOf({ model: 'm', messages, stream: true })
  const after = hashesOf({ messages: [...messages, turn(8), turn(9)], temperature: 0 })
  assert.ok(before.length > 10)
  assert.equal(sameUpTo(before, after), before.length)
  const seeds = [{}, { cache_salt: 'x' }, { lora_path: 'x' }, { cache_salt: 'y' }, { extra_key: 'x' }]
  const firsts = seeds.map((seed) => hashesOf({ messages, ...seed })[0])
  firsts.push(hashesOf({ messages }, 'other')[0])
  assert.equal(new Set(firsts).size, firsts.length)
})

test('media count by what they hold, and text goes on behind them', () => {
  const body = (letter: string, question: string) => {
    const url = `data:image/png;base64,${'A'.repeat(1999)}${letter}${'A'.repeat(2000)}`
    return { messages: [{ content: [{ image_url: { url } }, { text: question.repeat(300) }] }] }
  }
  const one = hashesOf(body('A', 'what? '))
  assert.deepEqual(hashesOf(body('A', 'what? ')), one)
  assert.equal(sameUpTo(one, hashesOf(body('B', 'what? '))), 0)
  assert.equal(sameUpTo(one, hashesOf(body('A', 'where?'))), 8)
})

test('each flipped bit of a block changes each bit of its hash about every second time', () => {
  const text = noise(512, 11)
  const base = hashBlocks(prompt(text))
  const flips = new Float64Array(52)
  let tries = 0
  for (let bit = 0; bit < 512 * 8; bit++) {
    const changed = text.slice()
    changed[bit >> 3]! ^= 1 << (bit & 7)
    // The block that holds the bit, or the next one: the last bytes of a block have the shortest way to go.
    const hash = hashBlocks(prompt(changed))[1]!
    const difference = BigInt(hash) ^ BigInt(base[1]!)
    for (let at = 0; at < 52; at++) if ((difference >> BigInt(at)) & 1n) flips[at]!++
    tries++
  }
  for (const count of flips) assert.ok(Math.abs(count / tries - 0.5) < 0.04, `${count} of ${tries}`)
})

test('blocks that differ in a few letters collide no more than chance has it, in any part of the bits', () => {
  const count = 60_000
  const low = new Set<number>()
  const high = new Set<number>()
  const bytes = encoder.encode(`{"id":"00000000","note":"${'word '.repeat(50)}"}`).slice(0, 256)
  for (let i = 0; i < count; i++) {
    encoder.encodeInto(String(i * 7919).padStart(8, '0'), bytes.subarray(7))
    const hash = hashBlocks(prompt(bytes))[0]!
    low.add(hash % 2 ** 32)
    high.add(Math.floor(hash / 2 ** 20))
  }
  // 32 bits of 60,000 hashes: 0.42 equal pairs are expected.
  assert.ok(count - low.size < 6, `${count - low.size}`)
  assert.ok(count - high.size < 6, `${count - high.size}`)
})
