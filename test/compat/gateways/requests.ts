// What both routers are asked, side by side. `{A}` and `{B}` stand for the URLs of the two engines, `{NEW}` for one that is added.

export interface Asked {
  readonly name: string
  readonly method: string
  readonly path: string
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
}

const get = (path: string): Asked => ({ name: `GET ${path}`, method: 'GET', path })
const post = (path: string, body?: unknown, headers?: Record<string, string>): Asked => ({
  name: `POST ${path} ${typeof body === 'string' ? body : body === undefined ? '' : JSON.stringify(body)}`.trim(),
  method: 'POST',
  path,
  ...(body !== undefined && { body }),
  ...(headers && { headers }),
})

const CHAT = '/v1/chat/completions'
const messages = [{ role: 'user', content: 'Say hello.' }]
const chat = { model: 'm', messages, max_tokens: 4 }
const ZERO = '00000000-0000-4000-8000-000000000000'

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
  post(CHAT, chat),
  post(CHAT, { ...chat, stream: true }),
  post(CHAT, { messages, max_tokens: 4 }),
  post(CHAT, '{bad'),
  post(CHAT, { model: 'm' }),
  post(CHAT, chat, { 'content-type': 'text/plain' }),
  post('/v1/completions', { model: 'm', prompt: 'Say', max_tokens: 4 }),
  post('/v1/completions', { model: 'm', prompt: 'Say', max_tokens: 4, stream: true }),
  post('/v1/completions', { model: 'm' }),
  post('/v1/completions', '{bad'),
  post('/v1/completions', {}, { 'content-type': 'text/plain' }),
  post('/v1/embeddings', { model: 'm', input: 'a' }),
  post('/v1/embeddings', { model: 'm' }),
  post('/v1/rerank', { model: 'm', query: 'q', documents: ['a', 'b'] }),
  post('/flush_cache'),
  post('/add_worker'),
  post('/workers', {}),
  get('/workers'),
  post(CHAT, chat, { 'x-request-id': 'mine' }),
  post(CHAT, chat, { 'x-correlation-id': 'mine' }),
  get('/v1/responses/none'),
]

export const requests: Readonly<Record<'sglang-router' | 'vllm-router', readonly Asked[]>> = {
  'sglang-router': [
    ...shared,
    post('/generate', { text: 'Say', sampling_params: { max_new_tokens: 4 } }),
    post('/generate', {}),
    post(CHAT, { model: 'm', messages: [] }),
    get('/engine_metrics'),
    get('/ha/status'),
    get('/metrics'),
    get('/list_workers'),
    get('/workers/abc'),
    get(`/workers/${ZERO}`),
    { ...get(`/workers/${ZERO}`), method: 'DELETE', name: 'DELETE /workers/{unknown}' },
    post('/workers', { url: '{A}' }),
    post('/workers', { url: '{NEW}' }),
    post('/v1/tokenize', { model: 'm', prompt: 'a' }),
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
    { ...get('/workers/abc'), method: 'DELETE', name: 'DELETE /workers/abc' },
    post('/add_worker?url={A}'),
    post('/workers', { url: '{A}' }),
    post('/workers', { url: '{NEW}' }),
    post('/remove_worker?url={NEW}'),
    post('/remove_worker?url=http://127.0.0.1:9'),
    post('/finish_session?session_id=s'),
    get('/scheduling/diagnostics'),
  ],
}
