import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { connect } from 'node:tls'
import { ANSWER, DONE, delta, engine, LAST, type EngineCall } from '../../../promises/_engine.ts'
import { codeOf, eventually, open, send, STREAM, type Got } from '../../../promises/_router.ts'
import { threads, type Rig } from './_front.ts'

const times = <T>(count: number, make: (index: number) => T): T[] =>
  Array.from({ length: count }, (_, index) => make(index))

/** As many clients as will not all come to one of two threads. */
const MANY = 24

/** Requests on connections of their own, so that every thread gets some. */
const sendMany = (rig: Rig): Promise<Got[]> => Promise.all(times(MANY, () => send(rig.url)))

/** Begins a stream and leaves it open. */
const half = (call: EngineCall) => void call.begin().write(delta('a'))
const finish = (call: EngineCall) => call.write(LAST).write(DONE).end()

test('a thread that dies takes its own calls along and no others, and is replaced', async (t) => {
  const upstream = await engine(t, half)
  const rig = await threads(t, { workers: [{ url: upstream.url }] })
  const openStreams = async () => {
    const clients = times(MANY, () => open(rig.url, { body: STREAM }))
    await Promise.all(clients.map((client) => client.sees('"a"')))
    return clients
  }
  const clients = await openStreams()
  assert.equal((await rig.view()).leases, MANY)

  await rig.crew.kill(0)
  const { leases } = await rig.view()
  assert.ok(leases > 0 && leases < MANY, `${leases} of ${MANY} leases are left: both threads served`)
  await upstream.until(() => upstream.inFlight === leases)
  upstream.calls.filter((call) => call.closedAt === null).forEach(finish)
  const ended = await Promise.all(clients.map((client) => client.ended))
  assert.equal(ended.filter((got) => got.isWhole).length, leases)
  await eventually(async () => (await rig.view()).leases === 0)
  assert.ok(rig.logs.some((line) => line.includes('a serving thread died')))

  // What the other one alone had is what the new one can't have got.
  await eventually(async () => (await rig.crew.inFlight()) === 0 && rig.crew.size === 2, undefined, 20_000)
  await openStreams()
  await rig.crew.kill(1)
  const again = (await rig.view()).leases
  assert.ok(again > 0 && again < MANY, `the new thread has ${again} of ${MANY} calls`)
})

test('all threads decide as one: round robin alternates, a session stays', async (t) => {
  const upstreams = await Promise.all(times(3, () => engine(t)))
  const workers = upstreams.map(({ url }) => ({ url }))
  const rig = await threads(t, { workers, policy: 'round_robin' })
  await sendMany(rig)
  assert.deepEqual(
    upstreams.map(({ calls }) => calls.length),
    [MANY / 3, MANY / 3, MANY / 3],
  )
  await rig.reload({ workers, policy: 'consistent_hash' })
  const workersSeen = new Set<unknown>()
  for (let visit = 0; visit < MANY; visit++) {
    const { headers } = await send(rig.url, { headers: { 'x-session-id': 'one' } })
    workersSeen.add(headers['x-fetchway-worker'])
  }
  assert.equal(workersSeen.size, 1)
})

test('caps and the queue are those of the router, not of a thread', async (t) => {
  const upstream = await engine(t, () => undefined)
  const rig = await threads(t, { workers: [{ url: upstream.url }], maxInFlightPerWorker: 2 })
  const clients = times(MANY, () => open(rig.url))
  await eventually(async () => (await rig.view()).queued === MANY - 2)
  // Each may be with another thread, and one of them may be slow to send what it was given.
  await upstream.until(() => upstream.inFlight === 2)
  // One that waits and leaves frees its place at once.
  const [gone, ...others] = clients
  gone?.leave()
  await eventually(async () => {
    const { queued, leases } = await rig.view()
    return queued + leases === MANY - 1
  })
  for (let answered = 0; answered < MANY - 1; answered++) {
    await upstream.until(() => upstream.calls.some((call) => !call.isAnswered && call.closedAt === null))
    upstream.calls.find((call) => !call.isAnswered && call.closedAt === null)?.answer(200, ANSWER)
  }
  const statuses = (await Promise.all(others.map((client) => client.ended))).map(({ status }) => status)
  assert.deepEqual(new Set(statuses), new Set([200]))
  assert.equal(upstream.mostInFlight, 2)
})

