import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { findLow, Opening } from '../../src/openai/opening.ts'
import { encode } from './_json.ts'

const noise = fc.uint8Array({ maxLength: 40 })

test('the next low byte is found wherever the bytes lie in their buffer', () => {
  fc.assert(
    fc.property(noise, fc.nat(40), (buffer, start) => {
      const bytes = buffer.subarray(Math.min(start, buffer.length))
      const found = bytes.findIndex((byte) => byte < 0x0e)
      assert.equal(findLow(bytes, 0), found < 0 ? bytes.length : found)
    }),
    { numRuns: 500 },
  )
})

test('an opening stands where its bytes are, and nowhere else', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 4, maxLength: 40 }),
      noise,
      fc.nat(60),
      (bytes, before, flipped) => {
        const opening = new Opening()
        opening.keep(bytes, 0, bytes.length)
        const text = Uint8Array.from([...before, ...bytes, 1])
        assert.equal(opening.standsAt(text, before.length), true)
        const at = before.length + (flipped % bytes.length)
        text[at] = text[at]! ^ 1
        assert.equal(opening.standsAt(text, before.length), false)
      },
    ),
    { numRuns: 500 },
  )
})

test('an opening that is cut off, long, or hardly anything stands nowhere', () => {
  const long = encode('x'.repeat(2000))
  const opening = new Opening()
  opening.keep(long, 0, 100)
  assert.deepEqual([opening.standsAt(long, 1900), opening.standsAt(long, 1901)], [true, false])
  for (const length of [1000, 3, 0]) {
    opening.keep(long, 0, length)
    assert.equal(opening.standsAt(long, 0), false)
  }
})
