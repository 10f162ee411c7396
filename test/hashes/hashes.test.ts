import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { blake3 } from '../../src/hashes/blake3.ts'
import { md5, md5Point } from '../../src/hashes/md5.ts'
import { furcHash, murmur64 } from '../../src/hashes/murmur.ts'

const hex = (words: Int32Array) =>
  Buffer.from(words.buffer, words.byteOffset, words.byteLength).toString('hex')

test('md5 agrees with the runtime at every length around its blocks, and over UTF-8', () => {
  for (const text of [...Array.from({ length: 130 }, (_, n) => 'x'.repeat(n)), '会话', '😀'.repeat(99)]) {
    const digest = createHash('md5').update(text).digest('hex')
    assert.equal(hex(md5(text)), digest)
    assert.equal(md5Point(text), Number(BigInt(`0x${digest}`) >> 76n))
  }
})

// Digests of so many letters "a", from the reference implementation's Python binding (blake3 1.x).
const ofLetters: [number, string][] = [
  [0, 'af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262'],
  [63, '1a2a060cf56e4a859d80723cac9e2391d3c09a33008483e5424c57fe68629b79'],
  [64, '472c51290d607f100d2036fdcedd7590bba245e9adeb21364a063b7bb4ca81c7'],
  [65, 'f345679d9055e53939e92c04ff4f6c9d824b849810d4b598f54baa23336cde99'],
  [1024, '5a1c9e5d85d9898297037e8e24f69bb0e604a84c91c3b3ef4784a374812900d9'],
  [1025, 'c59d2e12583df14d951e757a42f1734d355c8c5b1db6b6a33ab2bfabeed40c7d'],
  [2049, '32e4e6d05329fdf8777c2c1f87926ca72210a03abeec282a3b7946783abbd5db'],
  [5121, '5774283c2d205cf6aa3f1754c88504ae66ce77011aa80ca5e60c6a227f406f66'],
]
test('blake3 agrees with the reference implementation, over one chunk and a tree of them', () => {
  for (const [letters, digest] of ofLetters) assert.equal(hex(blake3('a'.repeat(letters))), digest)
})

/** The same by the book, in big integers. */
function murmurByTheBook(bytes: Uint8Array): bigint {
  const low64 = (value: bigint) => BigInt.asUintN(64, value)
  const m = 0xc6a4a7935bd1e995n
  const wordAt = (at: number) =>
    [...bytes.subarray(at, at + 8)].reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n)
  let h = low64(4193360111n ^ low64(BigInt(bytes.length) * m))
  let at = 0
  for (; at + 8 <= bytes.length; at += 8) {
    const k = low64(wordAt(at) * m)
    h = low64((h ^ low64((k ^ (k >> 47n)) * m)) * m)
  }
  if (at < bytes.length) h = low64((h ^ wordAt(at)) * m)
  h = low64((h ^ (h >> 47n)) * m)
  return h ^ (h >> 47n)
}

test('murmur64 agrees with its definition at every length', () => {
  for (let length = 0; length < 70; length++) {
    const bytes = Uint8Array.from({ length }, (_, i) => (i * 151 + length * 7) & 255)
    const [low, high] = murmur64(bytes)
    assert.equal((BigInt(high!) << 32n) | BigInt(low!), murmurByTheBook(bytes), String(length))
  }
})

test('furcHash stays below its count, and more places move only the share that goes to the new ones', () => {
  let moved = 0
  for (let i = 0; i < 3000; i++) {
    const before = furcHash(`key ${i}`, 10)
    const after = furcHash(`key ${i}`, 11)
    assert.ok(before >= 0 && before < 10)
    if (before === after) continue
    moved++
    assert.equal(after, 10)
  }
  assert.ok(moved > 200 && moved < 350, String(moved))
})
