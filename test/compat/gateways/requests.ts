// What both routers are asked, side by side. `{A}` and `{B}` stand for the URLs of the two engines, `{NEW}` for one that is added.

export interface Asked {
  readonly name: string
  readonly method: string
  readonly path: string
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
  /** What all engines do meanwhile, in the words of the simulator's faults. */
  readonly fault?: string
  /** So many at once; the last answer counts. */
  readonly crowd?: number
  /** Asked again until this is in the answer, ten seconds at most. */
  readonly until?: RegExp
  /** Field of the answer that later requests may name: `{FIELD}`. */
  readonly keeps?: string
}

type More = Partial<Pick<Asked, 'headers' | 'fault' | 'crowd' | 'until' | 'keeps' | 'name'>>

export const get = (path: string, more: More = {}): Asked => ({
  name: `GET ${path}`,
  method: 'GET',
  path,
  ...more,
})
export const send = (method: string, path: string, more: More & { readonly body?: unknown } = {}): Asked => ({
  name: `${method} ${path}`,
  method,
  path,
  ...more,
})
export const post = (path: string, body?: unknown, more: More = {}): Asked => ({
  name: `POST ${path} ${typeof body === 'string' ? body : body === undefined ? '' : JSON.stringify(body)}`.trim(),
  method: 'POST',
  path,
  ...(body !== undefined && { body }),
  ...more,
})

export const CHAT = '/v1/chat/completions'
export const messages = [{ role: 'user', content: 'Say hello.' }]
export const chat = { model: 'm', messages, max_tokens: 4 }
export const generate = { text: 'Say', sampling_params: { max_new_tokens: 4 } }
const ZERO = '00000000-0000-4000-8000-000000000000'
const PLAIN = { headers: { 'content-type': 'text/plain' } }

const shared: readonly Asked[] = [
  get('/health'),
  get('/liveness'),
  get('/readiness'),
  get('/health_generate'),
  get('/v1/models'),
  get('/get_server_info'),
  get('/get_model_info'),
  get('/get_loads'),
  get('/nope'),
  get(CHAT),
  send('HEAD', '/health'),
  send('HEAD', '/v1/models'),
  send('PUT', CHAT, { body: chat }),
  send('DELETE', '/health'),
  send('GET', '/flush_cache'),
  send('DELETE', '/get_loads'),
  send('PUT', '/workers', { body: {} }),
  post(CHAT, chat),
  post(CHAT, { ...chat, stream: true }),
  post(CHAT, { ...chat, stream: true, stream_options: { include_usage: true } }),
  post(CHAT, { ...chat, n: 2 }),
  post(CHAT, { messages, max_tokens: 4 }),
  post(CHAT, '{bad'),
  post(CHAT, '[]'),
  post(CHAT, { model: 'm' }),
  post(CHAT, chat, PLAIN),
  post(CHAT, { ...chat, stream: 'yes' }),
  post(CHAT, { ...chat, stream: null }),
  post(CHAT, { ...chat, max_tokens: -1 }),
  post(CHAT, { ...chat, max_tokens: 1.5 }),
  post(CHAT, { ...chat, model: 5 }),
  post(CHAT),
  post('/v1/completions', { prompt: 'Say', max_tokens: 4 }),
  post('/v1/completions', { model: 5, prompt: 'Say', max_tokens: 4 }),
  post('/v1/embeddings', { input: 'a' }),
  post('/v1/embeddings', 'x'),
  post('/generate', { text: 'Say', stream: 'yes' }),
  get('/health/'),
  send('PATCH', `/workers/${ZERO}`, { name: 'PATCH /workers/{unknown}', body: {} }),
  post('/v1/completions', { model: 'm', prompt: 'Say', max_tokens: 4 }),
  post('/v1/completions', { model: 'm', prompt: 'Say', max_tokens: 4, stream: true }),
  post('/v1/completions', { model: 'm', prompt: ['Say', 'Tell'], max_tokens: 4 }),
  post('/v1/completions', { model: 'm' }),
  post('/v1/completions', '{bad'),
  post('/v1/completions', {}, PLAIN),
  post('/v1/embeddings', { model: 'm', input: 'a' }),
  post('/v1/embeddings', { model: 'm' }),
  post('/v1/rerank', { model: 'm', query: 'q', documents: ['a', 'b'] }),
  post('/flush_cache'),
  post('/add_worker'),
  post('/workers', {}),
  get('/workers'),
  post(CHAT, chat, { name: 'a request id', headers: { 'x-request-id': 'mine' } }),
  post(CHAT, chat, { name: 'a correlation id', headers: { 'x-correlation-id': 'mine' } }),
  post(CHAT, chat, { name: 'a trace id', headers: { 'x-trace-id': 'mine' } }),
  post(CHAT, chat, { name: 'a plain request-id', headers: { 'request-id': 'mine' } }),
  post(CHAT, chat, { name: 'a key of the client', headers: { authorization: 'Bearer k' } }),
  get('/v1/responses/none'),
  send('OPTIONS', CHAT, {
    name: 'a page asks whether it may',
    headers: { origin: 'https://a', 'access-control-request-method': 'POST' },
  }),
  post(CHAT, chat, { name: 'a page calls', headers: { origin: 'https://a' } }),
  // Answers of engines that are not well.
  ...[400, 404, 429, 500, 503].map((status) =>
    post(CHAT, chat, { name: `an engine that says ${status}`, fault: `status=${status}` }),
  ),
  post(CHAT, { ...chat, stream: true }, { name: 'a stream, an engine that says 400', fault: 'status=400' }),
  post(CHAT, { ...chat, stream: true }, { name: 'a stream, an engine that says 500', fault: 'status=500' }),
]

