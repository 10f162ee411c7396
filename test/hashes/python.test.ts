import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hashInteger, hashNumbers, hashTuple, NONE } from '../../src/hashes/python.ts'

// What Python 3.12 says.
test('numbers and tuples hash as in Python', () => {
  const of = (...items: readonly (number | bigint)[]) =>
    hashTuple(items.map((item) => hashInteger(BigInt(item))))
  assert.equal(hashTuple([]), 5740354900026072187n)
  assert.equal(hashTuple([1n, of(5, 6)]), -6214127265653322143n)
  assert.equal(of(-1, -2, 2n ** 63n - 1n, -(2n ** 63n)), 6790724747555531352n)
  const first = hashTuple([0n, of(...Array.from({ length: 256 }, (_, i) => i)), NONE])
  assert.equal(first, -7693565463539782743n)
  const rest = of(...Array.from({ length: 44 }, (_, i) => 256 + i))
  assert.equal(hashTuple([hashInteger(first), rest, NONE]), BASE)
})

/** `hash((hash((0, tuple(range(256)), None)), tuple(range(256, 300)), None))` */
const BASE = -405114033414814452n

test('numbers that are their own hashes take a shorter way to the same', () => {
  for (let length = 0; length < 200; length++) {
    const numbers = Array.from({ length }, (_, i) => (i * 2_654_435_761 * (length + 1)) % 2 ** 53)
    assert.equal(hashNumbers(numbers), hashTuple(numbers.map((number) => BigInt(number))), `${length}`)
    assert.equal(hashTuple(numbers.map(BigInt)), slowly(numbers.map(BigInt)))
  }
})

/** By the book. */
function slowly(hashes: readonly bigint[]): bigint {
  const wrap = (value: bigint) => BigInt.asUintN(64, value)
  let sum = 2870177450012600261n
  for (const hash of hashes) {
    sum = wrap(sum + hash * 14029467366897019727n)
    sum = wrap(wrap((sum << 31n) | (sum >> 33n)) * 11400714785074694791n)
  }
  return BigInt.asIntN(64, sum + (BigInt(hashes.length) ^ 2870177450012600261n ^ 3527539n))
}
