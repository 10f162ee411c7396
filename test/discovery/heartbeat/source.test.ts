// Heartbeats at a registry: who registers, who may be used, and who leaves. ZeroMQ is spoken by our own DEALER here; see test:python.
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { encode } from '@msgpack/msgpack'
import { createSockets } from '../../../adapters/node/sockets.ts'
import { createTimers } from '../../../adapters/web/timers.ts'
import { configSchema, type ConfigInput } from '../../../src/config/schema.ts'
import { heartbeatSource } from '../../../src/discovery/heartbeat/port.ts'
import type { Wanted } from '../../../src/discovery/source.ts'
import type { LogEvent } from '../../../src/host.ts'
import { Session } from '../../../src/zmtp/session.ts'
import { registryRig } from '../../actors/_registry.ts'
import { until } from '../../actors/_kv.ts'
import { settle } from '../../_clock.ts'
import { freePort } from '../../journeys/_sockets.ts'

const P = { type: 'P', http_address: 'p:1', zmq_address: 'p:2' }
const D = { type: 'D', http_address: 'd:1', zmq_address: 'd:2' }

const sockets = createSockets()
const timers = createTimers()
after(() => {
  sockets.close()
  timers.close()
})

test('workers that beat are members with their roles and addresses, and leave when they fall silent', async () => {
  const { registry, clock, start } = registryRig(
    {},
    { 'http://p:1': { models: ['m'] }, 'http://d:1': { models: ['m'] } },
  )
  await start()
  for (const beat of [P, D]) assert.equal((await registry.beat(beat, true)).kind, 'heard')
  await clock.advance(0)
  const members = () => registry.members(0)?.members ?? []
  assert.deepEqual(
    members().map(({ ref, role, models }) => [ref.url, role, ref.kvAddress, models]),
    [
      ['http://p:1', 'prefill', 'p:2', ['m']],
      ['http://d:1', 'decode', 'd:2', ['m']],
    ],
  )
  assert.deepEqual(
    registry.list().map(({ source }) => source),
    ['beat', 'beat'],
  )
  await clock.advance(4000)
  await registry.beat(P, true)
  await clock.advance(1500)
  assert.deepEqual(
    members().map(({ ref }) => ref.url),
    ['http://p:1'],
  )
  await clock.advance(5000)
  assert.deepEqual(members(), [])
})

test('a worker is used only once it has told its models, though calls go to any model', async () => {
  const { registry, clock, scripts, start } = registryRig({ models: 'ignore' }, {})
  await start()
  const models = () => registry.members(0)?.members[0]?.models
  for (let beats = 0; beats < 4; beats++) {
    await registry.beat(P, true)
    await clock.advance(3000)
    assert.deepEqual(models(), [])
  }
  scripts.set('http://p:1', { models: ['m'] })
  for (let beats = 0; beats < 2; beats++) {
    await registry.beat(P, true)
    await clock.advance(3000)
  }
  assert.deepEqual(models(), ['m'])
})

test('a worker that is started anew before it was ready, or elsewhere, is another one', async () => {
  const { registry, clock, scripts, start } = registryRig({}, {})
  await start()
  await registry.beat(P, true)
  await clock.advance(6000)
  assert.equal(registry.list().length, 0, 'it fell silent')
  await registry.beat(P, true)
  scripts.set('http://p:1', { models: ['m'] })
  await clock.advance(300)
  const [first] = registry.list()
  assert.deepEqual([first?.known, first?.role], [true, 'prefill'])
  scripts.delete('http://p:1')
  await registry.beat({ ...P, zmq_address: 'p:3' }, true)
  await clock.advance(0)
  const [again, ...more] = registry.list()
  assert.deepEqual([again?.known, more.length], [false, 0])
  assert.equal(registry.members(0)?.members[0]?.ref.kvAddress, 'p:3')
  assert.notEqual(again?.id, first?.id)
})

