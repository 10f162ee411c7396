import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chooser, fleet } from './_fleet.ts'

/** Loads never count as apart. */
const balanced = { balanceAbs: 1e9 }
let asks = 0
const call = (promptBytes: number) => ({ id: `d-${asks++}`, promptBytes })

test('at first the classes are equal parts of 4096 bytes, the last one open', () => {
  const pick = chooser('bucket', balanced)
  for (const [bytes, expected] of [
    [0, 'w-0'],
    [1023, 'w-0'],
    [1024, 'w-1'],
    [3071, 'w-2'],
    [3072, 'w-3'],
    [900_000, 'w-3'],
  ] as const)
    assert.equal(pick(fleet(4), call(bytes)), expected, String(bytes))
})

test('a prompt whose bytes are not known counts four a token', () => {
  const pick = chooser('bucket', balanced)
  assert.equal(pick(fleet(2), { id: 'd', promptBytes: 0, tokens: 511 }), 'w-0')
  assert.equal(pick(fleet(2), { id: 'e', promptBytes: 0, tokens: 512 }), 'w-1')
})

test('while the bytes given out are apart, the worker with the fewest gets the call', () => {
  const pick = chooser('bucket')
  assert.equal(pick(fleet(2), call(4000)), 'w-1')
  assert.equal(pick(fleet(2), call(4000)), 'w-0')
  assert.equal(pick(fleet(2), call(4000)), 'w-1')
})

test('what was given out longer ago than the window no longer counts', () => {
  const pick = chooser('bucket')
  assert.equal(pick(fleet(2), call(4000), { now: 0 }), 'w-1')
  assert.equal(pick(fleet(2), call(3000), { now: 4999 }), 'w-0')
  assert.equal(pick(fleet(2), call(3000), { now: 5000 }), 'w-1')
})

test('a call that is tried again counts once', () => {
  const pick = chooser('bucket')
  const again = call(4000)
  for (let i = 0; i < 3; i++) assert.equal(pick(fleet(2), again), 'w-1')
  assert.equal(pick(fleet(2), call(4000)), 'w-0')
  assert.equal(pick(fleet(2), call(8000)), 'w-1')
})

test('after a period the classes part the bytes that came equally', () => {
  const pick = chooser('bucket', { ...balanced, bucketInterval: '5s' })
  // 50 of 100 bytes and 5 of 1000: half of the bytes are in the short ones.
  for (let i = 0; i < 50; i++) pick(fleet(2), call(100), { now: 5000 + i })
  for (let i = 0; i < 4; i++) pick(fleet(2), call(1000), { now: 5100 + i })
  assert.equal(pick(fleet(2), call(1000), { now: 5200 }), 'w-0', 'the first classes still')
  assert.equal(pick(fleet(2), call(1000), { now: 10_000 }), 'w-1')
  assert.equal(pick(fleet(2), call(100), { now: 10_001 }), 'w-0')
})

test('classes that fit hardly changed traffic stay', () => {
  const pick = chooser('bucket', balanced)
  for (let i = 0; i < 100; i++) pick(fleet(2), call(100), { now: 5000 + i })
  assert.equal(pick(fleet(2), call(150), { now: 10_000 }), 'w-1')
  for (let i = 0; i < 70; i++) pick(fleet(2), call(190), { now: 10_100 + i })
  assert.equal(pick(fleet(2), call(150), { now: 15_000 }), 'w-1', 'less than twice the bytes')
})
