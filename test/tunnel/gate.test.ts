// Both ends of a tunnel over simulated sockets and a clock that only tests move: who is let in, and who comes again.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { localActors, memoryStorage } from '../../src/actors/local.ts'
import { configSchema, type ConfigInput } from '../../src/config/schema.ts'
import { UpstreamFailure, type Outgoing } from '../../src/host.ts'
import { redact } from '../../src/config/redact.ts'
import { TunnelClient, type SocketEar } from '../../src/tunnel/client.ts'
import { Exchange } from '../../src/tunnel/exchange.ts'
import { decodeFrame, encodeJson, readJson } from '../../src/tunnel/frames.ts'
import { Gate } from '../../src/tunnel/gate.ts'
import type { Wire } from '../../src/tunnel/link.ts'
import { createClock, settle } from '../_clock.ts'
import { TIMES } from './_line.ts'

/** A gate, and sockets to it that a test can break. */
function start(input: ConfigInput = { tunnelTokens: ['good'] }) {
  const clock = createClock()
  const config = configSchema.parse({ healthInterval: 'off', ...input })
  const fails = async () => {
    throw new UpstreamFailure('connect', 'nobody there')
  }
  const seams = {
    ...clock,
    random: () => 0.5,
    log: () => undefined,
    after: (work: Promise<unknown>) => void work.catch(() => undefined),
    fetch: fails,
    relay: () => new Response(),
  }
  const actors = localActors(config, seams, memoryStorage)
  const gate = new Gate(config, { ...seams, ...actors }, TIMES)
  return { clock, gate, registry: actors.registry('main'), isUp: true }
}

type Started = ReturnType<typeof start>

/** A bare socket: what the gate sent to it, and how it was closed. */
function socket({ gate }: Started) {
  const seen = { sent: [] as Uint8Array[], code: 0, reason: '' }
  const wire: Wire = {
    send: (frame) => void seen.sent.push(frame),
    close(code, reason) {
      seen.code ||= code
      seen.reason ||= reason
    },
  }
  return { seen, ear: gate.accept(wire) }
}

const hello = (more: object = {}) => encodeJson('hello', 0, { token: 'good', name: 'box', ...more })

function refusalOf(started: Started, first: Uint8Array): string {
  const { seen, ear } = socket(started)
  ear.message(first)
  return `${seen.code} ${seen.reason}`
}

/** A client whose sockets reach the gate a turn later; `cut` breaks the present one. */
function dial(started: Started, more: { token?: string; name?: string } = {}) {
  const told: string[] = []
  let cut = () => {}
  let dials = 0
  const open = (ear: SocketEar) => {
    dials++
    let isOver = false
    let gateEar: ReturnType<Gate['accept']> | null = null
    const end = (code: number, reason: string) => {
      if (isOver) return
      isOver = true
      ear.closed(code, reason)
      gateEar?.closed(code)
    }
    const later = (run: () => void) => setImmediate(() => void (isOver || run()))
    cut = () => end(1006, '')
    if (!started.isUp) setImmediate(() => end(1006, 'refused'))
    else
      later(() => {
        gateEar = started.gate.accept({
          send: (frame) => later(() => ear.message(frame)),
          close: (code, reason) => later(() => end(code, reason)),
        })
        ear.opened({
          send: (frame) => later(() => gateEar?.message(frame)),
          close: (code, reason) => later(() => end(code, reason)),
        })
      })
    return () => end(1006, 'given up')
  }
  const engine = async () => {
    throw new UpstreamFailure('connect', 'no engine')
  }
  const { clock } = started
  const host = { now: clock.now, timer: clock.timer, random: () => 1 }
  const tell = (event: string) => void told.push(event)
  const options = {
    token: 'good',
    name: 'box',
    url: 'http://e',
    version: '1',
    dial: open,
    engine: { ask: engine, socket: engine },
    host,
    tell,
  }
  const client = new TunnelClient({ ...options, times: TIMES, ...more })
  const ended = client.run()
  return { client, told, ended, cut: () => cut(), dials: () => dials }
}

test('a worker with the right token is welcomed and registered with its tunnel as URL', async () => {
  const started = start()
  const { seen, ear } = socket(started)
  ear.message(hello({ url: 'http://127.0.0.1:8000' }))
  const welcome = decodeFrame(seen.sent[0] as Uint8Array)
  assert.equal(welcome.kind, 'welcome')
  await settle()
  const [worker] = await started.registry.list()
  assert.equal(worker?.id, readJson(welcome)['id'])
  assert.deepEqual(
    [worker?.url, worker?.source, worker?.labels['engine_url']],
    ['tunnel:box', 'tunnel', 'http://127.0.0.1:8000'],
  )
})