test('a worker that is named has its URL for itself, whoever beats there', async () => {
  const { registry, start } = registryRig({ workers: ['http://p:1'] }, {})
  await start()
  assert.equal((await registry.beat(P, true)).kind, 'heard')
  assert.deepEqual(
    registry.list().map(({ source, role }) => [source, role]),
    [['flag', 'mixed']],
  )
})

test('heartbeats without the token change nothing, and are told once', async () => {
  const { registry, logs, start } = registryRig({ heartbeatToken: 'secret' }, {})
  await start()
  for (const token of [undefined, 'wrong', '', 'secretly'])
    for (let i = 0; i < 2; i++) assert.equal((await registry.beat({ ...P, token }, false)).kind, 'forbidden')
  assert.deepEqual(registry.list(), [])
  assert.equal(logs.filter(({ message }) => message.includes('token')).length, 1)
  assert.equal((await registry.beat({ ...P, token: 'secret' }, false)).kind, 'heard')
  assert.deepEqual(registry.sources()[0]?.counts, { refused_beats: 8 })
})

interface Heard {
  readonly wanted: () => readonly Wanted[]
  readonly logs: readonly LogEvent[]
  readonly port: number
  stop(): void
}

/** A source that listens on a port of this machine. */
async function listening(config: ConfigInput = {}): Promise<Heard> {
  const port = await freePort()
  let wanted: readonly Wanted[] = []
  const logs: LogEvent[] = []
  const seams = {
    now: () => performance.now(),
    random: Math.random,
    timer: timers.start,
    log: (event: LogEvent) => void logs.push(event),
    after: () => undefined,
    sockets,
  }
  const given = configSchema.parse({ heartbeatListen: `tcp://127.0.0.1:${port}`, ...config })
  const source = heartbeatSource.make(given, seams, (workers) => {
    wanted = workers ?? wanted
  })
  source.start()
  await until(() => logs.some(({ message }) => message.includes('come in')), 'a listener')
  return { wanted: () => wanted, logs, port, stop: () => source.stop() }
}

async function dealer(port: number): Promise<Session> {
  const wire = await sockets.connect({ host: '127.0.0.1', port }, new AbortController().signal)
  return Session.open(wire, {
    type: 'DEALER',
    clock: { now: () => performance.now(), random: Math.random, timer: timers.start },
  })
}

test('over ZeroMQ a map registers a worker; what is none is passed over', async () => {
  const { wanted, logs, port, stop } = await listening()
  const session = await dealer(port)
  await session.send([encode({ type: 'P' })])
  await session.send([new Uint8Array([0xc1])])
  await session.send([encode(Array.from({ length: 1000 }, () => 'x'.repeat(100)))])
  await session.send([encode(P)])
  // As a REQ socket sends it.
  await session.send([new Uint8Array(0), encode(D)])
  await until(() => wanted().length === 2, 'both workers')
  assert.deepEqual(
    wanted().map(({ spec }) => [spec.url, spec.role]),
    [
      ['http://p:1', 'prefill'],
      ['http://d:1', 'decode'],
    ],
  )
  assert.equal(logs.filter(({ message }) => message.includes('passed over')).length, 3)
  session.close()
  stop()
})

test('a port that is taken is told and tried again', async () => {
  const first = await listening()
  const logs: LogEvent[] = []
  const rung: (() => void)[] = []
  const seams = {
    now: () => 0,
    random: () => 0,
    timer: (_: number, run: () => void) => {
      rung.push(run)
      return () => undefined
    },
    log: (event: LogEvent) => void logs.push(event),
    after: () => undefined,
    sockets,
  }
  const config = configSchema.parse({ heartbeatListen: `tcp://127.0.0.1:${first.port}` })
  const source = heartbeatSource.make(config, seams, () => undefined)
  source.start()
  await until(() => source.status().problem !== null, 'a problem')
  assert.match(logs[0]?.message ?? '', /no heartbeats come in/)
  first.stop()
  await settle()
  rung.shift()?.()
  await until(() => source.status().problem === null, 'the port')
  source.stop()
})
