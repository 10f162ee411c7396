import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encode } from '@msgpack/msgpack'
import type { ReportedLoad } from '../../src/actors/ask.ts'
import { LoadFeeds } from '../../src/actors/load-feeds.ts'
import { Seat } from '../../src/actors/seat.ts'
import { Session } from '../../src/zmtp/session.ts'
import { wireOf, type Sockets, type Wire } from '../../src/zmtp/wire.ts'
import { createClock, settle } from '../_clock.ts'
import { member } from './_pool.ts'

/** Two ends of one connection, in memory. */
function pair(): [Wire, Wire] {
  // Both write their greetings before they read.
  const stream = () => new TransformStream<Uint8Array>(undefined, undefined, { highWaterMark: 64 })
  const [a, b] = [stream(), stream()]
  return [wireOf(a.readable, b.writable, () => {}), wireOf(b.readable, a.writable, () => {})]
}

function rig() {
  const clock = { ...createClock(), random: () => 0 }
  const publishers: { readonly port: number; readonly session: Session; isOpen: boolean }[] = []
  const topics: string[] = []
  const serve = async (port: number, wire: Wire) => {
    const session = await Session.open(wire, { type: 'PUB', clock })
    const publisher = { port, session, isOpen: true }
    publishers.push(publisher)
    for (;;) {
      const incoming = await session.receive().catch(() => null)
      if (incoming === null) break
      if (incoming.kind === 'subscribe') topics.push(new TextDecoder().decode(incoming.topic))
    }
    publisher.isOpen = false
  }
  const sockets: Sockets = {
    connect: async ({ port }) => {
      const [near, far] = pair()
      void serve(port, far)
      return near
    },
  }
  const told: { readonly id: string; readonly load: ReportedLoad }[] = []
  const feeds = new LoadFeeds({ ...clock, sockets }, (seat, load) => told.push({ id: seat.id, load }))
  const publish = async (port: number, payload: unknown) => {
    const publisher = publishers.findLast((one) => one.port === port) ?? assert.fail(`nobody follows ${port}`)
    const parts = [new TextEncoder().encode('load'), new Uint8Array(8), encode(payload)]
    await publisher.session.send(parts)
    await settle()
  }
  return { clock, feeds, told, topics, publishers, publish }
}

const source = (rank: number) => ({ rank, endpoint: `tcp://gpu1:${6000 + rank}`, topic: 'load' })
const seatOf = (ranks: number) =>
  new Seat(
    member('w', {
      ref: { id: 'w', url: 'http://gpu1', engine: 'sglang' },
      loadSources: Array.from({ length: ranks }, (_, rank) => source(rank)),
    }),
  )

test('a published load is told, of all ranks together', async () => {
  const { feeds, told, topics, publish, clock } = rig()
  const seat = seatOf(2)
  feeds.meet([seat])
  await settle()
  assert.deepEqual(topics, ['load', 'load'])
  await publish(6000, ['LoadStat', 3, 1, 100, 1000, null, 50])
  assert.deepEqual(told, [])
  await publish(6001, ['LoadStat', 2, 0, 300, 1000, null, 0])
  assert.deepEqual(told, [
    {
      id: 'w',
      load: {
        running: 5,
        waiting: 1,
        waitingUncachedTokens: 50,
        usedTokens: 400,
        capacityTokens: 2000,
        usage: 0.2,
        at: clock.now(),
      },
    },
  ])
  assert.equal(seat.pushedAt, clock.now())
  feeds.meet([])
})

test('what is no load is passed over', async () => {
  const { feeds, told, publish } = rig()
  feeds.meet([seatOf(1)])
  await settle()
  for (const payload of [['KVEventBatch', 1], { a: 1 }, 'LoadStat', null]) await publish(6000, payload)
  assert.deepEqual(told, [])
  await publish(6000, ['LoadStat', 1, 0, 0, 0, 0])
  assert.equal(told.length, 1)
  feeds.meet([])
})

test('a worker that left, or publishes elsewhere, is followed no more', async () => {
  const { feeds, publishers } = rig()
  const seat = seatOf(1)
  feeds.meet([seat])
  await settle()
  feeds.meet([seat])
  await settle()
  assert.equal(publishers.length, 1)
  seat.member = { ...seat.member, loadSources: [source(7)] }
  feeds.meet([seat])
  await settle()
  assert.deepEqual(
    publishers.map(({ port, isOpen }) => [port, isOpen]),
    [
      [6000, false],
      [6007, true],
    ],
  )
  feeds.meet([])
  await settle()
  assert.equal(publishers[1]?.isOpen, false)
})

test('without sockets nobody is followed', () => {
  const clock = { ...createClock(), random: () => 0 }
  const feeds = new LoadFeeds(clock, () => assert.fail('told'))
  feeds.meet([seatOf(1)])
})