test('every thread tells the metrics of all, also of one that is no more', async (t) => {
  const upstream = await engine(t)
  const rig = await threads(t, { workers: [{ url: upstream.url }] })
  const counted = async () => {
    const pages = await Promise.all(times(8, () => send(rig.url, { method: 'GET', path: '/metrics' })))
    return new Set(
      pages.map(({ text }) => /fetchway_requests_total\{[^}]*outcome="ok"\} (\d+)/.exec(text)?.[1]),
    )
  }
  await sendMany(rig)
  // A client has its last byte a moment before its thread has counted it.
  await eventually(async () => [...(await counted())].every((count) => count === String(MANY)))
  await rig.crew.kill(0)
  assert.deepEqual(await counted(), new Set([String(MANY)]))
  await sendMany(rig)
  await eventually(async () => [...(await counted())].every((count) => count === String(MANY * 2)))
})

test('a status tells the live calls of all threads, and a reload reaches all', async (t) => {
  const upstream = await engine(t, half)
  const rig = await threads(t, { workers: [{ url: upstream.url }] })
  const clients = times(MANY, () => open(rig.url, { body: STREAM }))
  await Promise.all(clients.map((client) => client.sees('"a"')))
  const pages = await Promise.all(
    times(8, () => send(rig.url, { method: 'GET', path: '/fetchway/v1/status' })),
  )
  assert.deepEqual(
    new Set(pages.map(({ text }) => (JSON.parse(text) as { live: number }).live)),
    new Set([MANY]),
  )
  await rig.reload({ workers: [{ url: upstream.url }], apiKeys: [{ key: 'secret-key' }] })
  await eventually(async () => (await sendMany(rig)).every((got) => got.status === 401))
  assert.equal((await rig.view()).leases, MANY, 'calls under way go on')
})

test('bodies are held inside one budget', async (t) => {
  const upstream = await engine(t, () => undefined)
  const body = JSON.stringify({ model: 'm', messages: [{ role: 'user', content: 'x'.repeat(20_000) }] })
  const config = { workers: [{ url: upstream.url }], maxBody: '30KB', maxBuffered: '90KB' }
  const rig = await threads(t, config)
  const clients = times(MANY, () => open(rig.url, { body }))
  // Nobody is answered, so that all but those that are held must be refused.
  const ended: Got[] = []
  for (const client of clients) void client.ended.then((got) => ended.push(got))
  await eventually(() => ended.length + upstream.calls.length === MANY)
  const held = upstream.calls.length
  assert.ok(held > 0 && held <= 4, `${held} bodies of 20 KB in 90 KB`)
  for (const got of ended) assert.deepEqual([got.status, codeOf(got)], [429, 'buffers_full'])
  for (const client of clients) client.leave()
})

test("a client's TLS session goes on in whichever thread it comes to", async (t) => {
  const upstream = await engine(t)
  const file = (name: string) => new URL(`../tls/${name}.pem`, import.meta.url)
  const config = {
    workers: [{ url: upstream.url }],
    tlsCert: file('cert').pathname,
    tlsKey: file('key').pathname,
  }
  const rig = await threads(t, config)
  const { port } = new URL(rig.url)
  const ca = readFileSync(file('cert'))
  const visit = (event: 'session' | 'secureConnect', session?: Buffer) =>
    new Promise<{ told: unknown; isReused: boolean }>((resolve, reject) => {
      const socket = connect({ port: Number(port), host: '127.0.0.1', ca, ...(session && { session }) })
      socket.once('error', reject)
      socket.once(event, (told: unknown) => {
        resolve({ told, isReused: socket.isSessionReused() })
        socket.destroy()
      })
    })
  const { told } = await visit('session')
  const visits = await Promise.all(times(MANY, () => visit('secureConnect', told as Buffer)))
  assert.ok(visits.every(({ isReused }) => isReused))
})
