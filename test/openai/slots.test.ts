// What streams keep in the memory that they share stays theirs until they give it back.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { copyTo, giveSlot, lyingAt, SLOT, standsAt, takeSlot } from '../../src/openai/slots.ts'
import { encode } from './_json.ts'

test('what lies in a slot stays while others are taken and given back, however many', () => {
  for (let day = 0; day < 2; day++) {
    const slots = Array.from({ length: 300 }, takeSlot)
    const texts = slots.map((_, i) => encode(`${i}`.padEnd(SLOT, '.')))
    slots.forEach((slot, i) => copyTo(slot, texts[i]!, 0, SLOT))
    for (let i = 0; i < 300; i += 2) giveSlot(slots[i]!)
    for (let i = 0; i < 300; i += 2) slots[i] = takeSlot()
    for (let i = 0; i < 300; i += 2) copyTo(slots[i]!, texts[i]!, 0, SLOT)
    slots.forEach((slot, i) => assert.deepEqual(lyingAt(slot, SLOT), texts[i]))
    for (const slot of slots) giveSlot(slot)
  }
})

test('bytes are copied and compared to the last one, also at the very end of their buffer', () => {
  const slot = takeSlot()
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 4, maxLength: 90 }), fc.nat(9), fc.nat(89), (bytes, front, at) => {
      const whole = Uint8Array.from([...new Uint8Array(front), ...bytes])
      copyTo(slot, whole, front, bytes.length)
      assert.deepEqual(lyingAt(slot, bytes.length).slice(), bytes)
      assert.equal(standsAt(slot, whole, front, bytes.length), true)
      whole[front + (at % bytes.length)]! ^= 1
      assert.equal(standsAt(slot, whole, front, bytes.length), false)
    }),
  )
  giveSlot(slot)
})
