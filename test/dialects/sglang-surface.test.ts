import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sglangRouter } from '../../src/dialects/sglang-router/index.ts'
import { uuidOf } from '../../src/dialects/gateway/fleet.ts'
import { engine as vllm, chat, callsOf, headerOf } from '../journeys/_rig.ts'
import { rig as open, type Asked } from './_rig.ts'

const engine = (options: object = {}) => vllm({ engine: 'sglang', ...options })
const W1 = 'http://w1:8000'
const W2 = 'http://w2:8000'
const CHAT = '/v1/chat/completions'
const rig = (line: string, fleet: Parameters<typeof open>[2], more = {}) =>
  open(sglangRouter, line, fleet, { healthInterval: 'off', retryDelay: '1ms', ...more })
const two = (line = '') => rig(`--worker-urls ${W1} ${W2} ${line}`.trim(), { [W1]: engine(), [W2]: engine() })

const READS: readonly (readonly [path: string, status: number, answer: RegExp])[] = [
  ['/health', 200, /^OK$/],
  ['/liveness', 200, /^OK$/],
  ['/readiness', 200, /^\{"status":"ready","healthy_workers":2,"total_workers":2\}$/],
  ['/health_generate', 200, /^$/],
  ['/get_server_info', 200, /"version"/],
  ['/v1/models', 200, /^\{"object":"list","data":\[\{"id":"m","object":"model","owned_by":"local"\}\]\}$/],
  ['/get_model_info', 200, /"model_path":"m"/],
  ['/engine_metrics', 200, /worker_addr="http:\/\/w2:8000"/],
  ['/list_workers', 200, /^\{"urls":\["http:\/\/w1:8000","http:\/\/w2:8000"\]\}$/],
  ['/get_loads', 200, /^\{"workers":\[\{"worker":"http:\/\/w1:8000","load":0\},/],
  ['/ha/status', 503, /^\{"error":"mesh not enabled"\}$/],
  ['/nope', 404, /^$/],
  ['/metrics', 404, /^$/],
  ['/v1/chat/completions', 405, /^$/],
  ['/workers/abc', 400, /"code":"BAD_REQUEST"/],
  [
    `/workers/${uuidOf('x')}`,
    404,
    /^\{"error":"Worker [0-9a-f-]{36} not found","code":"WORKER_NOT_FOUND"\}$/,
  ],
]

test('what is read answers as there', async () => {
  const { ask } = await two()
  for (const [path, status, answer] of READS) {
    const reply = await ask(path)
    assert.equal(reply.status, status, path)
    assert.match(reply.text, answer, path)
  }
})

test('a slash behind a path is another path, and workers are changed by PUT alone', async () => {
  const { ask } = await two()
  for (const path of ['/health/', '/workers/']) assert.equal((await ask(path)).status, 404, path)
  assert.equal((await ask(`${CHAT}/`, { body: chat() })).status, 404)
  const changed = await ask(`/workers/${uuidOf('x')}`, { method: 'PATCH', body: {} })
  assert.equal(changed.status, 405)
  assert.equal(changed.headers.get('allow'), 'GET,HEAD,PUT,DELETE')
})

test('without workers it is alive, and not ready', async () => {
  const { ask } = await rig('', {})
  const replies = await Promise.all(
    ['/health', '/readiness', '/health_generate', '/v1/models', '/get_model_info', '/engine_metrics'].map(
      async (path) => {
        const { status, text } = await ask(path)
        return [status, text]
      },
    ),
  )
  assert.deepEqual(replies, [
    [200, 'OK'],
    [503, '{"status":"not ready","reason":"insufficient healthy workers"}'],
    [503, 'No routers with healthy workers available'],
    [503, 'No models available'],
    [
      503,
      '{"error":{"type":"Service Unavailable","code":"no_workers","message":"No workers are available"}}',
    ],
    [500, 'No available workers'],
  ])
  const refused = await ask(CHAT, { body: chat() })
  assert.equal(refused.status, 503)
  assert.equal(refused.headers.get('x-smg-error-code'), 'no_available_workers')
})

const BODIES: readonly (readonly [string, Asked, number, RegExp])[] = [
  [CHAT, { body: '{bad' }, 400, /"type":"invalid_request_error","code":"json_parse_error"/],
  [CHAT, { body: { model: 'm' } }, 400, /missing field `messages`.*"code":"json_parse_error"/],
  [CHAT, { body: { model: 'm', messages: [] } }, 400, /"code":400/],
  [CHAT, { body: chat(), headers: { 'content-type': 'text/plain' } }, 400, /Missing Content-Type/],
  ['/v1/completions', { body: '{bad' }, 400, /^(?!\{)/],
  ['/v1/completions', { body: { model: 'm' } }, 422, /^Failed to deserialize .* missing field `prompt`/],
  ['/v1/completions', { body: {}, headers: { 'content-type': 'x' } }, 415, /^Expected request with/],
  ['/v1/embeddings', { body: { model: 'm' } }, 422, /missing field `input`/],
  ['/rerank', { body: { query: 'q', documents: [] } }, 400, /Documents list cannot be empty.*"code":400/],
  ['/rerank', { body: { query: 'q' } }, 400, /missing field `documents`.*"code":"json_parse_error"/],
  ['/rerank', { body: { query: 'q', documents: ['a'], top_k: 0 } }, 400, /top_k.*"code":400/],
  ['/v1/rerank', { body: { documents: ['a'] } }, 422, /missing field `query`/],
  ['/v1/responses', { body: { model: 'm' } }, 400, /missing field `input`/],
  [
    '/v1/chat/completions',
    { body: { messages: 'x' } },
    400,
    /string \\"x\\", expected a sequence at line 1 column 15/,
  ],
  [CHAT, { body: { ...chat(), stream: 'yes' } }, 400, /stream: .*string.*a boolean.*"json_parse_error"/],
  [CHAT, { body: { ...chat(), max_tokens: -1 } }, 400, /integer `-1`, expected u32.*"json_parse_error"/],
  [CHAT, { body: { ...chat(), model: 5 } }, 400, /model: invalid type: .*"json_parse_error"/],
  [CHAT, { method: 'POST' }, 400, /Missing Content-Type.*"json_parse_error"/],
  [
    '/v1/completions',
    { body: { prompt: 'a' } },
    422,
    /^Failed to deserialize .* missing field `model` at line 1 column 14$/,
  ],
  ['/v1/completions', { body: { model: 5, prompt: 'a' } }, 422, /model: invalid type: integer, expected/],
  ['/v1/completions', { body: { model: 'm', prompt: 'a', max_tokens: 1.5 } }, 422, /floating point `1.5`/],
  ['/v1/completions', { body: 'x', headers: { 'content-type': 'x' } }, 415, /^Expected request with/],
  ['/v1/embeddings', { body: { input: 'a' } }, 422, /missing field `model`/],
  ['/v1/embeddings', { body: { input: 'a', model: null } }, 422, /model: invalid type: null/],
  ['/v1/embeddings', { body: '' }, 400, /^Failed to parse the request body as JSON: EOF/],
  ['/v1/responses', { body: { input: 'a', stream: 'yes' } }, 400, /stream: .*"json_parse_error"/],
  ['/generate', { body: { text: 'a', stream: null } }, 422, /stream: invalid type: null, expected a boolean/],
  ['/workers', { body: {} }, 422, /missing field `url`/],
  ['/workers', { body: { url: 5 } }, 422, /url: invalid type: integer `5`, expected a string/],
  ['/add_worker', { method: 'POST' }, 400, /missing field `url`/],
]

test('bodies that are wrong are refused as there', async () => {
  const { ask } = await two()
  for (const [path, asked, status, answer] of BODIES) {
    const reply = await ask(path, asked)
    assert.equal(reply.status, status, `${path} ${JSON.stringify(asked)}: ${reply.text}`)
    assert.match(reply.text, answer)
  }
})

test('a worker is added by URL once it is well, and removed', async () => {
  const { ask } = await rig(`--worker-urls ${W1}`, { [W1]: engine(), [W2]: engine() })
  const texts = []
  for (const path of [`/add_worker?url=${W2}`, `/add_worker?url=${W2}`, `/remove_worker?url=${W2}`])
    texts.push((await ask(path, { method: 'POST' })).text)
  assert.deepEqual(texts, [
    `Successfully added worker: ${W2}`,
    `Worker ${W2} already exists`,
    `Successfully removed worker: ${W2}`,
  ])
  assert.equal((await ask(`/remove_worker?url=${W2}`, { method: 'POST' })).status, 404)
  assert.equal((await ask('/list_workers')).text, `{"urls":["${W1}"]}`)
})

test('with --strict-compat any worker is removed', async () => {
  const { ask } = await rig('', {}, { strictCompat: true })
  assert.equal((await ask(`/remove_worker?url=${W2}`, { method: 'POST' })).status, 200)
})

for (const [interval, looks] of [
  [1, 13],
  [10, 7],
] as const)
  test(`a worker that comes up late is waited for, looked at each ${interval} s at most`, async () => {
    const late = engine()
    late.kill()
    const line = `--worker-startup-timeout-secs 60 --worker-startup-check-interval ${interval}`
    let asked = 0
    const counting = { fetch: (request: Request) => (asked++, late.fetch(request)) }
    const { ask, pass } = await rig(line, { [W1]: counting }, { movesClock: true })
    const added = ask(`/add_worker?url=${W1}`, { method: 'POST' })
    await pass(10_000)
    assert.equal(asked, looks)
    late.revive()
    await pass(10_000)
    assert.equal((await added).status, 200)
  })

test('a worker that does not come up in time is given up', async () => {
  const { ask, pass } = await rig('--worker-startup-timeout-secs 5', {}, { movesClock: true })
  const added = ask(`/add_worker?url=${W1}`, { method: 'POST' })
  await pass(6000)
  const { status, text } = await added
  assert.deepEqual([status, text], [400, `Worker ${W1} did not become healthy within 5 s`])
})

test('a worker is added by UUID: 202, a job, and then the worker', async () => {
  const late = engine()
  late.kill()
  const { ask, pass } = await rig('', { [W1]: late }, { movesClock: true })
  const { status, headers, json } = await ask('/workers', {
    body: { url: W1, priority: 3, labels: { zone: 'a' } },
  })
  const id = json.worker_id as string
  assert.equal(status, 202)
  assert.equal(headers.get('location'), `/workers/${id}`)
  assert.deepEqual(json, {
    status: 'accepted',
    worker_id: id,
    url: W1,
    location: `/workers/${id}`,
    message: 'Worker addition queued for background processing',
  })
  const pending = (await ask(`/workers/${id}`)).json
  assert.deepEqual(
    [pending.model_id, pending.is_healthy, pending.job_status.status],
    ['unknown', false, 'processing'],
  )
  assert.equal((await ask('/workers')).json.total, 0)
  late.revive()
  await pass(10_000)
  const worker = (await ask(`/workers/${id}`)).json
  assert.deepEqual(
    [
      worker.url,
      worker.model_id,
      worker.priority,
      worker.is_healthy,
      worker.worker_type,
      worker.metadata.zone,
    ],
    [W1, 'm', 3, true, 'regular', 'a'],
  )
  const changed = await ask(`/workers/${id}`, { method: 'PUT', body: { priority: 9 } })
  assert.deepEqual([changed.status, (await ask(`/workers/${id}`)).json.priority], [202, 9])
  assert.equal((await ask(`/workers/${id}`, { method: 'DELETE' })).status, 202)
  assert.equal((await ask(`/workers/${id}`)).status, 404)
})

test('a job that failed says why', async () => {
  const { ask, pass } = await rig('--worker-startup-timeout-secs 5', {}, { movesClock: true })
  const { json } = await ask('/workers', { body: { url: W1 } })
  await pass(6000)
  const { job_status: job } = (await ask(`/workers/${json.worker_id}`)).json
  assert.deepEqual([job.status, job.message], ['failed', 'did not become healthy within 5 s'])
})

test('a URL that is there already is refused; with --strict-compat it is accepted all the same', async () => {
  const line = `--worker-urls ${W1}`
  const plain = await rig(line, { [W1]: engine() })
  const strict = await rig(line, { [W1]: engine() }, { strictCompat: true })
  assert.equal((await plain.ask('/workers', { body: { url: W1 } })).status, 409)
  assert.equal((await strict.ask('/workers', { body: { url: W1 } })).status, 202)
})

test('caches are flushed on all workers; where one fails, which', async () => {
  const dead = engine()
  const { ask } = await rig(`--worker-urls ${W1} ${W2}`, { [W1]: engine(), [W2]: dead })
  const good = await ask('/flush_cache', { method: 'POST' })
  assert.deepEqual(
    [good.status, good.json.status, good.json.workers_flushed, good.json.total_workers],
    [200, 'success', 2, 2],
  )
  dead.kill()
  const partial = await ask('/flush_cache', { method: 'POST' })
  assert.deepEqual(
    [partial.status, partial.json.status, partial.json.successful],
    [206, 'partial_success', [W1]],
  )
  assert.equal(partial.json.failed[0].worker, W2)
})

test('reranking is wrapped, cut and stripped', async () => {
  const { ask } = await two()
  const body = { query: 'q', documents: ['a', 'b', 'c'], model: 'm' }
  const { json } = await ask('/rerank', { body: { ...body, top_k: 2, return_documents: false, rid: 'r' } })
  assert.deepEqual([json.results.length, json.object, json.id, json.model], [2, 'rerank', 'r', 'm'])
  assert.ok(json.results.every((result: object) => !('document' in result)))
  const plain = (await ask('/v1/rerank', { body })).json
  assert.equal(plain.results.length, 3)
  assert.ok('document' in plain.results[0])
})

const IDS: readonly (readonly [path: string, prefix: RegExp])[] = [
  ['/v1/chat/completions', /^chatcmpl-[A-Za-z0-9]{24}$/],
  ['/v1/completions', /^cmpl-[A-Za-z0-9]{24}$/],
  ['/generate', /^gnt-[A-Za-z0-9]{24}$/],
  ['/v1/responses', /^resp-[A-Za-z0-9]{24}$/],
  ['/health', /^req-[A-Za-z0-9]{24}$/],
]

test('each answer has an id, its prefix by path', async () => {
  const { ask } = await two()
  for (const [path, id] of IDS) assert.match((await ask(path)).headers.get('x-request-id') ?? '', id)
  assert.equal((await ask('/nope')).headers.get('x-request-id'), null)
})

test('a client’s id comes back as x-request-id, from the headers that are named', async () => {
  const worker = engine()
  const { ask } = await rig(`--worker-urls ${W1} --request-id-headers x-a x-b`, { [W1]: worker })
  const headers = { 'x-b': 'mine', 'x-request-id': 'other' }
  assert.equal((await ask(CHAT, { body: chat(), headers })).headers.get('x-request-id'), 'mine')
  assert.equal(headerOf(callsOf(worker)[0], 'x-request-id'), 'mine')
})

test('with a key calls and the control plane need it, the rest is open', async () => {
  const { ask } = await two('--api-key k')
  const bearer = { authorization: 'Bearer k' }
  const statuses = []
  for (const path of [
    '/workers',
    '/get_loads',
    '/list_workers',
    '/readiness',
    '/v1/models',
    '/get_model_info',
  ])
    statuses.push((await ask(path)).status)
  assert.deepEqual(statuses, [401, 401, 401, 200, 200, 200])
  const refused = await ask(CHAT, { body: chat() })
  assert.deepEqual([refused.status, refused.text], [401, ''])
  assert.equal((await ask(CHAT, { body: chat(), headers: bearer })).status, 200)
  assert.equal((await ask('/workers', { headers: bearer })).status, 200)
})

test('keys with roles open the control plane in place of the plain key', async () => {
  const { ask } = await two('--api-key k --control-plane-api-keys 1:a:admin:sk-a 2:b:user:sk-b')
  const replies = []
  for (const key of ['sk-a', 'sk-b', 'k']) {
    const { status, text } = await ask('/workers', { headers: { authorization: `Bearer ${key}` } })
    replies.push([status, status === 200 ? '' : text])
  }
  assert.deepEqual(replies, [
    [200, ''],
    [403, 'Admin role required for control plane access'],
    [401, 'Invalid authentication token'],
  ])
  const { status, text, headers } = await ask('/workers')
  assert.deepEqual([status, text], [401, 'Missing or invalid Authorization header'])
  assert.equal(headers.get('www-authenticate'), 'Bearer realm="control-plane"')
})

test('without a key web pages of other origins may not change workers', async () => {
  const { ask } = await two()
  const headers = { origin: 'https://evil', host: 'router' }
  assert.equal((await ask('/flush_cache', { method: 'POST', headers })).status, 403)
})

test('a full queue is 429, a wait that is too long 408, both without a body', async () => {
  const slow = engine({ speed: 1, prefillTokensPerSecond: 20 })
  const line = `--worker-urls ${W1} --max-concurrent-requests 1 --queue-size 1 --queue-timeout-secs 1`
  const { ask } = await rig(line, { [W1]: slow }, { queueTimeout: '30ms' })
  const replies = [1, 2, 3].map(() => ask(CHAT, { body: chat({ max_tokens: 1 }) }))
  const [, waited, refused] = await Promise.all(replies)
  assert.deepEqual([refused?.status, refused?.text], [429, ''])
  assert.deepEqual([waited?.status, waited?.text], [408, ''])
})

test('a worker that cannot be reached is told without its URL', async () => {
  const worker = engine()
  const { ask } = await rig(`--worker-urls ${W1} --disable-retries`, { [W1]: worker })
  worker.kill()
  const { status, headers, text } = await ask(CHAT, { body: chat() })
  assert.equal(status, 500)
  assert.equal(headers.get('x-smg-error-code'), 'call_upstream_request_error')
  assert.doesNotMatch(text, /w1/)
})

test('attempts in all are as many as --retry-max-retries says, 408 too', async () => {
  for (const status of [408, 503]) {
    const worker = engine({ fault: `status=${status}` })
    const line = `--worker-urls ${W1} --retry-max-retries 4 --retry-initial-backoff-ms 1`
    const { ask } = await rig(line, { [W1]: worker })
    assert.equal((await ask(CHAT, { body: chat() })).status, status)
    assert.equal(callsOf(worker).length, 4)
  }
})

test('client errors open no breaker, server errors do, busy ones (503) among them', async () => {
  for (const [status, isOpen] of [
    [400, false],
    [503, true],
    [500, true],
  ] as const) {
    const worker = engine({ fault: `status=${status}` })
    const line = `--worker-urls ${W1} --disable-retries --cb-failure-threshold 2`
    const { ask } = await rig(line, { [W1]: worker })
    for (let i = 0; i < 3; i++) await ask(CHAT, { body: chat() })
    assert.equal(callsOf(worker).length, isOpen ? 2 : 3, String(status))
  }
})

test('a routing key keeps its worker; the same key gets the same one as the original’s ring', async () => {
  const [a, b] = [engine(), engine()]
  const line = `--worker-urls ${W1} ${W2} --policy consistent_hashing`
  const { ask } = await rig(line, { [W1]: a, [W2]: b })
  const send = (headers: Record<string, string>) => ask(CHAT, { body: chat(), headers })
  for (let i = 0; i < 4; i++) await send({ 'x-smg-routing-key': 'k' })
  assert.ok([a, b].some((worker) => callsOf(worker).length === 4))
  for (const [target, worker] of [
    ['0', a],
    ['1', b],
  ] as const) {
    const before = callsOf(worker).length
    await send({ 'x-smg-target-worker': target })
    assert.equal(callsOf(worker).length, before + 1)
  }
  assert.equal((await send({ 'x-smg-target-worker': '7' })).status, 503)
  const implicit = [a, b].map((worker) => callsOf(worker).length)
  for (let i = 0; i < 4; i++) await send({ cookie: 'c=1' })
  const grown = [a, b].map((worker, at) => callsOf(worker).length - (implicit[at] as number))
  assert.deepEqual(
    grown.toSorted((one, other) => one - other),
    [0, 4],
  )
})

test('models are told by name only with --enable-igw', async () => {
  const { ask } = await two()
  assert.equal((await ask(CHAT, { body: chat({ model: undefined }) })).status, 200)
  const gateway = await two('--enable-igw')
  assert.equal((await gateway.ask(CHAT, { body: chat({ model: 'other' }) })).status, 404)
})

test('metrics have the names and labels of the original, beside ours', async () => {
  const { ask, metrics } = await two('--prometheus-duration-buckets 0.5 60')
  await ask(CHAT, { body: chat() })
  const text = await metrics()
  assert.match(
    text,
    /^smg_router_requests_total\{router_type="http",backend_type="regular",connection_mode="http",model="m",endpoint="chat",streaming="false"\} 1$/m,
  )
  assert.match(text, /^smg_http_requests_total\{method="POST",path="\/v1\/chat\/completions"\} 1$/m)
  assert.match(text, /^smg_http_responses_total\{status_code="200",error_code=""\} 1$/m)
  assert.match(text, /^smg_worker_health\{worker="http:\/\/w1:8000"\} 1$/m)
  assert.match(text, /^smg_worker_cb_state\{worker="http:\/\/w2:8000"\} 0$/m)
  assert.match(text, /^smg_worker_cb_outcomes_total\{worker="http:\/\/w\d:8000",outcome="success"\} 1$/m)
  assert.match(text, /^smg_router_request_duration_seconds_bucket\{.*,le="60"\} 1$/m)
  assert.doesNotMatch(text, /smg_router_request_duration_seconds_bucket\{.*le="1"/)
  assert.match(text, /^fetchway_requests_total/m)
})