test('tokens are good for whom they are given to, until they are revoked', () => {
  const tokens = ['open', { token: 'bound', name: 'a' }, { token: 'old', revoked: true }]
  const started = start({ tunnelTokens: tokens })
  assert.equal(refusalOf(started, hello({ token: 'open', name: 'any' })), '0 ')
  assert.equal(refusalOf(started, hello({ token: 'bound', name: 'a' })), '0 ')
  assert.match(refusalOf(started, hello({ token: 'bound', name: 'b' })), /^4401 the token is not for/)
  assert.match(refusalOf(started, hello({ token: 'old' })), /^4401 the token was revoked/)
  assert.match(refusalOf(started, hello({ token: 'ope' })), /^4401 the token is not known/)
  assert.match(refusalOf(started, hello({ token: 'opener' })), /^4401/)
})

test('a first frame that is no hello is refused, whatever it is', () => {
  const started = start()
  const odd = [
    hello({ name: '../etc' }),
    hello({ name: 'x'.repeat(65) }),
    hello({ token: 5 }),
    hello({ received: 'many' }),
    hello({ url: 'x'.repeat(20_000) }),
    new Uint8Array(13),
  ]
  for (const first of odd) assert.match(refusalOf(started, first), /^4400/)
})

test('a socket that says nothing is closed, and strangers that crowd the door keep no worker out', async () => {
  const started = start()
  const strangers = Array.from({ length: 101 }, () => socket(started).seen)
  assert.deepEqual([strangers[0]?.code, strangers[1]?.code], [1013, 0])
  assert.equal(refusalOf(started, hello()), '0 ')
  await started.clock.advance(10_000)
  assert.equal(strangers[2]?.code, 4408)
})

test('a new worker of the same name takes the place of the old one, who stays away', async () => {
  const started = start()
  const first = dial(started)
  await settle()
  const second = dial(started)
  assert.match((await first.ended).reason, /another worker connected by this name.*--name/)
  await settle()
  assert.deepEqual(second.told, ['connected'])
  const call = { connectTimeout: 0, signal: new AbortController().signal }
  await started.gate.ready('tunnel:box', call)
})

test('a client comes again after a drop and goes on with its session', async () => {
  const started = start()
  const { told, cut } = dial(started)
  await settle()
  cut()
  await started.clock.advance(200)
  assert.deepEqual(told, ['connected', 'lost', 'resumed'])
})

test('a client that finds nobody waits longer each time, and comes back when the router does', async () => {
  const started = start()
  const { told, cut, dials } = dial(started)
  await settle()
  started.isUp = false
  cut()
  await started.clock.advance(60_000)
  const before = dials()
  assert.ok(before > 5 && before < 15, `${before} dials in a minute`)
  started.isUp = true
  await started.clock.advance(15_000)
  assert.equal(told.at(-1), 'connected')
})

test('a router that began anew gets a new session', async () => {
  const started = start()
  const { told, cut } = dial(started)
  await settle()
  started.gate.close()
  cut()
  await started.clock.advance(1000)
  assert.deepEqual(told.slice(0, 1).concat(told.slice(-1)), ['connected', 'connected'])
})

test('a call waits a moment for a link that was lost, and is told to go elsewhere after that', async () => {
  const started = start()
  const { cut } = dial(started)
  await settle()
  started.isUp = false
  cut()
  const outgoing: Outgoing = {
    method: 'GET',
    path: '/',
    headers: [],
    body: null,
    connectTimeout: 5000,
    signal: new AbortController().signal,
  }
  const kinds: string[] = []
  const receiver = {
    head: () => undefined,
    data: () => undefined,
    end: () => undefined,
    fail: ({ message }: UpstreamFailure) => void kinds.push(message),
  }
  const send = async () =>
    new Exchange().send(await started.gate.ready('tunnel:box', outgoing), outgoing, receiver)
  const lost = send()
  lost.catch((failure: UpstreamFailure) => kinds.push(failure.kind))
  await started.clock.advance(990)
  assert.deepEqual(kinds, [])
  await started.clock.advance(20)
  assert.deepEqual(kinds, ['connect'])
  started.isUp = true
  await started.clock.advance(1000)
  await send()
  await settle()
  assert.deepEqual(kinds, ['connect', 'no engine'])
})

test('a worker is unreachable to the pools once its link is gone, and reachable when it is back', async () => {
  const started = start()
  const { cut } = dial(started)
  await settle()
  const reachable = async () => (await started.registry.members(0))?.members[0]?.reachable
  assert.notEqual(await reachable(), false)
  started.isUp = false
  cut()
  await started.clock.advance(1001)
  assert.equal(await reachable(), false)
  started.isUp = true
  await started.clock.advance(2000)
  assert.notEqual(await reachable(), false)
})

test('a reload without its token cuts a worker off and removes it', async () => {
  const started = start()
  const { ended } = dial(started)
  await settle()
  started.gate.configure(configSchema.parse({ tunnelTokens: ['another'] }))
  assert.match((await ended).reason, /revoked/)
  await settle()
  assert.deepEqual(await started.registry.list(), [])
})

test('tokens are not shown with the configuration', () => {
  const shown = JSON.stringify(
    redact(configSchema.parse({ tunnelTokens: ['secret-1', { token: 'secret-2' }] })),
  )
  assert.doesNotMatch(shown, /secret-/)
})
