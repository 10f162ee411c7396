// Admission: caps that hold until the end of streams, a queue with bounds, deadlines and order.
import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import {
  delta,
  DONE,
  engine,
  LAST,
  ok,
  silent,
  type Behaviour,
  type EngineCall,
  type ScriptedEngine,
} from './_engine.ts'
import {
  chat,
  codeOf,
  eventually,
  open,
  pause,
  router,
  send,
  STREAM,
  type Client,
  type Router,
} from './_router.ts'
import type { ConfigInput } from '../../src/config/schema.ts'

async function single(
  t: TestContext,
  behave: Behaviour,
  config: ConfigInput,
): Promise<{ made: Router; worker: ScriptedEngine }> {
  const worker = await engine(t, behave)
  return { worker, made: await router(t, { workers: [worker.url], ...config }) }
}

const begins: Behaviour = (call) => void call.begin().write(delta('a'))
const finish = (call: EngineCall | undefined): void => call?.write(LAST).write(DONE).end()

/** Waits until so many calls wait for room. */
const queued = (made: Router, count: number): Promise<void> =>
  eventually(async () => (await made.status()).queued === count)

/** A client whose call waits before the next one comes. */
async function waits(made: Router, sent: Parameters<typeof open>[1] = {}): Promise<Client> {
  const before = (await made.status()).queued
  const client = open(made.url, sent)
  await queued(made, before + 1)
  return client
}

describe('a cap on calls in flight', () => {
  it('per worker holds until the END of a stream', async (t) => {
    const { made, worker } = await single(t, begins, { maxInFlightPerWorker: 2 })
    const clients = [open(made.url, { body: STREAM }), open(made.url, { body: STREAM })]
    await Promise.all(clients.map((client) => client.sees('"a"')))
    await waits(made, { body: STREAM })
    await pause(30)
    assert.equal(worker.calls.length, 2)
    finish(worker.calls[0])
    await worker.call(3)
    assert.equal(worker.mostInFlight, 2)
    finish(worker.calls[1])
    finish(worker.calls[2])
    await made.rests()
  })

  it('over all workers holds until the end, too', async (t) => {
    const workers = await Promise.all([engine(t, begins), engine(t, begins), engine(t, begins)])
    const made = await router(t, { workers: workers.map((worker) => worker.url), maxInFlight: 2 })
    const clients = Array.from({ length: 6 }, () => open(made.url, { body: STREAM }))
    await queued(made, 4)
    const calls = () => workers.flatMap((worker) => worker.calls)
    assert.equal(calls().length, 2)
    for (let i = 0; i < 6; i++) {
      await eventually(() => calls().some((call) => !call.isAnswered))
      finish(calls().find((call) => !call.isAnswered))
    }
    for (const client of clients) assert.ok((await client.ended).text.endsWith(DONE))
    await made.rests()
  })

  it('of one worker may differ', async (t) => {
    const worker = await engine(t, silent)
    const made = await router(t, { workers: [{ url: worker.url, maxInFlight: 1 }], maxInFlightPerWorker: 8 })
    const first = open(made.url)
    await worker.call()
    const second = await waits(made)
    assert.equal(worker.calls.length, 1)
    first.leave()
    await worker.call(2)
    second.leave()
    await made.rests()
  })

  it('never lets more than eight into each of two workers, and refuses what does not fit', async (t) => {
    const behave: Behaviour = async (call) => {
      call.begin().write(delta('a'))
      await pause(20)
      finish(call)
    }
    const workers = await Promise.all([engine(t, behave), engine(t, behave)])
    const made = await router(t, {
      workers: workers.map((worker) => worker.url),
      maxInFlightPerWorker: 8,
      queueSize: 16,
      queueTimeout: '5s',
    })
    const got = await Promise.all(Array.from({ length: 100 }, () => send(made.url, { body: STREAM })))
    for (const worker of workers) assert.ok(worker.mostInFlight <= 8, `${worker.mostInFlight}`)
    const good = got.filter(({ status }) => status === 200)
    const refused = got.filter(({ status }) => status === 429)
    assert.equal(good.length + refused.length, 100)
    assert.ok(good.length >= 32, `${good.length}`)
    for (const one of good) assert.ok(one.text.endsWith(DONE))
    for (const one of refused) assert.equal(codeOf(one), 'queue_full')
    await made.rests()
  })
})

