import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { serve } from '../../adapters/node/http.ts'
import { createEngine, type Engine } from '../../src/simulator/engine.ts'
import { ask, askJson, chat, HandClock, settle } from './_engine.ts'

const quick = (more = {}) => createEngine({ engine: 'vllm', speed: 0, ...more })
const STREAM = chat('hello', { stream: true, max_tokens: 8 })

/** Reads a stream until it ends or breaks. */
async function read(
  engine: Engine,
  fault: string,
  body = STREAM,
): Promise<{ chunks: string[]; broken: boolean }> {
  const response = await ask(engine, '/v1/chat/completions', body, { headers: { 'x-fault': fault } })
  assert.equal(response.status, 200)
  const chunks: string[] = []
  try {
    const decoder = new TextDecoder()
    for await (const bytes of response.body as ReadableStream<Uint8Array>) chunks.push(decoder.decode(bytes))
    return { chunks, broken: false }
  } catch (error) {
    assert.ok(error instanceof TypeError)
    return { chunks, broken: true }
  }
}

/** An engine behind a real socket. */
async function served(t: TestContext, speed: number): Promise<string> {
  const engine = quick({ speed })
  const front = await serve((request) => engine.fetch(request), { breaksOnError: true })
  t.after(() => front.close(0))
  return `${front.url}/v1/chat/completions`
}

/** What a client of a socket gets until the answer ends or breaks. */
async function post(url: string, body: Record<string, unknown>, fault: string) {
  const headers = { 'content-type': 'application/json', 'x-fault': fault }
  const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) })
  const { status } = response
  const length = response.headers.get('content-length')
  const decoder = new TextDecoder()
  let text = ''
  try {
    for await (const bytes of response.body as ReadableStream<Uint8Array>) text += decoder.decode(bytes)
    return { status, length, text, broken: false }
  } catch {
    // the break is what is looked for
    return { status, length, text, broken: true }
  }
}

void test("status answers in the engine's own shape, with Retry-After", async () => {
  const response = await ask(quick(), '/v1/chat/completions', STREAM, {
    headers: { 'x-fault': 'status=503;retry-after=2' },
  })
  assert.equal(response.status, 503)
  assert.equal(response.headers.get('retry-after'), '2')
  assert.equal((await response.json()).error.code, 503)
})

void test('die-after breaks the stream after so many chunks and frees the sequence', async () => {
  const engine = quick()
  const { chunks, broken } = await read(engine, 'die-after=3')
  assert.equal(chunks.length, 3)
  assert.ok(broken)
  assert.equal(engine.seen().running, 0)
})

void test('die-before-first sends a head and nothing else', async () => {
  assert.deepEqual(await read(quick(), 'die-before-first'), { chunks: [], broken: true })
})

void test('die-before-head is a broken connection', async () => {
  await assert.rejects(
    ask(quick(), '/v1/chat/completions', STREAM, { headers: { 'x-fault': 'die-before-head' } }),
    TypeError,
  )
})

void test('half-event-after dies in the midst of an event', async () => {
  const { chunks, broken } = await read(quick(), 'half-event-after=2')
  assert.equal(chunks.length, 3)
  assert.ok(!chunks[2]?.endsWith('\n\n'))
  assert.ok(broken)
})

