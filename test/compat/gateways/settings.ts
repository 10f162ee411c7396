// The settings in which both routers are compared: flags, engines, and what is asked of them.
import { CHAT, chat, generate, get, post, requests, send, type Asked } from './requests.ts'

export type Name = keyof typeof requests

export interface Setting {
  readonly name: string
  readonly router: Name
  readonly flags: readonly string[]
  /** Two that take all calls, or two that prefill and two that decode. */
  readonly engines: 'two' | 'pairs' | 'none'
  readonly asked: readonly Asked[]
  /** The families of metrics are compared behind all that. */
  readonly metrics?: boolean
}

const of = (router: Name, rest: Omit<Setting, 'router'>): Setting => ({ router, ...rest })
const both = (rest: Omit<Setting, 'router'>): Setting[] => [
  of('sglang-router', rest),
  of('vllm-router', rest),
]
const bearer = (key: string) => ({ headers: { authorization: `Bearer ${key}` } })

const PAIR_CALLS: readonly Asked[] = [
  get('/health'),
  get('/readiness'),
  get('/v1/models'),
  get('/get_model_info'),
  get('/get_loads'),
  get('/workers'),
  post('/flush_cache'),
  post(CHAT, chat),
  post(CHAT, { ...chat, stream: true }),
  post(CHAT, { ...chat, n: 2 }),
  post('/v1/completions', { model: 'm', prompt: 'Say', max_tokens: 4 }),
  post('/v1/completions', { model: 'm', prompt: 'Say', max_tokens: 4, stream: true }),
  post(CHAT, chat, { name: 'a request id', headers: { 'x-request-id': 'mine' } }),
  post('/v1/embeddings', { model: 'm', input: 'a' }),
  post(CHAT, '{bad'),
  post(CHAT, chat, { name: 'engines that say 400', fault: 'status=400' }),
  post(CHAT, chat, { name: 'engines that say 500', fault: 'status=500' }),
]

export const settings: readonly Setting[] = [
  ...(Object.keys(requests) as Name[]).map((router) =>
    of(router, { name: 'plain', flags: [], engines: 'two', asked: requests[router], metrics: true }),
  ),
  ...both({
    name: 'limits',
    flags: ['--max-concurrent-requests', '1', '--queue-size', '0', '--max-payload-size', '500'],
    engines: 'two',
    asked: [
      post(CHAT, chat, { name: 'one call' }),
      post(CHAT, chat, { name: 'no room', fault: 'delay=1500ms', crowd: 3 }),
      post(CHAT, { ...chat, user: 'x'.repeat(600) }, { name: 'a body that is too large' }),
    ],
  }),
  ...both({
    name: 'queue',
    flags: [
      '--max-concurrent-requests',
      '1',
      '--queue-size',
      '9',
      '--queue-timeout-secs',
      '1',
      '--rate-limit-tokens-per-second',
      '1',
    ],
    engines: 'two',
    asked: [post(CHAT, chat, { name: 'a wait that is too long', fault: 'delay=4s', crowd: 6 })],
  }),
  ...both({
    name: 'time',
    flags: ['--request-timeout-secs', '1'],
    engines: 'two',
    asked: [post(CHAT, chat, { name: 'no answer in time', fault: 'stall-before-head' })],
  }),
  ...both({
    name: 'pages',
    flags: ['--cors-allowed-origins', 'https://a', '--request-id-headers', 'x-a', 'x-b'],
    engines: 'two',
    asked: [
      send('OPTIONS', CHAT, {
        name: 'a page that may asks',
        headers: { origin: 'https://a', 'access-control-request-method': 'POST' },
      }),
      send('OPTIONS', CHAT, {
        name: 'a page that may not asks',
        headers: { origin: 'https://b', 'access-control-request-method': 'POST' },
      }),
      post(CHAT, chat, { name: 'a page that may calls', headers: { origin: 'https://a' } }),
      post(CHAT, chat, { name: 'a page that may not calls', headers: { origin: 'https://b' } }),
      post(CHAT, chat, {
        name: 'an id of its own header',
        headers: { 'x-b': 'mine', 'x-request-id': 'other' },
      }),
      post(CHAT, chat, { name: 'an id of another header', headers: { 'x-request-id': 'other' } }),
    ],
  }),
  ...both({
    name: 'keys',
    flags: ['--api-key', 'k'],
    engines: 'two',
    asked: [
      get('/health'),
      get('/v1/models'),
      get('/get_loads'),
      get('/get_loads', { name: 'loads, with the key', ...bearer('k') }),
      get('/workers'),
      post('/flush_cache'),
      post(CHAT, chat),
      post(CHAT, chat, { name: 'with the key', ...bearer('k') }),
      post(CHAT, chat, { name: 'with another key', ...bearer('x') }),
      post(CHAT, chat, { name: 'with the key in another scheme', headers: { authorization: 'Basic k' } }),
    ],
  }),
  of('sglang-router', {
    name: 'roles',
    flags: ['--control-plane-api-keys', '1:ann:admin:sk-ann', '2:bob:user:sk-bob'],
    engines: 'two',
    asked: [
      get('/workers'),
      get('/workers', { name: 'the admin', ...bearer('sk-ann') }),
      get('/workers', { name: 'a user', ...bearer('sk-bob') }),
      get('/workers', { name: 'nobody', ...bearer('sk-eve') }),
      post(CHAT, chat),
    ],
  }),
  of('sglang-router', {
    name: 'nobody',
    flags: [],
    engines: 'none',
    asked: [
      get('/health'),
      get('/readiness'),
      get('/health_generate'),
      get('/v1/models'),
      get('/get_model_info'),
      get('/engine_metrics'),
      get('/get_loads'),
      get('/workers'),
      post('/flush_cache'),
      post(CHAT, chat),
      post('/generate', generate),
    ],
  }),
  of('sglang-router', {
    name: 'pairs',
    flags: [],
    engines: 'pairs',
    asked: [
      ...PAIR_CALLS,
      post('/generate', generate),
      post('/generate', { ...generate, stream: true }),
      post('/generate', { text: ['Say', 'Tell'], sampling_params: { max_new_tokens: 4 } }),
      post('/generate', { ...generate, return_logprob: true }),
      post('/v1/responses', { model: 'm', input: 'Say', max_output_tokens: 4 }),
    ],
    metrics: true,
  }),
  of('vllm-router', {
    name: 'pairs',
    flags: [],
    engines: 'pairs',
    asked: [
      ...PAIR_CALLS,
      get('/health_generate'),
      get('/list_workers'),
      post('/v1/responses', { model: 'm', input: 'Say', max_output_tokens: 4 }),
      post('/inference/v1/generate', { token_ids: [1, 2, 3], sampling_params: { max_tokens: 4 } }),
    ],
    metrics: true,
  }),
]