describe('the queue', () => {
  it('refuses with 429 and Retry-After when it is full', async (t) => {
    const { made, worker } = await single(t, silent, { maxInFlightPerWorker: 1, queueSize: 2 })
    const clients = [open(made.url)]
    await worker.call()
    clients.push(await waits(made), await waits(made))
    const got = await send(made.url)
    assert.equal(got.status, 429)
    assert.equal(codeOf(got), 'queue_full')
    assert.ok(Number(got.headers['retry-after']) >= 1)
    assert.ok(got.lived < 200)
    for (const client of clients) client.leave()
    await made.rests()
  })

  it('of size 0 refuses at once', async (t) => {
    const { made, worker } = await single(t, silent, { maxInFlightPerWorker: 1, queueSize: 0 })
    const client = open(made.url)
    await worker.call()
    assert.equal((await send(made.url)).status, 429)
    client.leave()
    await made.rests()
  })

  it('refuses who waited past the deadline, and gives the GPU nothing of it', async (t) => {
    const { made, worker } = await single(t, silent, { maxInFlightPerWorker: 1, queueTimeout: '100ms' })
    const client = open(made.url)
    await worker.call()
    const got = await send(made.url)
    assert.equal(got.status, 503)
    assert.equal(codeOf(got), 'queue_timeout')
    assert.ok(Number(got.headers['retry-after']) >= 1)
    assert.ok(got.took >= 95 && got.lived < 300, `${got.took}`)
    client.leave()
    await made.rests()
    assert.equal(worker.calls.length, 1)
  })

  it('frees the places of clients that left, so that the next is let in', async (t) => {
    const { made, worker } = await single(t, silent, { maxInFlightPerWorker: 1, queueSize: 16 })
    const running = open(made.url)
    await worker.call()
    const waiting = Array.from({ length: 16 }, () => open(made.url))
    await queued(made, 16)
    assert.equal((await send(made.url)).status, 429)
    for (const client of waiting) client.leave()
    await queued(made, 0)
    const next = await waits(made)
    worker.behave = ok
    running.leave()
    assert.equal((await next.ended).status, 200)
    assert.equal(worker.calls.length, 2)
    await made.rests()
  })

  it('goes by priority, lower first, then by arrival', async (t) => {
    const { made, worker } = await single(t, silent, { maxInFlightPerWorker: 1 })
    const first = open(made.url)
    await worker.call()
    await waits(made, { body: chat({ user: 'late', priority: 5 }) })
    await waits(made, { body: chat({ user: 'plain 1' }) })
    await waits(made, { body: chat({ user: 'plain 2' }) })
    await waits(made, { body: chat({ user: 'early' }), headers: { 'x-priority': '-3' } })
    worker.behave = ok
    first.leave()
    await worker.call(5)
    const order = worker.calls.slice(1).map((call) => call.json()['user'])
    assert.deepEqual(order, ['early', 'plain 1', 'plain 2', 'late'])
    await made.rests()
  })

  it('lets no client before the place of its key', async (t) => {
    const worker = await engine(t, silent)
    const made = await router(t, {
      workers: [worker.url],
      maxInFlightPerWorker: 1,
      apiKeys: [
        { key: 'low', priority: 5 },
        { key: 'high', priority: 1 },
      ],
    })
    const as = (key: string) => ({ authorization: `Bearer ${key}` })
    const first = open(made.url, { headers: as('high') })
    await worker.call()
    await waits(made, { body: chat({ user: 'low' }), headers: { ...as('low'), 'x-priority': '-9' } })
    await waits(made, { body: chat({ user: 'high' }), headers: as('high') })
    worker.behave = ok
    first.leave()
    await worker.call(3)
    assert.deepEqual(
      worker.calls.slice(1).map((call) => call.json()['user']),
      ['high', 'low'],
    )
  })

  it('of one model does not hold up another', async (t) => {
    const full = await engine(t, silent, { models: ['full'] })
    const free = await engine(t, ok, { models: ['free'] })
    const made = await router(t, { workers: [full.url, free.url], maxInFlightPerWorker: 1 })
    const clients = [open(made.url, { body: chat({ model: 'full' }) })]
    await full.call()
    clients.push(await waits(made, { body: chat({ model: 'full' }) }))
    assert.equal((await send(made.url, { body: chat({ model: 'free' }) })).status, 200)
    for (const client of clients) client.leave()
    await made.rests()
  })

  it('keeps streams awake with comments when asked to, and they end as streams', async (t) => {
    const { made, worker } = await single(t, silent, { maxInFlightPerWorker: 1, keepAlive: '25ms' })
    const running = open(made.url)
    await worker.call()
    const waiting = await open(made.url, { body: STREAM }).sees(': keep-alive\n\n: keep-alive\n\n')
    assert.equal(waiting.status, 200)
    assert.match(waiting.headers['content-type'] ?? '', /^text\/event-stream/)
    worker.behave = ok
    running.leave()
    const { text, isWhole } = await waiting.ended
    assert.ok(isWhole)
    assert.equal(text.replaceAll(': keep-alive\n\n', ''), delta('a') + delta('b') + LAST + DONE)
    await made.rests()
  })

  it('keeps no whole answer awake, and no stream unless asked to', async (t) => {
    const { made, worker } = await single(t, silent, { keepAlive: '20ms' })
    const client = open(made.url)
    await worker.call()
    await pause(70)
    assert.equal(client.status, 0)
    client.leave()
  })

  it('tells a refusal to a stream that is awake as an error event', async (t) => {
    const { made, worker } = await single(t, silent, {
      maxInFlightPerWorker: 1,
      keepAlive: '20ms',
      queueTimeout: '600ms',
    })
    const running = open(made.url)
    await worker.call()
    const got = await send(made.url, { body: STREAM })
    assert.equal(got.status, 200)
    assert.match(got.text, /\n\ndata: \{"error":\{.*"code":"queue_timeout".*\}\}\n\n$/)
    assert.ok(!got.text.includes('[DONE]'))
    running.leave()
    await made.rests()
  })

  it('loses an awake client that leaves while it waits', async (t) => {
    const { made, worker } = await single(t, silent, { maxInFlightPerWorker: 1, keepAlive: '15ms' })
    const running = open(made.url)
    await worker.call()
    const waiting = await open(made.url, { body: STREAM }).sees(': keep-alive')
    waiting.leave()
    await queued(made, 0)
    running.leave()
    await made.rests()
    assert.equal(worker.calls.length, 1)
  })
})