void test('truncate ends a stream cleanly without its finish', async () => {
  const { chunks, broken } = await read(quick(), 'truncate')
  assert.equal(chunks.length, 3)
  assert.ok(!broken)
  assert.doesNotMatch(chunks.join(''), /DONE|"finish_reason":"/)
})

void test('garbage-after puts broken bytes into a stream that goes on', async () => {
  const { chunks, broken } = await read(quick(), 'garbage-after=2')
  assert.ok(!broken)
  assert.throws(() => JSON.parse((chunks[2] as string).slice(6)))
  assert.equal(chunks.at(-1), 'data: [DONE]\n\n')
})

void test('a whole body can break in its midst too', async () => {
  const { chunks, broken } = await read(quick(), 'die-after=3', chat('hello'))
  assert.ok(broken)
  assert.throws(() => JSON.parse(chunks.join('')))
})

for (const speed of [0, 1]) {
  void test(`at speed ${speed} a socket gets the head and all chunks that came before death`, async (t) => {
    const url = await served(t, speed)
    for (const [fault, whole, half] of [
      ['die-before-first', 0, false],
      ['die-after=1', 1, false],
      ['die-after=2', 2, false],
      ['die-after=3', 3, false],
      ['half-event-after=1', 1, true],
      ['half-event-after=2', 2, true],
    ] as const) {
      const { status, text, broken } = await post(url, STREAM, fault)
      assert.deepEqual([status, broken], [200, true], fault)
      const events = text.split('\n\n')
      const rest = events.pop()
      assert.equal(events.length, whole, `${fault}: ${text}`)
      assert.equal(rest !== '', half, `${fault}: ${text}`)
    }
  })
}

void test('length-lie announces more bytes than come, and then the connection breaks', async (t) => {
  const url = await served(t, 0)
  for (const body of [chat('hello'), STREAM]) {
    const { length, text, broken } = await post(url, body, 'length-lie')
    assert.ok(text.length > 0 && Number(length) > text.length)
    assert.ok(broken)
  }
})

void test('truncate ends a whole body early, yet cleanly', async (t) => {
  const url = await served(t, 0)
  const { text, broken } = await post(url, chat('hello'), 'truncate')
  assert.ok(!broken)
  assert.throws(() => JSON.parse(text))
})

void test('a stall hangs until the client leaves, before the head or in the stream', async () => {
  const engine = quick()
  const left = new AbortController()
  const headers = { 'x-fault': 'stall-before-head' }
  const call = ask(engine, '/v1/chat/completions', STREAM, { headers, signal: left.signal })
  await settle()
  left.abort()
  await assert.rejects(call, { name: 'AbortError' })
  const stream = await ask(engine, '/v1/chat/completions', STREAM, {
    headers: { 'x-fault': 'stall-after=2' },
  })
  const reader = (stream.body as ReadableStream<Uint8Array>).getReader()
  await reader.read()
  await reader.read()
  const third = reader.read()
  assert.equal(await Promise.race([third, settle().then(() => 'nothing')]), 'nothing')
  await reader.cancel()
  assert.equal(engine.seen().running, 0)
  assert.equal(engine.seen().aborted, 1)
})

void test('a killed engine breaks stalled calls', async () => {
  const engine = quick()
  const call = ask(engine, '/v1/chat/completions', STREAM, { headers: { 'x-fault': 'stall-before-head' } })
  await settle()
  engine.kill()
  await assert.rejects(call, TypeError)
})

void test('slow waits before each chunk', async () => {
  const clock = new HandClock()
  const engine = createEngine({ engine: 'vllm', speed: 0 }, clock)
  const response = await ask(engine, '/v1/chat/completions', STREAM, { headers: { 'x-fault': 'slow=200ms' } })
  let count = 0
  const reading = (async () => {
    for await (const _ of response.body as ReadableStream<Uint8Array>) count++
  })()
  await clock.advance(199)
  assert.equal(count, 1)
  await clock.advance(401)
  assert.equal(count, 4)
  await clock.advance(10_000)
  await reading
})

void test('faults can be set for all calls at run time, for a path, and for a number of times', async () => {
  const engine = quick()
  await ask(engine, '/fault', { fault: 'status=500; path=/v1/; times=2' })
  const statuses = async (path: string, body?: Record<string, unknown>) =>
    (await ask(engine, path, body)).status
  assert.equal(await statuses('/health'), 200)
  assert.equal(await statuses('/v1/models'), 500)
  assert.equal(await statuses('/v1/models'), 500)
  assert.equal(await statuses('/v1/models'), 200)
  assert.equal(await statuses('/fault', { fault: 'explode' }), 400)
})

void test('without a path faults strike inference alone, so that no probe uses them up', async () => {
  const engine = quick({ engine: 'sglang', fault: 'status=500; times=3' })
  const statuses = async (path: string, body?: Record<string, unknown>) =>
    (await ask(engine, path, body)).status
  for (const probe of ['/health', '/v1/models', '/metrics', '/get_load'])
    assert.equal(await statuses(probe), 200, probe)
  assert.equal(await statuses('/flush_cache', {}), 200)
  assert.equal(await statuses('/v1/tokenize', { prompt: 'a' }), 200)
  assert.equal(await statuses('/v1/chat/completions', chat('hello')), 500)
  assert.equal(await statuses('/generate', { text: 'hello' }), 500)
  assert.equal(await statuses('/v1/embeddings', { input: 'hello' }), 500)
  assert.equal(await statuses('/v1/chat/completions', chat('hello')), 200)
})

void test('an engine can be made faulty from the start', async () => {
  assert.equal((await ask(quick({ fault: 'status=429; path=/' }), '/health')).status, 429)
  assert.throws(() => quick({ fault: 'explode' }), RangeError)
  const headers = { 'x-fault': 'explode' }
  assert.equal((await ask(quick(), '/health', undefined, { headers })).status, 400)
})

void test('each engine asks for its key in its own words and leaves its health open', async () => {
  for (const [engine, body] of [
    ['vllm', '{"error":"Unauthorized"}'],
    ['sglang', '{"error":"Unauthorized"}'],
    ['lmdeploy', '"type":"authentication_error"'],
  ] as const) {
    const one = createEngine({ engine, speed: 0, apiKey: 'k' })
    const refused = await ask(one, '/v1/models')
    assert.equal(refused.status, 401)
    assert.ok((await refused.text()).includes(body))
    assert.equal((await ask(one, '/health')).status, 200)
    const models = await askJson(one, '/v1/models', undefined, { headers: { authorization: 'Bearer k' } })
    assert.equal(models.data[0].id, 'demo-model')
  }
})
