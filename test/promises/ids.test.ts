// Who served this, and why: ids in and out, opaque names of workers, and who is to blame for an error.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { engine, error, ok, silent } from './_engine.ts'
import { codeOf, open, router, send, STREAM } from './_router.ts'

describe('a request id', () => {
  it('is made, sent to the worker, and returned', async (t) => {
    const worker = await engine(t, ok)
    const made = await router(t, { workers: [worker.url] })
    const ids = new Set<string>()
    for (let i = 1; i <= 3; i++) {
      const got = await send(made.url)
      const id = got.headers['x-request-id'] as string
      assert.match(id, /^[\w-]{8,}$/)
      assert.equal(worker.calls[i - 1]?.header('x-request-id'), id)
      ids.add(id)
    }
    assert.equal(ids.size, 3)
  })

  it('of the client is kept, whatever the engine calls it', async (t) => {
    const worker = await engine(t, (call) => call.answer(200, '{}', { 'X-Request-Id': 'engine-1' }))
    const made = await router(t, { workers: [worker.url] })
    const got = await send(made.url, { headers: { 'X-Request-ID': 'mine/1' } })
    assert.equal(got.headers['x-request-id'], 'mine/1')
    assert.equal(worker.calls[0]?.header('x-request-id'), 'mine/1')
  })

  it('is the same for each attempt', async (t) => {
    const workers = await Promise.all([engine(t, error(500)), engine(t, error(500))])
    const made = await router(t, { workers: workers.map((worker) => worker.url) })
    const got = await send(made.url)
    for (const worker of workers)
      assert.equal(worker.calls[0]?.header('x-request-id'), got.headers['x-request-id'])
  })

  it('has the names that are configured', async (t) => {
    const worker = await engine(t, ok)
    const made = await router(t, {
      workers: [worker.url],
      requestIdHeaders: ['X-Correlation-ID', 'x-request-id'],
    })
    const got = await send(made.url, { headers: { 'x-request-id': 'mine' } })
    assert.equal(got.headers['x-correlation-id'], 'mine')
    assert.equal(worker.calls[0]?.header('x-correlation-id'), 'mine')
  })

  it('comes with refusals and with streams', async (t) => {
    const worker = await engine(t, ok)
    const made = await router(t, { workers: [worker.url] })
    const headers = { 'x-request-id': 'mine' }
    for (const body of [STREAM, '{"model":"nope"}', '{broken'])
      assert.equal((await send(made.url, { headers, body })).headers['x-request-id'], 'mine', body)
  })

  it('comes with a stream that was kept awake', async (t) => {
    const worker = await engine(t, silent)
    const made = await router(t, { workers: [worker.url], keepAlive: '20ms' })
    const client = await open(made.url, { body: STREAM, headers: { 'x-request-id': 'mine' } }).sees(
      ': keep-alive',
    )
    assert.equal(client.headers['x-request-id'], 'mine')
    client.leave()
    await made.rests()
  })

  it('too long to be one is replaced', async (t) => {
    const worker = await engine(t, ok)
    const made = await router(t, { workers: [worker.url] })
    const got = await send(made.url, { headers: { 'x-request-id': 'a'.repeat(5000) } })
    assert.ok((got.headers['x-request-id'] as string).length < 100)
  })
})

describe('the name of a worker', () => {
  it('is opaque, stable, tells no URL, and leads to it in the control plane', async (t) => {
    const workers = await Promise.all([engine(t, ok), engine(t, ok)])
    const made = await router(t, { workers: workers.map((worker) => worker.url), policy: 'round_robin' })
    const seen: string[] = []
    for (const body of [STREAM, STREAM, undefined, undefined]) {
      const got = await send(made.url, body === undefined ? {} : { body })
      const id = got.headers['x-fetchway-worker'] as string
      seen.push(id)
      assert.match(got.headers['x-fetchway-decision'] as string, /^d-\w+$/)
      const raw = got.rawHeaders.join('\n')
      for (const { port } of workers) assert.ok(!raw.includes(String(port)) && !id.includes('127'))
    }
    assert.equal(new Set(seen).size, 2)
    const byId = new Map((await made.workers()).map(({ id, url }) => [id, url]))
    assert.equal(byId.get(seen[0] as string), workers[0]?.url)
  })

  it('comes with the errors of an engine, too', async (t) => {
    const worker = await engine(t, error(400))
    const made = await router(t, { workers: [worker.url] })
    assert.match((await send(made.url)).headers['x-fetchway-worker'] as string, /^w-/)
  })

  it('of a client that forges ours is not believed', async (t) => {
    const worker = await engine(t, (call) =>
      call.answer(200, '{}', { 'x-fetchway-worker': 'forged', 'X-Fetchway-Decision': 'forged' }),
    )
    const made = await router(t, { workers: [worker.url] })
    const got = await send(made.url)
    assert.ok(!got.rawHeaders.includes('forged'))
  })
})

describe('an error of our own', () => {
  it('says code, whether a retry may help, and who failed', async (t) => {
    const worker = await engine(t, (call) => call.die())
    const made = await router(t, { workers: [worker.url], retries: 0 })
    const got = await send(made.url)
    assert.equal(got.status, 502)
    assert.equal(codeOf(got), 'worker_died')
    assert.equal(got.headers['x-fetchway-error'], 'worker_died')
    const { error: told } = JSON.parse(got.text) as { error: Record<string, unknown> }
    assert.equal(told['retryable'], true)
    assert.equal(told['type'], 'server_error')
    assert.equal(told['param'], null)
  })

  it('for an unknown model is 404 and names those that exist', async (t) => {
    const worker = await engine(t, ok, { models: ['m', 'lora'] })
    const made = await router(t, { workers: [worker.url] })
    const got = await send(made.url, { body: '{"model":"nope","messages":[]}' })
    assert.equal(got.status, 404)
    assert.equal(codeOf(got), 'model_not_found')
    assert.match(got.text, /m, lora/)
    assert.equal(worker.calls.length, 0)
  })

  it('tells no URL of a worker', async (t) => {
    const worker = await engine(t, ok)
    const made = await router(t, { workers: [worker.url] })
    await worker.stop()
    const got = await send(made.url)
    assert.equal(got.status, 502)
    assert.ok(!got.text.includes(String(worker.port)))
  })

  it('on /v1/messages has the shape of Anthropic', async (t) => {
    const worker = await engine(t, (call) => call.die())
    const made = await router(t, { workers: [worker.url], retries: 0 })
    const got = await send(made.url, { path: '/v1/messages' })
    const told = JSON.parse(got.text) as { type: string; error: { type: string } }
    assert.equal(told.type, 'error')
    assert.equal(told.error.type, 'api_error')
  })
})
