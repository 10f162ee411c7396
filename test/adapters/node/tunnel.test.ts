// Workers that dial in, on real sockets: a router, a worker's client, and a simulated engine behind it.
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { WebSocket } from 'ws'
import { createClient } from '../../../adapters/cli/connect.ts'
import { createHost } from '../../../adapters/node/host.ts'
import { serve } from '../../../adapters/node/http.ts'
import { dialer } from '../../../adapters/node/wire/websocket.ts'
import { createApp } from '../../../src/app.ts'
import { configSchema, type ConfigInput } from '../../../src/config/schema.ts'
import { createEngine, type Engine } from '../../../src/simulator/engine.ts'
import { encodeJson } from '../../../src/tunnel/frames.ts'
import { lived } from '../../_lived.ts'
import { callsOf, eventually, saidIn } from '../../journeys/_rig.ts'
import { startMiddle } from '../../tunnel/_middle.ts'

const TOKEN = 'box-token'
const TIMES = { beat: 100, silence: 400, resume: 3000 }
const OPEN = { tunnelTokens: [TOKEN], healthInterval: 'off', state: 'off', retryDelay: '1ms' }

type Handle = (request: Request) => Promise<Response>

async function startRouter(t: TestContext, input: ConfigInput = {}) {
  const read = (more: ConfigInput) => configSchema.parse({ ...OPEN, ...input, ...more })
  const host = createHost(read({}), () => undefined, { tunnelTimes: TIMES })
  const app = createApp(read({}), host)
  await app.start()
  const front = await serve((request) => app.fetch(request))
  t.after(async () => {
    host.close()
    await front.close(0)
  })
  const workers = async () =>
    ((await (await fetch(`${front.url}/fetchway/v1/workers`)).json()) as { data: Worker[] }).data
  const chat = (more: object = {}, init: RequestInit = {}) =>
    fetch(`${front.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        model: 'm',
        messages: [{ role: 'user', content: 'Hi' }],
        max_tokens: 8,
        ...more,
      }),
      ...init,
    })
  return { url: front.url, workers, chat, reload: (more: ConfigInput) => app.reload(read(more)) }
}

interface Worker {
  readonly id: string
  readonly url: string
  readonly source: string
  readonly state: string
  readonly breaker: string
  readonly known: boolean
  readonly models: readonly string[]
}

const engine = (more: object = {}) =>
  createEngine({ engine: 'vllm', speed: 0, seed: 1, models: ['m'], ...more })

/** Connects a worker; resolves when its models are known. */
async function dialIn(
  t: TestContext,
  router: Awaited<ReturnType<typeof startRouter>>,
  behind: Handle | string,
  { by = router.url, name = 'box', token = TOKEN } = {},
) {
  const served = typeof behind === 'string' ? null : await serve(behind, { breaksOnError: true })
  const client = createClient({
    router: by,
    engine: served?.url ?? String(behind),
    name,
    token,
    dialer,
    tell: () => undefined,
    times: TIMES,
  })
  const ended = client.run()
  t.after(async () => {
    client.stop()
    await served?.close(0)
  })
  return { client, ended, url: served?.url ?? String(behind), close: () => served?.close(0) }
}

const isKnown = (router: Awaited<ReturnType<typeof startRouter>>, name = 'box') =>
  eventually(
    async () =>
      (await router.workers()).some((one) => one.url === `tunnel:${name}` && one.known && one.state === 'up'),
    () => `worker ${name} never became known`,
  )

async function rig(t: TestContext, worker: Engine | Handle = engine(), input: ConfigInput = {}) {
  const router = await startRouter(t, input)
  const handle: Handle = typeof worker === 'function' ? worker : (request) => worker.fetch(request)
  const middle = await startMiddle(t, router.url)
  const box = await dialIn(t, router, handle, { by: middle.url })
  await isKnown(router)
  return { router, middle, box }
}

/** An engine that answers what the function makes of a request, and is a known vLLM besides. */
function scripted(answer: Handle): Handle {
  const plain = engine()
  return (request) =>
    new URL(request.url).pathname.startsWith('/v1/chat') ? answer(request) : plain.fetch(request)
}

test('a worker that dials in is registered like any, and answers chats and streams', async (t) => {
  const worker = engine()
  const { router } = await rig(t, worker)
  const [shown] = await router.workers()
  assert.equal(shown?.source, 'tunnel')
  assert.deepEqual(shown.models, ['m'])
  const plain = await router.chat()
  assert.equal(plain.status, 200)
  assert.equal(plain.headers.get('x-fetchway-worker'), shown.id)
  const direct = await worker.fetch(
    new Request('http://engine/v1/chat/completions', {
      method: 'POST',
      body: JSON.stringify({ model: 'm', messages: [{ role: 'user', content: 'Hi' }], max_tokens: 8 }),
      headers: { 'content-type': 'application/json' },
    }),
  )
  const contentOf = async (response: Response) =>
    ((await response.json()) as { choices: { message: { content: string } }[] }).choices[0]?.message.content
  assert.equal(await contentOf(plain), await contentOf(direct))
  const text = await (await router.chat({ stream: true })).text()
  assert.match(text, /data: \[DONE\]/)
  assert.ok(saidIn(text).length > 0)
})

test('a client that leaves stops the engine behind the tunnel within 100 ms', async (t) => {
  let aborted = 0
  const handle = scripted(async (request) => {
    const body = new ReadableStream({
      start(controller) {
        controller.enqueue(new TextEncoder().encode('data: {"choices":[{"delta":{"content":"x"}}]}\n\n'))
        request.signal.addEventListener('abort', () => (aborted = lived()))
      },
    })
    return new Response(body, { headers: { 'content-type': 'text/event-stream' } })
  })
  const { router } = await rig(t, handle)
  const abort = new AbortController()
  const response = await router.chat({ stream: true }, { signal: abort.signal })
  await response.body?.getReader().read()
  const leftAt = lived()
  abort.abort()
  await eventually(
    () => aborted > 0,
    () => 'the engine never heard of it',
  )
  assert.ok(aborted - leftAt < 100, `${aborted - leftAt} ms`)
})

test('twenty streams at a time each get their own answer', async (t) => {
  const handle = scripted(async (request) => {
    const { user } = (await request.json()) as { user: string }
    const lines = Array.from(
      { length: 30 },
      (_, i) => `data: {"choices":[{"delta":{"content":"${user}.${i} "}}]}\n\n`,
    )
    async function* tokens() {
      for (const line of lines) {
        yield new TextEncoder().encode(line)
        await new Promise((resolve) => setImmediate(resolve))
      }
      yield new TextEncoder().encode('data: [DONE]\n\n')
    }
    return new Response(tokens() as unknown as BodyInit, {
      headers: { 'content-type': 'text/event-stream' },
    })
  })
  const { router } = await rig(t, handle)
  const texts = await Promise.all(
    Array.from({ length: 20 }, async (_, i) => (await router.chat({ stream: true, user: `u${i}` })).text()),
  )
  for (const [i, text] of texts.entries())
    assert.equal(saidIn(text), Array.from({ length: 30 }, (_, n) => `u${i}.${n} `).join(''))
})

test('twenty megabytes pass both ways, and a reader that stops holds the engine back', async (t) => {
  const SIZE = 20 * 1024 * 1024
  let produced = 0
  let got = 0
  const handle = scripted(async (request) => {
    for await (const part of request.body as unknown as AsyncIterable<Uint8Array>) got += part.byteLength
    const body = new ReadableStream(
      {
        pull(controller) {
          if (produced >= SIZE) return controller.close()
          controller.enqueue(new Uint8Array(65_536).fill((produced / 65_536) % 251))
          produced += 65_536
        },
      },
      { highWaterMark: 0 },
    )
    return new Response(body, { headers: { 'content-type': 'application/octet-stream' } })
  })
  const { router } = await rig(t, handle)
  const sent = JSON.stringify({ model: 'm', messages: [{ role: 'user', content: 'x'.repeat(SIZE) }] })
  const response = await router.chat({}, { body: sent })
  assert.equal(got, sent.length)
  const reader = (response.body as ReadableStream<Uint8Array>).getReader()
  let size = (await reader.read()).value?.byteLength ?? 0
  // Nobody reads: what was made stands still far below the whole.
  let before = -1
  await eventually(
    async () => {
      const isStill = produced === before
      before = produced
      await new Promise((resolve) => setTimeout(resolve, 50))
      return isStill && produced === before
    },
    () => 'the engine was never held back',
  )
  assert.ok(produced < SIZE * 0.75, `${produced} bytes made for a reader that took ${size}`)
  for (let next = await reader.read(); !next.done; next = await reader.read()) {
    assert.equal(next.value.at(-1), Math.floor((size + next.value.byteLength - 1) / 65_536) % 251)
    size += next.value.byteLength
  }
  assert.equal(size, SIZE)
})

test('a stream goes on behind a broken connection without a lost or doubled byte', async (t) => {
  const TOKENS = 150
  const handle = scripted(async () => {
    async function* tokens() {
      for (let i = 0; i < TOKENS; i++) {
        yield new TextEncoder().encode(`data: {"choices":[{"delta":{"content":"${i} "}}]}\n\n`)
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
      yield new TextEncoder().encode('data: [DONE]\n\n')
    }
    return new Response(tokens() as unknown as BodyInit, {
      headers: { 'content-type': 'text/event-stream' },
    })
  })
  const { router, middle } = await rig(t, handle)
  const response = await router.chat({ stream: true })
  let text = ''
  let cuts = 0
  for await (const part of (response.body as ReadableStream<Uint8Array>).pipeThrough(
    new TextDecoderStream() as never,
  )) {
    text += part as unknown as string
    const wanted = [20, 60, 100][cuts]
    if (wanted === undefined || !text.includes(`"${wanted} "`)) continue
    cuts++
    middle.cut()
  }
  assert.equal(cuts, 3)
  assert.equal(saidIn(text), Array.from({ length: TOKENS }, (_, i) => `${i} `).join(''))
})

test('a worker whose connection is lost is down, its models stay, and it is back by itself', async (t) => {
  const { router, middle } = await rig(t)
  middle.open(false)
  middle.cut()
  await eventually(
    async () => (await router.workers())[0]?.state === 'down',
    () => 'the worker never went down',
  )
  assert.deepEqual((await router.workers())[0]?.models, ['m'])
  assert.notEqual((await router.chat()).status, 404)
  middle.open(true)
  await isKnown(router)
  assert.equal((await router.chat()).status, 200)
})

test('a connection that only fell silent is given up and dialled again', async (t) => {
  const { router, middle } = await rig(t)
  middle.freeze()
  await eventually(
    async () => middle.connections() === 2,
    () => 'nobody dialled again',
  )
  await isKnown(router)
  assert.equal((await router.chat()).status, 200)
})

test('a wrong token ends the client with a sentence', async (t) => {
  const router = await startRouter(t)
  const box = await dialIn(t, router, 'http://127.0.0.1:9', { token: 'guess' })
  assert.match((await box.ended).reason, /the router refused: the token is not known/)
  assert.deepEqual(await router.workers(), [])
})

test('a socket with a wrong token is closed by 4401, one that says no hello by 4400', async (t) => {
  const router = await startRouter(t)
  const closedBy = (first: Uint8Array) =>
    new Promise<number>((resolve) => {
      const socket = new WebSocket(`${router.url.replace('http', 'ws')}/fetchway/v1/tunnel`)
      socket.on('open', () => socket.send(first))
      socket.on('close', resolve)
    })
  assert.equal(await closedBy(encodeJson('hello', 0, { token: 'guess', name: 'box' })), 4401)
  assert.equal(await closedBy(encodeJson('open', 1, { token: TOKEN, name: 'box' })), 4400)
  assert.equal(await closedBy(new Uint8Array(5)), 4400)
})

test('without a token nobody may dial in, and plain requests are told how', async (t) => {
  const router = await startRouter(t, { tunnelTokens: [] })
  const box = await dialIn(t, router, 'http://127.0.0.1:9')
  assert.match((await box.ended).reason, /\(403\): This router takes no workers that dial in/)
  assert.equal((await fetch(`${router.url}/fetchway/v1/tunnel`)).status, 426)
})

test('a token that leaves the configuration cuts its worker off and removes it', async (t) => {
  const { router, box } = await rig(t)
  await router.reload({ tunnelTokens: ['another'] })
  assert.match((await box.ended).reason, /revoked/)
  await eventually(
    async () => (await router.workers()).length === 0,
    () => 'it is still there',
  )
})

test('a worker that is removed by the control plane is cut off and stays away', async (t) => {
  const { router, box } = await rig(t)
  const [shown] = await router.workers()
  const response = await fetch(`${router.url}/fetchway/v1/workers/${shown?.id}`, { method: 'DELETE' })
  assert.equal(response.status, 200)
  assert.match((await box.ended).reason, /removed/)
  assert.deepEqual(await router.workers(), [])
})

test('an engine that is down behind its tunnel is a 502, and opens the breaker', async (t) => {
  const { router, box } = await rig(t, engine(), { breakerFailures: 2, retries: 0 })
  await box.close()
  for (let i = 0; i < 2; i++) {
    const response = await router.chat()
    assert.equal(response.status, 502)
    await response.text()
  }
  assert.equal((await router.workers())[0]?.breaker, 'open')
})

test('calls go on to another worker while the tunnel is down', async (t) => {
  const { router, middle } = await rig(t)
  const other = engine()
  const served = await serve((request) => other.fetch(request))
  t.after(() => served.close(0))
  await fetch(`${router.url}/fetchway/v1/workers`, {
    method: 'POST',
    body: JSON.stringify({ url: served.url }),
  })
  await eventually(
    async () => (await router.workers()).every((one) => one.known),
    () => 'not known',
  )
  middle.open(false)
  middle.cut()
  const answers = await Promise.all(Array.from({ length: 8 }, () => router.chat()))
  assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]))
  assert.equal(callsOf(other).length, 8)
})
