import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Slab } from '../../../adapters/node/slab.ts'

test('copies stay as they are, whatever is copied after them and becomes of what they were made of', () => {
  const slab = new Slab()
  const source = new Uint8Array(40_000)
  const sizes = fc.array(fc.integer({ min: 0, max: source.length }), { minLength: 20, maxLength: 40 })
  fc.assert(
    fc.property(sizes, (all) => {
      const copies = all.map((size, i) => slab.copyOf(source.fill(i + 1).subarray(0, size)))
      for (const [i, copy] of copies.entries()) {
        assert.equal(copy.byteLength, all[i])
        assert.ok(copy.every((byte) => byte === i + 1))
      }
    }),
    { numRuns: 20 },
  )
})

test('small copies share memory, large ones hold none but their own', () => {
  const slab = new Slab()
  const [one, two] = [slab.copyOf(new Uint8Array(300)), slab.copyOf(new Uint8Array(300))]
  assert.equal(one.buffer, two.buffer)
  assert.equal(slab.copyOf(new Uint8Array(20_000)).buffer.byteLength, 20_000)
})
