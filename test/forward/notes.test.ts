import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Renewal } from '../../src/actors/ask.ts'
import { Notes } from '../../src/forward/notes.ts'
import type { Host } from '../../src/host.ts'
import { createClock } from '../_clock.ts'

function setUp(isPerRequest: boolean) {
  const clock = createClock()
  const renewed: (readonly Renewal[])[] = []
  const pool = { note() {}, renew: (renewals: readonly Renewal[]) => void renewed.push(renewals) }
  const host = { isPerRequest, timer: clock.timer, pool: () => pool, after() {} } as unknown as Host
  return { notes: new Notes(host), clock, renewed }
}

for (const isPerRequest of [false, true]) {
  const where = isPerRequest ? 'where each request has its own timers' : 'all together'

  test(`a call that goes on is renewed each minute with its worker, its tokens and its phase, ${where}`, async () => {
    const { notes, clock, renewed } = setUp(isPerRequest)
    notes.began('d-1', 400)
    notes.sent('d-1', 'a')
    await clock.advance(60_000)
    assert.deepEqual(renewed.flat(), [{ id: 'd-1', worker: 'a', tokens: 400, isDecoding: false }])
    notes.add({ id: 'd-1', kind: 'first', after: 70_000 })
    await clock.advance(60_000)
    assert.deepEqual(renewed.flat()[1], { id: 'd-1', worker: 'a', tokens: 400, isDecoding: true })
    notes.ended('d-1')
    await clock.advance(300_000)
    assert.equal(renewed.flat().length, 2)
  })

  test(`a call that has no worker now is not renewed, ${where}`, async () => {
    const { notes, clock, renewed } = setUp(isPerRequest)
    notes.began('d-1', 400)
    await clock.advance(60_000)
    notes.sent('d-1', 'a')
    notes.sent('d-1', null)
    await clock.advance(60_000)
    assert.deepEqual(renewed.flat(), [])
    notes.sent('d-1', 'b')
    await clock.advance(60_000)
    assert.equal(renewed.flat()[0]?.worker, 'b')
    notes.ended('d-1')
  })
}
