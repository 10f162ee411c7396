import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { EventMemory } from '../../src/openai/event-memory.ts'
import { encode } from './_json.ts'

const noise = fc.uint8Array({ maxLength: 40 })

test('an opening stands where its bytes are, and nowhere else', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 4, maxLength: 40 }),
      noise,
      fc.nat(60),
      (bytes, before, flipped) => {
        const opening = new EventMemory()
        opening.keep(bytes, 0, bytes.length)
        const text = Uint8Array.from([...before, ...bytes, 1])
        assert.equal(opening.standsAt(text, before.length), true)
        const at = before.length + (flipped % bytes.length)
        text[at] = text[at]! ^ 1
        assert.equal(opening.standsAt(text, before.length), false)
        opening.close()
      },
    ),
    { numRuns: 500 },
  )
})

test('an opening that is cut off, long, or hardly anything stands nowhere', () => {
  const long = encode('x'.repeat(2000))
  const opening = new EventMemory()
  opening.keep(long, 0, 100)
  assert.deepEqual([opening.standsAt(long, 1900), opening.standsAt(long, 1901)], [true, false])
  for (const length of [1000, 3, 0]) {
    opening.keep(long, 0, length)
    assert.equal(opening.standsAt(long, 0), false)
  }
})
