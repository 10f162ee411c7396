import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Decoder, encode, ExtData } from '@msgpack/msgpack'
import fc from 'fast-check'
import { decodeMsgpack } from '../src/msgpack.ts'

const LIMITS = { bytes: 70_000, items: 70_000, keys: 70_000 }
const oracle = new Decoder({ useBigInt64: true })
const read = (bytes: Uint8Array) => decodeMsgpack(bytes, LIMITS)
const pack = (value: unknown) => encode(value, { useBigInt64: true })

const leaf = fc.oneof(
  fc.constantFrom(null, true, false, 2 ** 31, -(2 ** 31), 65_535, 65_536, -129, -32_769, 0.5, NaN, -0),
  fc.integer(),
  fc.double(),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n }),
  fc.string({ unit: 'binary' }),
  fc.string({ minLength: 30, maxLength: 300 }),
  fc.uint8Array({ maxLength: 300 }),
)
const { tree } = fc.letrec((tie) => ({
  tree: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    leaf,
    fc.array(tie('tree'), { maxLength: 20 }),
    fc.dictionary(
      fc.string({ maxLength: 40 }).filter((key) => key !== '__proto__'),
      tie('tree'),
      {
        noNullPrototype: true,
      },
    ),
  ),
}))

test('it reads what the package reads, whatever was written', () => {
  fc.assert(
    fc.property(tree, (value) => {
      const bytes = pack(value)
      assert.deepEqual(read(bytes), oracle.decode(bytes))
    }),
    { numRuns: 500 },
  )
})

test('lists, maps, texts and data of every size of length are read', () => {
  for (const size of [0, 15, 16, 31, 32, 255, 256, 65_535, 65_536]) {
    const keys = Object.fromEntries(Array.from({ length: size }, (_, at) => [`k${at}`, at % 7]))
    const values = [Array<number>(size).fill(1), keys, 'ä'.repeat(size / 2), new Uint8Array(size)]
    for (const value of values) assert.deepEqual(read(pack(value)), value)
  }
})

test('whatever the bytes are, it reads them as the package does or throws a RangeError', () => {
  const mutated = fc.tuple(tree, fc.nat(), fc.nat(255), fc.nat(3)).map(([value, at, byte, cut]) => {
    const bytes = Uint8Array.from(pack(value))
    bytes[at % bytes.length] = byte
    return bytes.subarray(0, bytes.length - cut)
  })
  fc.assert(
    fc.property(fc.oneof(mutated, fc.uint8Array({ maxLength: 40 })), (bytes) => {
      try {
        read(bytes)
      } catch (error) {
        assert.ok(error instanceof RangeError, String(error))
        return
      }
      assert.doesNotThrow(() => oracle.decode(bytes))
    }),
    { numRuns: 1000 },
  )
})

test('extension types are passed over', () => {
  for (const size of [1, 2, 3, 4, 8, 16, 17, 300])
    assert.deepEqual(read(pack([new ExtData(5, new Uint8Array(size)), 1])), [null, 1])
})

const cases: readonly (readonly [string, readonly number[], RegExp])[] = [
  ['a list longer than the message', [0xdd, 0, 1, 0, 0, 1], /cut off/],
  ['a longer list than is allowed', [0xdd, 0xff, 0xff, 0xff, 0xff], /more than/],
  ['a longer text than is allowed', [0xdb, 0, 2, 0, 0], /more than/],
  ['nothing', [], /cut off/],
  ['two values', [1, 2], /left over/],
  ['the byte that is never used', [0xc1], /no value/],
  ['a list as a key', [0x81, 0x90, 1], /key/],
  ['a key that would change what an object is', [0x81, 0xa9, ...Buffer.from('__proto__'), 0x80], /key/],
  ['lists in lists without end', Array<number>(1000).fill(0x91), /deeper/],
]
for (const [name, bytes, message] of cases) {
  test(`${name} is refused`, () => {
    assert.throws(
      () => read(Uint8Array.from(bytes)),
      (error) => error instanceof RangeError && message.test(error.message),
    )
  })
}