export const requests: Readonly<Record<'sglang-router' | 'vllm-router', readonly Asked[]>> = {
  'sglang-router': [
    ...shared,
    post('/generate', generate),
    post('/generate', { ...generate, stream: true }),
    post('/generate', {}),
    post(CHAT, { model: 'm', messages: [] }),
    post(CHAT, chat, { name: 'a routing key', headers: { 'x-smg-routing-key': 'k' } }),
    get('/engine_metrics'),
    get('/ha/status'),
    get('/metrics'),
    get('/list_workers'),
    get('/workers/abc'),
    get(`/workers/${ZERO}`),
    send('DELETE', `/workers/${ZERO}`, { name: 'DELETE /workers/{unknown}' }),
    send('PUT', `/workers/${ZERO}`, { name: 'PUT /workers/{unknown}', body: { priority: 1 } }),
    send('DELETE', '/workers/abc'),
    post('/workers', { url: '{A}' }),
    post('/v1/tokenize', { model: 'm', prompt: 'a' }),
    post('/v1/detokenize', { model: 'm', tokens: [1] }),
    get('/v1/tokenizers'),
    get('/v1/conversations/none'),
    post('/v1/responses', { model: 'm', input: 'Say', max_output_tokens: 4 }),
    post('/v1/classify', { model: 'm', input: 'a' }),
    // The life of a worker.
    post('/workers', { url: '{NEW}', priority: 3 }, { name: 'a worker is added', keeps: 'worker_id' }),
    get('/workers/{worker_id}', {
      name: 'the worker that was added',
      until: /^(?!.*job_status).*"is_healthy":\s*true/s,
    }),
    send('PUT', '/workers/{worker_id}', {
      name: 'the worker is changed',
      body: { priority: 9, labels: { a: 'b' } },
    }),
    get('/workers/{worker_id}', {
      name: 'the worker that was changed',
      until: /^(?!.*job_status).*"priority":\s*9/s,
    }),
    send('DELETE', '/workers/{worker_id}', { name: 'the worker is removed' }),
    get('/workers/{worker_id}', { name: 'the worker that was removed', until: /WORKER_NOT_FOUND/ }),
    post('/workers', { url: 'http://127.0.0.1:9' }, { name: 'a dead worker is added', keeps: 'worker_id' }),
    get('/workers/{worker_id}', { name: 'the dead worker, at first' }),
    get('/workers/{worker_id}', { name: 'the dead worker, given up', until: /"failed"/ }),
  ],
  'vllm-router': [
    ...shared,
    get('/version'),
    get('/metrics'),
    post('/tokenize', { model: 'm', prompt: 'a' }),
    post('/nope', '{bad'),
    get('/list_workers'),
    get('/workers/abc'),
    get('/workers/{A-encoded}'),
    send('DELETE', '/workers/abc'),
    post('/add_worker?url={A}'),
    post('/workers', { url: '{A}' }),
    post('/workers', { url: '{NEW}' }),
    send('DELETE', '/workers/{NEW-encoded}'),
    post('/add_worker?url={NEW}'),
    post('/remove_worker?url={NEW}'),
    post('/remove_worker?url=http://127.0.0.1:9'),
    post('/finish_session?session_id=s'),
    get('/scheduling/diagnostics'),
    post('/v1/responses', { model: 'm', input: 'Say', max_output_tokens: 4 }),
    post('/inference/v1/generate', { token_ids: [1, 2, 3], sampling_params: { max_tokens: 4 } }),
    post('/v1/classify', { model: 'm', input: 'a' }),
  ],
}
