// Workers come, go, drain and restart at run time, and no request is lost that could be served.
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { WebSocketServer } from 'ws'
import { configSchema } from '../../src/config/schema.ts'
import { lived } from '../_lived.ts'
import { delta, DONE, engine, LAST, ok, type Behaviour } from './_engine.ts'
import {
  chat,
  codeOf,
  eventually,
  open,
  pause,
  router,
  send,
  STREAM,
  type Got,
  type Router,
} from './_router.ts'

const WORKERS = '/fetchway/v1/workers'
const get = (made: Router, path: string): Promise<Got> => send(made.url, { path, method: 'GET' })
const add = (made: Router, spec: object): Promise<Got> =>
  send(made.url, { path: WORKERS, body: JSON.stringify(spec) })
const idOf = ({ text }: Got): string => (JSON.parse(text) as { id: string }).id

async function stateFile(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'fetchway-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  return join(folder, 'state.json')
}

/** Streams of ten tokens, 10 ms apart. */
const slowly: Behaviour = async (call) => {
  call.begin()
  for (let i = 0; i < 10; i++) {
    call.write(delta('a'))
    await pause(10)
  }
  call.write(LAST).write(DONE).end()
}

describe('a worker', () => {
  it('that is added serves as soon as it said what it is', async (t) => {
    const made = await router(t)
    assert.equal((await get(made, '/readyz')).status, 503)
    const early = await send(made.url)
    assert.equal(early.status, 503)
    assert.equal(codeOf(early), 'no_workers')
    const worker = await engine(t, ok, { models: ['late'] })
    const got = await add(made, { url: worker.url })
    assert.equal(got.status, 201)
    assert.equal(got.headers['location'], `${WORKERS}/${idOf(got)}`)
    assert.equal((await send(made.url, { body: chat({ model: 'late' }) })).status, 200)
    assert.equal((await get(made, '/readyz')).status, 200)
    assert.equal((await add(made, { url: worker.url })).status, 409)
    assert.equal((await add(made, { url: 'ftp://x' })).status, 400)
    assert.equal((await add(made, { nonsense: 1 })).status, 400)
  })

  it('that is removed finishes its streams and gets no new calls', async (t) => {
    const [old, other] = [await engine(t, slowly), await engine(t, ok)]
    const made = await router(t, { workers: [old.url, other.url], policy: 'round_robin' })
    const client = await open(made.url, { body: STREAM }).sees('"a"')
    const id = String(client.headers['x-fetchway-worker'])
    assert.equal((await send(made.url, { path: `${WORKERS}/${id}`, method: 'DELETE' })).status, 200)
    for (let i = 0; i < 6; i++) assert.equal((await send(made.url)).status, 200)
    assert.equal(old.calls.length, 1)
    assert.ok((await client.ended).text.endsWith(DONE))
    await made.rests()
    assert.equal((await get(made, `${WORKERS}/${id}`)).status, 404)
  })

  it('that drains finishes its streams, takes no new calls, and comes back', async (t) => {
    const [first, second] = [await engine(t, slowly), await engine(t, ok)]
    const made = await router(t, { workers: [first.url, second.url], policy: 'round_robin' })
    const client = await open(made.url, { body: STREAM }).sees('"a"')
    const id = String(client.headers['x-fetchway-worker'])
    assert.equal((await send(made.url, { path: `${WORKERS}/${id}/drain`, body: '' })).status, 200)
    for (let i = 0; i < 6; i++) assert.equal((await send(made.url)).status, 200)
    assert.equal(first.calls.length, 1)
    assert.ok((await client.ended).text.endsWith(DONE))
    first.behave = ok
    await send(made.url, { path: `${WORKERS}/${id}/undrain`, body: '' })
    for (let i = 0; i < 6; i++) await send(made.url)
    assert.equal(first.calls.length, 4)
  })

  it('that is patched changes at once', async (t) => {
    const worker = await engine(t, ok)
    const made = await router(t, { workers: [worker.url] })
    const [{ id } = { id: '' }] = await made.workers()
    const patch = (change: object) =>
      send(made.url, { path: `${WORKERS}/${id}`, method: 'PATCH', body: JSON.stringify(change) })
    assert.equal((await patch({ weight: 3, api_key: 'fresh' })).status, 200)
    assert.equal((await made.workers())[0]?.weight, 3)
    await send(made.url)
    assert.equal(worker.calls[0]?.header('authorization'), 'Bearer fresh')
    assert.equal((await patch({ draining: true })).status, 200)
    assert.equal((await send(made.url)).status, 503)
    assert.equal((await patch({ weight: -1 })).status, 400)
    assert.equal((await patch({ url: 'http://other' })).status, 400)
    assert.equal((await patch({ draining: 'yes' })).status, 400)
  })

  it('that was added is there after a restart; those of flags are not kept', async (t) => {
    const [flagged, added, gone] = [await engine(t), await engine(t), await engine(t)]
    const state = await stateFile(t)
    const made = await router(t, { workers: [flagged.url], state })
    await add(made, { url: added.url, weight: 2, apiKey: 'its-key' })
    const id = idOf(await add(made, { url: gone.url }))
    await send(made.url, { path: `${WORKERS}/${id}`, method: 'DELETE' })
    await made.close()
    assert.ok(!(await readFile(state, 'utf8')).includes(flagged.url))
    const after = await router(t, { state })
    const workers = await after.workers()
    assert.deepEqual(
      workers.map(({ url, weight, source }) => ({ url, weight, source })),
      [{ url: added.url, weight: 2, source: 'api' }],
    )
    assert.equal((await send(after.url)).status, 200)
    assert.equal(added.calls[0]?.header('authorization'), 'Bearer its-key')
  })

  it('that restarts under load loses no call that another can serve', async (t) => {
    const workers = [await engine(t, ok), await engine(t, ok)]
    const made = await router(t, {
      workers: workers.map((worker) => worker.url),
      healthInterval: '30ms',
      healthFailures: 1,
      retryFloor: 1000,
      breakerOpen: '50ms',
    })
    let isOver = false
    const statuses = new Map<number, number>()
    const load = async () => {
      while (!isOver) {
        const { status } = await send(made.url)
        statuses.set(status, (statuses.get(status) ?? 0) + 1)
      }
    }
    const clients = Array.from({ length: 8 }, load)
    for (const worker of workers) {
      await pause(60)
      await worker.stop()
      await pause(80)
      await worker.start()
      // Back, and trusted again: half open it takes one call at a time, and the next one is about to go.
      await eventually(
        async () =>
          (await made.workers()).every(({ state, breaker }) => state === 'up' && breaker === 'closed'),
        () => 'the worker did not come back',
      )
    }
    isOver = true
    await Promise.all(clients)
    assert.deepEqual([...statuses.keys()], [200], JSON.stringify([...statuses]))
    await made.rests()
  })

  it('of a new configuration replaces the old ones under streams that go on', async (t) => {
    const [old, fresh] = [await engine(t, slowly), await engine(t, ok)]
    const made = await router(t, { workers: [old.url] })
    const client = await open(made.url, { body: STREAM }).sees('"a"')
    await made.app.reload(configSchema.parse({ workers: [fresh.url], healthInterval: 'off', maxBody: '1KB' }))
    await eventually(
      async () => (await send(made.url)).headers['x-fetchway-worker'] !== client.headers['x-fetchway-worker'],
    )
    assert.equal(old.calls.length, 1)
    assert.equal((await send(made.url, { body: chat({ pad: 'x'.repeat(2000) }) })).status, 413)
    assert.ok((await client.ended).text.endsWith(DONE))
    await made.rests()
  })
})

