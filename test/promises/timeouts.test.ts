// Connect, first token, silence and the whole have clocks of their own; each rings in time and for its own call alone.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { describe, it, type TestContext } from 'node:test'
import { configSchema } from '../../src/config/schema.ts'
import { delta, engine, LAST, DONE, ok, silent } from './_engine.ts'
import { chat, codeOf, open, pause, router, send, STREAM, type Got } from './_router.ts'

const LIMIT = 120

/** It rang at its time: not before, and at most 200 ms (as lived) after. */
function inTime({ took, lived }: Pick<Got, 'took' | 'lived'>, limit = LIMIT): void {
  const isSo = took >= limit - 5 && lived < limit + 200
  assert.ok(isSo, `after ${Math.round(took)} ms, of them lived ${Math.round(lived)}`)
}

/** The data of the error event that ends a stream. */
function errorOf(text: string): { code: string } {
  const data =
    text
      .trimEnd()
      .split('\n\n')
      .at(-1)
      ?.replace(/^data: /, '') ?? ''
  return (JSON.parse(data) as { error: { code: string } }).error
}

/** Listens until the test ends; returns an https URL. */
async function listening(t: TestContext, server: Server): Promise<string> {
  const sockets: Socket[] = []
  server.on('connection', (socket: Socket) => sockets.push(socket))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return `https://127.0.0.1:${(server.address() as AddressInfo).port}`
}

