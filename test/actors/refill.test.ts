import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Refill } from '../../src/actors/refill.ts'
import { createClock } from '../_clock.ts'

test('without a rate every call under way takes a place', async () => {
  const clock = createClock()
  const refill = new Refill(clock)
  await clock.advance(10_000)
  assert.equal(refill.counted(3, 0), 3)
})

test('places come back by the clock, never more than are taken', async () => {
  const clock = createClock()
  const refill = new Refill(clock)
  const counted = []
  for (const ms of [0, 400, 100, 1000, 5000]) {
    await clock.advance(ms)
    counted.push(refill.counted(3, 2))
  }
  assert.deepEqual(counted, [3, 3, 2, 0, 0])
  assert.equal(refill.counted(4, 2), 1, 'a new one takes a place')
})

test('whoever waits is served when a place comes back, and nobody is woken for nothing', async () => {
  const clock = createClock()
  const refill = new Refill(clock)
  let served = 0
  const wake = () =>
    refill.wake(
      4,
      () => served++,
      () => served < 3,
    )
  wake()
  wake()
  await clock.advance(250)
  assert.equal(served, 1)
  await clock.advance(10_000)
  assert.equal(served, 3)
})
