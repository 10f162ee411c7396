import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { findLow } from '../../src/openai/lines.ts'

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
