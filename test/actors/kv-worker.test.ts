import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { KvSource } from '../../src/actors/kv-source.ts'
import { KvWorker } from '../../src/actors/kv-worker.ts'
import { Seat } from '../../src/actors/seat.ts'
import type { LogEvent } from '../../src/host.ts'
import { createClock, settle } from '../_clock.ts'
import { member } from './_pool.ts'

function worker() {
  const clock = createClock()
  const logged: LogEvent[] = []
  const changes: (string | undefined)[] = []
  const seat = new Seat(member('w1'))
  const seams = { log: (event: LogEvent) => void logged.push(event), timer: clock.timer }
  const kv = new KvWorker(seat, seams, () => void changes.push(seat.kvEvents?.state))
  kv.isPushed = true
  kv.up()
  return { clock, logged, changes, seat, kv }
}

describe('trust in the KV events of a worker', () => {
  it('ends with twenty calls in a row whose blocks are in none, and comes back with one that is', () => {
    const { kv, seat, logged, changes } = worker()
    for (let i = 0; i < 19; i++) kv.attributed(false)
    kv.attributed(true)
    for (let i = 0; i < 19; i++) kv.attributed(false)
    assert.equal(seat.kvEvents?.state, 'live')
    kv.attributed(false)
    kv.attributed(false)
    assert.deepEqual([seat.kvEvents?.state, seat.kvEvents?.trouble], ['degraded', 'unattributed'])
    kv.attributed(true)
    assert.equal(seat.kvEvents?.state, 'live')
    assert.deepEqual(
      logged.map(({ level }) => level),
      ['warn', 'info'],
    )
    assert.deepEqual(changes, ['live', 'degraded', 'live'])
  })

  it('ends with a publisher that is gone, and comes back with it', () => {
    const { kv, seat, logged } = worker()
    kv.degrade('disconnected', 'refused')
    kv.degrade('disconnected', 'refused')
    assert.equal(seat.kvEvents?.trouble, 'disconnected')
    kv.up()
    assert.equal(seat.kvEvents?.state, 'live')
    assert.equal(logged.length, 2)
  })

  it('comes back a minute after events were lost', async () => {
    const { kv, seat, clock } = worker()
    kv.degrade('gap', '3 batches are missing')
    await clock.advance(40_000)
    kv.degrade('gap', '1 batches are missing')
    await clock.advance(59_000)
    assert.equal(seat.kvEvents?.state, 'degraded')
    await clock.advance(2000)
    assert.equal(seat.kvEvents?.state, 'live')
  })

  it('is not lost in a moment without a publisher, but in ten seconds', async () => {
    const clock = { ...createClock(), random: () => 0 }
    const told: string[] = []
    const tell = (what: string) => () => void told.push(what)
    const sockets = { connect: () => Promise.reject(new Error('refused')) }
    const source = new KvSource(
      { rank: 0, endpoint: 'tcp://gpu1:5557', isBound: false, replay: null, topic: '' },
      { sockets, clock },
      {
        batch: tell('batch'),
        restarted: tell('restarted'),
        lost: tell('lost'),
        up: tell('up'),
        broken: tell('broken'),
        down: (reason) => void told.push(reason),
      },
    )
    void source.start()
    await settle()
    await clock.advance(9000)
    assert.deepEqual(told, [])
    await clock.advance(2000)
    assert.deepEqual(told, ['refused'])
    source.close()
    await clock.advance(60_000)
    assert.deepEqual(told, ['refused'])
  })
})