describe('the router', () => {
  it('that is told to end is not ready at once, and serves what still comes', async (t) => {
    const worker = await engine(t, (call) => void call.begin().write(delta('a')))
    const made = await router(t, { workers: [worker.url] })
    const client = await open(made.url, { body: STREAM }).sees('"a"')
    worker.behave = slowly
    assert.equal((await get(made, '/readyz')).status, 200)
    made.app.drain()
    assert.equal((await get(made, '/readyz')).status, 503)
    assert.equal((await get(made, '/health')).status, 503)
    assert.equal((await get(made, '/livez')).status, 200)
    assert.equal(made.app.inFlight(), 1)
    assert.ok((await send(made.url, { body: STREAM })).text.endsWith(DONE))
    ;(await worker.call()).write(LAST).write(DONE).end()
    assert.ok((await client.ended).text.endsWith(DONE))
    await eventually(() => made.app.inFlight() === 0)
  })
})

describe('a WebSocket', () => {
  async function echo(
    t: TestContext,
  ): Promise<{ url: string; seen: { path?: string; key?: string }[]; closed: () => number }> {
    const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
    await new Promise((resolve) => server.once('listening', resolve))
    const seen: { path?: string; key?: string }[] = []
    let closed = 0
    server.on('connection', (socket, request) => {
      seen.push({ path: request.url ?? '', key: request.headers.authorization ?? '' })
      socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }))
      socket.on('close', () => closed++)
    })
    t.after(() => {
      for (const socket of server.clients) socket.terminate()
      server.close()
    })
    return {
      url: `http://127.0.0.1:${(server.address() as { port: number }).port}`,
      seen,
      closed: () => closed,
    }
  }

  it('passes through: both ways, counted until its end, with the key of the worker', async (t) => {
    const { url, seen, closed } = await echo(t)
    const made = await router(t, { workers: [{ url, models: ['rt'], engine: 'vllm', apiKey: 'wk' }] })
    const socket = new WebSocket(`${made.url.replace('http', 'ws')}/v1/realtime?model=rt`)
    await new Promise((resolve, reject) => {
      socket.onopen = resolve
      socket.onerror = reject
    })
    const echoed = new Promise((resolve) => (socket.onmessage = ({ data }) => resolve(data)))
    socket.send('hällo')
    assert.equal(await echoed, 'hällo')
    assert.deepEqual(seen, [{ path: '/v1/realtime?model=rt', key: 'Bearer wk' }])
    assert.equal((await made.status()).in_flight, 1)
    socket.close()
    await eventually(() => closed() === 1)
    await made.rests()
  })

  it('goes to a worker that can be reached, and to none for an unknown model', async (t) => {
    const { url } = await echo(t)
    const dead = await engine(t)
    await dead.stop()
    const worker = (at: string) => ({ url: at, models: ['rt'], engine: 'vllm' as const })
    const made = await router(t, { workers: [worker(dead.url), worker(url)], policy: 'round_robin' })
    const opens = (model: string) =>
      new Promise<boolean>((resolve) => {
        const socket = new WebSocket(`${made.url.replace('http', 'ws')}/v1/realtime?model=${model}`)
        socket.onopen = () => (socket.close(), resolve(true))
        socket.onerror = () => resolve(false)
      })
    for (let i = 0; i < 3; i++) assert.ok(await opens('rt'))
    assert.equal(await opens('nope'), false)
    await made.rests()
  })

  it('that waits for room is refused at its deadline', async (t) => {
    const { url } = await echo(t)
    const made = await router(t, {
      workers: [{ url, models: ['rt'], engine: 'vllm' }],
      maxInFlightPerWorker: 1,
      queueTimeout: '80ms',
    })
    const address = `${made.url.replace('http', 'ws')}/v1/realtime?model=rt`
    const first = new WebSocket(address)
    await new Promise((resolve) => (first.onopen = resolve))
    const startedAt = lived()
    const isOpen = await new Promise((resolve) => {
      const second = new WebSocket(address)
      second.onopen = () => resolve(true)
      second.onerror = () => resolve(false)
    })
    assert.equal(isOpen, false)
    assert.ok(lived() - startedAt < 400)
    first.close()
    await made.rests()
  })
})