describe('the clock of', () => {
  it('the connection refuses with 504 when no other worker is there', async (t) => {
    // A handshake that never ends: a connection stands only after it.
    const mute = createServer((socket) => socket.on('error', () => undefined))
    const url = await listening(t, mute)
    const made = await router(t, {
      workers: [{ url, models: ['m'], engine: 'vllm' }],
      connectTimeout: `${LIMIT}ms`,
      healthTimeout: '30ms',
      retries: 0,
    })
    const got = await send(made.url)
    assert.equal(got.status, 504)
    assert.equal(codeOf(got), 'connect_timeout')
    inTime(got)
    await made.rests()
  })

  it('the connection leaves time for another worker', async (t) => {
    const mute = createServer((socket) => socket.on('error', () => undefined))
    const url = await listening(t, mute)
    const worker = await engine(t, ok)
    const made = await router(t, {
      workers: [url, worker.url].map((one) => ({ url: one, models: ['m'], engine: 'vllm' as const })),
      connectTimeout: `${LIMIT}ms`,
      healthTimeout: '30ms',
      policy: 'round_robin',
    })
    for (let i = 0; i < 2; i++) assert.equal((await send(made.url)).status, 200)
    assert.equal(worker.calls.length, 2)
  })

  it('the first token refuses a stream with 504 before its first byte', async (t) => {
    const worker = await engine(t, silent)
    const made = await router(t, { workers: [worker.url], firstTokenTimeout: `${LIMIT}ms` })
    const got = await send(made.url, { body: STREAM })
    assert.equal(got.status, 504)
    assert.equal(codeOf(got), 'first_token_timeout')
    assert.equal(got.headers['x-fetchway-error'], 'first_token_timeout')
    inTime(got)
    await worker.until(() => worker.calls[0]?.closedAt !== null)
    assert.equal(worker.calls.length, 1, 'its time is up: nobody else is tried')
    await made.rests()
  })

  it('the first token refuses a whole answer with 504', async (t) => {
    const worker = await engine(t, silent)
    const made = await router(t, { workers: [worker.url], firstTokenTimeout: `${LIMIT}ms` })
    const got = await send(made.url)
    assert.equal(got.status, 504)
    inTime(got)
  })

  it('the first token runs on when only a head came', async (t) => {
    const worker = await engine(t, (call) => call.begin())
    const made = await router(t, { workers: [worker.url], firstTokenTimeout: `${LIMIT}ms` })
    const got = await send(made.url, { body: STREAM })
    assert.equal(got.status, 504)
    inTime(got)
  })

  it('the first token is not stopped by comments and role-only events', async (t) => {
    const role = 'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}\n\n'
    const worker = await engine(t, (call) => {
      call.begin().write(role)
      const beat = setInterval(() => call.write(': ping\n\n'), 50)
      call.socket.once('close', () => clearInterval(beat))
    })
    // Long enough that the head is there before, for otherwise it would be a refusal.
    const limit = 800
    const made = await router(t, {
      workers: [worker.url],
      firstTokenTimeout: `${limit}ms`,
      idleTimeout: '10s',
    })
    const got = await send(made.url, { body: STREAM })
    assert.equal(got.status, 200)
    assert.equal(errorOf(got.text).code, 'first_token_timeout')
    assert.ok(!got.text.includes('[DONE]'))
    inTime(got, limit)
  })

  it('silence ends a stream with an error event', async (t) => {
    const worker = await engine(t, (call) => call.begin().write(delta('a')))
    const made = await router(t, {
      workers: [worker.url],
      idleTimeout: `${LIMIT}ms`,
      firstTokenTimeout: '9s',
    })
    const got = await send(made.url, { body: STREAM })
    assert.equal(errorOf(got.text).code, 'idle_timeout')
    inTime(got)
    assert.equal(await made.metric('fetchway_requests_total', 'outcome="timeout"'), 1)
    await worker.until(() => worker.calls[0]?.closedAt !== null)
    await made.rests()
  })

  it('silence is wound up by each chunk', async (t) => {
    const worker = await engine(t, async (call) => {
      call.begin()
      for (let i = 0; i < 9; i++) {
        call.write(delta('a'))
        await pause(100)
      }
      call.write(LAST).write(DONE).end()
    })
    const made = await router(t, { workers: [worker.url], idleTimeout: '800ms' })
    const got = await send(made.url, { body: STREAM })
    assert.ok(got.took > 850 && got.text.endsWith(DONE))
  })

  it('silence breaks an answer that is no stream', async (t) => {
    const worker = await engine(t, (call) => call.begin('application/json').write('{"a":'))
    const made = await router(t, { workers: [worker.url], idleTimeout: `${LIMIT}ms` })
    const got = await send(made.url)
    assert.equal(got.isWhole, false)
    inTime(got)
    assert.equal(await made.metric('fetchway_requests_total', 'outcome="timeout"'), 1)
  })

  it('the whole ends a stream that never falls silent', async (t) => {
    const worker = await engine(t, (call) => {
      call.begin()
      const beat = setInterval(() => call.write(delta('a')), 10)
      call.socket.once('close', () => clearInterval(beat))
    })
    const made = await router(t, { workers: [worker.url], totalTimeout: `${LIMIT}ms` })
    const got = await send(made.url, { body: STREAM })
    assert.equal(errorOf(got.text).code, 'total_timeout')
    inTime(got)
  })

  it('the whole refuses before the first byte', async (t) => {
    const worker = await engine(t, silent)
    const made = await router(t, { workers: [worker.url], totalTimeout: `${LIMIT}ms` })
    const got = await send(made.url)
    assert.equal(got.status, 504)
    assert.equal(codeOf(got), 'total_timeout')
    inTime(got)
  })

  it('the whole runs in the queue, too', async (t) => {
    const worker = await engine(t, silent)
    const input = {
      workers: [worker.url],
      maxInFlightPerWorker: 1,
      queueTimeout: '30s',
      healthInterval: 'off',
    }
    const made = await router(t, input)
    const first = open(made.url)
    await worker.call()
    await made.app.reload(configSchema.parse({ ...input, totalTimeout: `${LIMIT}ms` }))
    const got = await send(made.url)
    assert.equal(got.status, 503)
    assert.equal(codeOf(got), 'queue_timeout')
    inTime(got)
    first.leave()
    await made.rests()
    assert.equal(worker.calls.length, 1)
  })

  it('one worker does not touch the traffic of another', async (t) => {
    const hung = await engine(t, silent, { models: ['hung'] })
    const worker = await engine(t, async (call) => {
      call.begin()
      for (let i = 0; i < 20; i++) {
        call.write(delta('a'))
        await pause(15)
      }
      call.write(LAST).write(DONE).end()
    })
    const made = await router(t, { workers: [hung.url, worker.url], firstTokenTimeout: '2s' })
    const lost = Array.from({ length: 20 }, () => send(made.url, { body: chat({ model: 'hung' }) }))
    const good = Array.from({ length: 10 }, () => send(made.url, { body: STREAM }))
    for (const got of await Promise.all(lost)) assert.equal(got.status, 504)
    for (const got of await Promise.all(good)) assert.ok(got.isWhole && got.text.endsWith(DONE))
    await made.rests()
  })

  it('a busy router still answers /livez at once', async (t) => {
    const worker = await engine(t, silent)
    const made = await router(t, { workers: [worker.url] })
    const clients = Array.from({ length: 100 }, () => open(made.url))
    await worker.call(100)
    const got = await send(made.url, { path: '/livez', method: 'GET' })
    assert.equal(got.status, 200)
    assert.ok(got.lived < 50, `${got.lived} ms`)
    for (const client of clients) client.leave()
    await made.rests()
  })

  it('nothing rings for a call that was answered', async (t) => {
    const worker = await engine(t, ok)
    const made = await router(t, {
      workers: [worker.url],
      firstTokenTimeout: '600ms',
      idleTimeout: '600ms',
      totalTimeout: '800ms',
    })
    assert.equal((await send(made.url)).status, 200)
    await pause(900)
    assert.equal((await send(made.url)).status, 200)
    assert.equal((await made.workers())[0]?.breaker, 'closed')
  })
})
