import assert from 'node:assert/strict'
import { test } from 'node:test'
import { vllmRouter } from '../../src/dialects/vllm-router/index.ts'
import { callsOf, chat, engine, headerOf } from '../journeys/_rig.ts'
import { rig as open, type Asked } from './_rig.ts'

const W1 = 'http://w1:8000'
const W2 = 'http://w2:8000'
const CHAT = '/v1/chat/completions'
const rig = (line: string, fleet: Parameters<typeof open>[2], more = {}) =>
  open(vllmRouter, line, fleet, { healthInterval: 'off', retryDelay: '1ms', ...more })
const two = (line = '') => rig(`--worker-urls ${W1} ${W2} ${line}`.trim(), { [W1]: engine(), [W2]: engine() })
const coded = (url: string) => encodeURIComponent(url)

const READS: readonly (readonly [path: string, status: number, answer: RegExp])[] = [
  ['/health', 200, /^All servers healthy$/],
  ['/liveness', 200, /^OK$/],
  ['/readiness', 200, /^\{"status":"ready","healthy_workers":2,"total_workers":2\}$/],
  ['/v1/models', 200, /"owned_by":"vllm"/],
  ['/list_workers', 200, /^\{"urls":\["http:\/\/w1:8000","http:\/\/w2:8000"\]\}$/],
  ['/get_loads', 200, /^\{"workers":\[\{"worker":"http:\/\/w1:8000","load":-?\d+\},/],
  [`/workers/${coded(W1)}`, 200, /^\{"url":"http:\/\/w1:8000","model_id":"unknown","is_healthy":true\}$/],
  ['/workers/abc', 404, /^\{"error":"Worker abc not found","code":"WORKER_NOT_FOUND"\}$/],
  ['/scheduling/diagnostics', 404, /^\{"enabled":false,/],
  ['/v1/chat/completions', 405, /^$/],
  // All else is the workers'.
  ['/version', 200, /^\{"version":"0\.\d+\.\d+"\}$/],
  ['/metrics', 200, /^vllm:num_requests_running/m],
  ['/nope', 404, /^\{"detail":"Not Found"\}$/],
]

test('a slash behind a path makes it the workers’, and workers are not changed by PATCH', async () => {
  const asked: string[] = []
  const worker = engine()
  const fetch = async (request: Request) => {
    asked.push(new URL(request.url).pathname)
    return worker.fetch(request)
  }
  const { ask } = await rig(`--worker-urls ${W1}`, { [W1]: { fetch } })
  await ask('/health/')
  assert.ok(asked.includes('/health/'))
  const changed = await ask(`/workers/${coded(W1)}`, { method: 'PATCH', body: {} })
  assert.equal(changed.status, 405)
  assert.equal(changed.headers.get('allow'), 'GET,HEAD,DELETE')
})

test('what is read answers as there', async () => {
  const { ask } = await two()
  for (const [path, status, answer] of READS) {
    const reply = await ask(path)
    assert.equal(reply.status, status, path)
    assert.match(reply.text, answer, path)
    assert.ok(reply.headers.has('x-request-id'), path)
  }
})

test('the list of workers has their fields', async () => {
  const { ask } = await two()
  const { json } = await ask('/workers')
  assert.deepEqual(json.workers[0], {
    url: W1,
    model_id: 'unknown',
    worker_type: 'regular',
    is_healthy: true,
    load: 0,
    connection_mode: 'Http',
    priority: 50,
    cost: 1,
  })
  assert.deepEqual([json.total, json.stats], [2, { prefill_count: 0, decode_count: 0, regular_count: 2 }])
})

test('its health is that of its workers', async () => {
  const { ask } = await rig(`--worker-urls ${W1} ${W2}`, { [W1]: engine(), [W2]: null })
  const { status, text } = await ask('/health')
  assert.deepEqual([status, text], [503, `Unhealthy servers: ["${W2}"]`])
  assert.equal((await ask('/readiness')).status, 200)
  const alone = await rig('', {})
  assert.deepEqual((await alone.ask('/readiness')).json, {
    status: 'not_ready',
    reason: 'no healthy workers available',
    total_workers: 0,
  })
})

test('where workers register themselves, its health waits for both kinds of them', async () => {
  const { ask } = await rig(
    `--vllm-pd-disaggregation --vllm-discovery-address 127.0.0.1:1`,
    {},
    {
      heartbeatListen: undefined,
    },
  )
  const { status, text } = await ask('/health')
  assert.deepEqual([status, text], [503, 'Waiting for discovered workers: 0 prefill, 0 decode'])
})

const BODIES: readonly (readonly [string, Asked, number, RegExp])[] = [
  [CHAT, { body: '{bad' }, 400, /^(?!\{)/],
  [CHAT, { body: { model: 'm' } }, 422, /missing field `messages`/],
  [CHAT, { body: '[]' }, 422, /^Failed to deserialize the JSON body into the target type/],
  [CHAT, { body: chat(), headers: { 'content-type': 'text/plain' } }, 415, /^Expected request with/],
  [
    '/v1/completions',
    { body: '{"model":"m",\n"n": 1}\n' },
    422,
    /missing field `prompt` at line 2 column 7$/,
  ],
  ['/v1/embeddings', { body: { model: 'm' } }, 422, /missing field `input`/],
  ['/v1/rerank', { body: { query: 'q', documents: [] } }, 400, /^Documents list cannot be empty$/],
  ['/rerank', { body: { query: 'q' } }, 422, /missing field `documents`/],
  ['/rerank', { body: { query: 'q', documents: ['a'], top_k: 0 } }, 400, /^top_k must be greater than 0$/],
  ['/inference/v1/generate', { body: {} }, 422, /missing field `token_ids`/],
  [
    '/v1/chat/completions',
    { body: { messages: 'x' } },
    422,
    /messages: invalid type: string "x", expected a sequence at line 1 column 15$/,
  ],
  [
    CHAT,
    { body: { ...chat(), stream: 'yes' } },
    422,
    /stream: invalid type: string "yes", expected a boolean/,
  ],
  [
    CHAT,
    { body: { ...chat(), max_tokens: -1 } },
    422,
    /max_tokens: invalid value: integer `-1`, expected u32/,
  ],
  [CHAT, { body: { ...chat(), model: 5 } }, 422, /model: invalid type: integer, expected a string/],
  [CHAT, { method: 'POST' }, 415, /^Expected request with `Content-Type: application\/json`$/],
  [CHAT, { body: '' }, 400, /^Failed to parse the request body as JSON: EOF/],
  ['/v1/embeddings', { body: 'x' }, 400, /^Failed to parse the request body as JSON/],
  ['/v1/embeddings', { body: 'x', headers: { 'content-type': 'text/plain' } }, 415, /^Expected request/],
  ['/nope', { body: '{bad' }, 400, /^Invalid JSON body: /],
  ['/add_worker', { method: 'POST' }, 400, /missing field `url`/],
  ['/workers', { body: {} }, 422, /missing field `url`/],
  ['/workers', { body: { url: 5 } }, 422, /url: invalid type: integer `5`, expected a string/],
  ['/workers', { body: { url: W1 } }, 400, /"code":"ADD_WORKER_FAILED"/],
  ['/add_worker?url=http://w1:8000', { method: 'POST' }, 400, /^Worker http:\/\/w1:8000 already exists$/],
]

test('what is wrong is refused as there', async () => {
  const { ask } = await two()
  for (const [path, asked, status, answer] of BODIES) {
    const reply = await ask(path, asked)
    assert.equal(reply.status, status, `${path} ${JSON.stringify(asked)}: ${reply.text}`)
    assert.match(reply.text, answer)
  }
})

test('workers come and go by URL, in both ways', async () => {
  const { ask } = await rig('', { [W1]: engine(), [W2]: engine() })
  assert.equal(
    (await ask(`/add_worker?url=${W1}`, { method: 'POST' })).text,
    `Successfully added worker: ${W1}`,
  )
  assert.equal((await ask('/workers', { body: { url: W2 } })).json.success, true)
  assert.equal((await ask('/list_workers')).json.urls.length, 2)
  const gone = await ask(`/workers/${coded(W2)}`, { method: 'DELETE' })
  assert.deepEqual([gone.status, gone.json.success], [200, true])
  assert.equal((await ask(`/workers/${coded(W2)}`, { method: 'DELETE' })).status, 404)
  assert.equal((await ask(`/remove_worker?url=${W1}`, { method: 'POST' })).status, 200)
  assert.equal((await ask(`/remove_worker?url=${W1}`, { method: 'POST' })).status, 404)
})

test('unknown paths reach a worker, with their method and body', async () => {
  const worker = engine()
  const { ask } = await rig(`--worker-urls ${W1}`, { [W1]: worker })
  const { status, json } = await ask('/tokenize?x=1', { body: { model: 'm', prompt: 'a' } })
  assert.deepEqual([status, json.count], [200, 1])
  assert.deepEqual(
    callsOf(worker).map(({ method, path }) => `${method} ${path}`),
    ['POST /tokenize?x=1'],
  )
})

test('a worker that cannot be reached: 500 on its own paths, 502 on those that are passed on', async () => {
  const worker = engine()
  const { ask } = await rig(`--worker-urls ${W1} --disable-retries --disable-circuit-breaker`, {
    [W1]: worker,
  })
  worker.kill()
  const own = await ask(CHAT, { body: chat() })
  const other = await ask('/tokenize', { body: { model: 'm', prompt: 'a' } })
  assert.deepEqual([own.status, other.status], [500, 502])
  assert.match(own.text, /^Request failed: /)
  assert.match(other.text, /^Backend request failed: /)
  assert.doesNotMatch(own.text + other.text, /w1/)
})

const SESSIONS: readonly (readonly [
  what: string,
  headers: Record<string, string>,
  body: Record<string, unknown>,
])[] = [
  ['a session header', { 'x-session-id': 's' }, {}],
  ['a user header', { 'x-user-id': 's' }, {}],
  ['a tenant header', { 'x-tenant-id': 's' }, {}],
  ['a trace header', { 'x-trace-id': 's' }, {}],
  ['session_params', {}, { session_params: { session_id: 's' } }],
  ['a user', {}, { user: 's' }],
  ['a session_id', {}, { session_id: 's' }],
  ['a user_id', {}, { user_id: 's' }],
]

for (const policy of ['consistent_hash', 'sticky_least_loaded'])
  for (const [what, headers, body] of SESSIONS)
    test(`${policy}: ${what} keeps its worker`, async () => {
      const [a, b] = [engine(), engine()]
      const { ask } = await rig(`--worker-urls ${W1} ${W2} --policy ${policy}`, { [W1]: a, [W2]: b })
      for (let i = 0; i < 5; i++) await ask(CHAT, { body: chat(body), headers })
      assert.deepEqual(
        [callsOf(a).length, callsOf(b).length].toSorted((one, other) => one - other),
        [0, 5],
      )
    })

test('a request id is no session; with --strict-compat it is', async () => {
  for (const strictCompat of [false, true]) {
    const [a, b] = [engine(), engine()]
    const line = `--worker-urls ${W1} ${W2} --policy consistent_hash`
    const { ask } = await rig(line, { [W1]: a, [W2]: b }, { strictCompat })
    for (let i = 0; i < 6; i++)
      await ask(CHAT, { body: chat({ user: 's' }), headers: { 'x-request-id': `r${i}${i * 7}` } })
    const isSplit = callsOf(a).length > 0 && callsOf(b).length > 0
    assert.equal(isSplit, strictCompat)
  }
})

test('a session that is finished leaves its worker with one fewer', async () => {
  const [a, b] = [engine(), engine()]
  const line = `--worker-urls ${W1} ${W2} --policy sticky_least_loaded`
  const { ask } = await rig(line, { [W1]: a, [W2]: b })
  const send = (session: string) => ask(CHAT, { body: chat(), headers: { 'x-session-id': session } })
  await send('one')
  const [first, other] = callsOf(a).length > 0 ? [a, b] : [b, a]
  await send('two')
  const finished = await ask('/finish_session?session_id=one', { method: 'POST' })
  assert.deepEqual(finished.json, { status: 'ok', session_id: 'one' })
  await send('three')
  assert.deepEqual([callsOf(first).length, callsOf(other).length], [2, 1])
})

test('the key is for workers, and clients need none', async () => {
  const worker = engine({ apiKey: 'k' })
  const { ask } = await rig(`--worker-urls ${W1} --api-key k`, { [W1]: worker })
  assert.equal((await ask(CHAT, { body: chat() })).status, 200)
  assert.equal(headerOf(callsOf(worker)[0], 'authorization'), 'Bearer k')
})

test('where tokens are validated every endpoint needs one, and its own is told in plain words', async () => {
  const validator = {
    fetch: (request: Request) =>
      Promise.resolve(
        new Response('', { status: request.headers.get('authorization') === 'Bearer t' ? 200 : 401 }),
      ),
  }
  const line = `--worker-urls ${W1} --api-key-validation-urls https://who/user`
  const { ask } = await rig(line, { [W1]: engine(), 'https://who': validator })
  const refused = await ask('/health')
  assert.deepEqual([refused.status, refused.text], [401, 'You must provide a valid API key.'])
  assert.equal((await ask(CHAT, { body: chat(), headers: { authorization: 'Bearer t' } })).status, 200)
})

test('a full queue is 429 with a time to come back, and no body', async () => {
  const slow = engine({ speed: 1, prefillTokensPerSecond: 20 })
  const { ask } = await rig(`--worker-urls ${W1} --max-concurrent-requests 1 --queue-size 0`, { [W1]: slow })
  const [, refused] = await Promise.all([1, 2].map(() => ask(CHAT, { body: chat({ max_tokens: 1 }) })))
  assert.deepEqual([refused?.status, refused?.text], [429, ''])
  assert.match(refused?.headers.get('retry-after') ?? '', /^[1-9]\d*$/)
})

test('metrics have the names and labels of the original', async () => {
  const { ask, metrics } = await two()
  await ask(CHAT, { body: chat() })
  const text = await metrics()
  for (const line of [
    /^vllm_router_requests_total\{route="\/v1\/chat\/completions"\} 1$/m,
    /^vllm_router_request_duration_seconds_count\{route="\/v1\/chat\/completions"\} 1$/m,
    /^vllm_router_processed_requests_total\{worker="http:\/\/w\d:8000"\} 1$/m,
    /^vllm_router_policy_decisions_total\{policy="cache_aware",worker="http:\/\/w\d:8000"\} 1$/m,
    /^vllm_router_active_workers 2$/m,
    /^vllm_router_cb_state\{worker="http:\/\/w1:8000"\} 0$/m,
  ])
    assert.match(text, line)
})
