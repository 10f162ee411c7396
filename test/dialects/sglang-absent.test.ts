import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sglangRouter } from '../../src/dialects/sglang-router/index.ts'
import { engine as fake } from '../journeys/_rig.ts'
import { rig as open } from './_rig.ts'

const W1 = 'http://w1:8000'
const engine = (options: object = {}) => fake({ engine: 'sglang', ...options })
const rig = (line = '', more = {}) =>
  open(
    sglangRouter,
    `--worker-urls ${W1} ${line}`.trim(),
    { [W1]: engine() },
    { healthInterval: 'off', ...more },
  )

type Row = readonly [method: string, path: string, body: object | null, status: number, answer: RegExp]

const ROWS: readonly Row[] = [
  ['GET', '/v1/tokenizers', null, 200, /^\{"tokenizers":\[\]\}$/],
  ['POST', '/v1/tokenizers', { name: 't', source: 'a/b' }, 501, /"message":"Tokenizers live in the engines/],
  ['POST', '/v1/tokenizers', {}, 422, /missing field `name`/],
  ['PUT', '/v1/tokenizers', {}, 405, /^$/],
  ['GET', '/v1/tokenizers/t', null, 404, /"Tokenizer 't' not found","type":"tokenizer_not_found"/],
  ['DELETE', '/v1/tokenizers/t', null, 404, /^\{"success":false,"message":"Tokenizer 't' not found"\}$/],
  ['GET', '/v1/tokenizers/t/status', null, 404, /"type":"not_found"/],
  ['POST', '/v1/tokenize', { model: 'm', prompt: 'a' }, 200, /"tokens":\[/],
  [
    'POST',
    '/parse/function_call',
    { text: 'a', tools: [], tool_call_parser: 'qwen' },
    503,
    /^\{"error":"Parsers live in the engines here: start them with --tool-call-parser.*"success":false\}$/,
  ],
  ['POST', '/parse/function_call', { text: 'a' }, 422, /missing field `tools`/],
  ['POST', '/parse/reasoning', { text: 'a', reasoning_parser: 'x' }, 503, /--reasoning-parser/],
  ['GET', '/parse/reasoning', null, 405, /^$/],
  ['GET', '/wasm', null, 500, /"code":"wasm_not_enabled"/],
  ['DELETE', '/wasm/abc', null, 400, /UUID/],
  ['GET', '/wasm/abc', null, 405, /^$/],
  ['POST', '/v1/conversations', {}, 501, /"code":"conversations_not_supported"/],
  ['GET', '/v1/conversations', null, 405, /^$/],
  ['GET', '/v1/conversations/c', null, 404, /^\{"error":"Conversation not found"\}$/],
  ['POST', '/v1/conversations/c/items', { items: [] }, 404, /^\{"error":"Conversation not found"\}$/],
  ['DELETE', '/v1/conversations/c/items/i', null, 404, /^\{"error":"Conversation not found"\}$/],
  ['DELETE', '/v1/responses/r', null, 501, /^responses api not yet implemented/],
  ['GET', '/v1/responses/r/input_items', null, 501, /^Responses list input items endpoint not implemented$/],
  ['GET', '/flush_cache', null, 405, /^$/],
  ['DELETE', '/workers', null, 405, /^$/],
]

test('what lives inside that gateway and not here says so in its shapes', async () => {
  const { ask } = await rig()
  for (const [method, path, body, status, answer] of ROWS) {
    const reply = await ask(path, { method, ...(body !== null && { body }) })
    assert.equal(reply.status, status, `${method} ${path}`)
    assert.match(reply.text, answer, `${method} ${path}`)
  }
})

test('strictly, a conversation is made as by its memory of nothing', async () => {
  const { ask } = await rig('', { strictCompat: true })
  const { status, json } = await ask('/v1/conversations', { body: {} })
  assert.equal(status, 200)
  assert.match(json.id, /^conv_[0-9a-f]{50}$/)
})

test('tokenizers and parsers need the key, too', async () => {
  const { ask } = await rig('--api-key k')
  assert.equal((await ask('/v1/tokenizers')).status, 401)
  assert.equal((await ask('/v1/tokenizers', { headers: { authorization: 'Bearer k' } })).status, 200)
})

test('a list of methods stands beside 405', async () => {
  const { ask } = await rig()
  assert.equal((await ask('/workers', { method: 'DELETE' })).headers.get('allow'), 'POST,GET,HEAD')
  assert.equal((await ask('/wasm/abc')).headers.get('allow'), 'DELETE')
})

test('workers are shown with what their engines say of themselves', async () => {
  const { ask } = await rig()
  const { json } = await ask('/workers')
  assert.deepEqual(json.workers[0].metadata, {
    model_path: 'm',
    served_model_name: 'm',
    tp_size: '1',
    dp_size: '1',
    disaggregation_mode: 'null',
    model_type: 'qwen2',
    architectures: '["Qwen2ForCausalLM"]',
  })
  const one = await ask(`/workers/${json.workers[0].id}`)
  assert.equal(one.json.metadata.tp_size, '1')
})

const P = 'http://p:8000'
const D = 'http://d:8000'
const pairs = (fleet: object, more = {}) =>
  open(sglangRouter, `--pd-disaggregation --prefill ${P} 9000 --decode ${D}`, fleet as never, {
    healthInterval: 'off',
    ...more,
  })
const both = () => ({ [P]: engine({ role: 'prefill' }), [D]: engine({ role: 'decode' }) })

test('with prefill and decode workers a whole pair has to generate', async () => {
  const { ask } = await pairs(both())
  const { status, text } = await ask('/health_generate')
  assert.equal(status, 200)
  assert.equal(text, `Health generate passed on selected pair: prefill=${P}, decode=${D}`)
})

test('half a pair is not ready and does not generate', async () => {
  const { ask } = await pairs({ ...both(), [D]: null })
  assert.equal((await ask('/readiness')).status, 503)
  const { status, text } = await ask('/health_generate')
  assert.equal(status, 503)
  assert.match(text, /^Failed to select PD pair/)
})

test('strictly, embeddings are not done by pairs', async () => {
  const { ask } = await pairs(both(), { strictCompat: true })
  const { status, text } = await ask('/v1/embeddings', { body: { model: 'm', input: 'a' } })
  assert.deepEqual([status, text], [501, 'Embeddings not implemented'])
})

for (const [status, final, code] of [
  [400, 400, 'decode_bad_request'],
  [418, 500, 'decode_error'],
] as const)
  test(`what a decode worker says by ${status} is told in the router's words`, async () => {
    const plain = engine({ role: 'decode' })
    const wrong = () => Response.json({ object: 'error', message: 'no such thing', code: status }, { status })
    const decode = {
      fetch: async (request: Request) => (request.method === 'POST' ? wrong() : plain.fetch(request)),
    }
    const prefill = {
      fetch: async (request: Request) =>
        request.method === 'POST' ? Response.json({}) : both()[P].fetch(request),
    }
    const { ask } = await pairs({ [P]: prefill, [D]: decode })
    const reply = await ask('/v1/chat/completions', {
      body: { model: 'm', messages: [{ role: 'user', content: 'a' }] },
    })
    assert.equal(reply.status, final)
    assert.equal(reply.headers.get('x-smg-error-code'), code)
    assert.deepEqual([reply.json.error.code, reply.json.error.message], [code, 'no such thing'])
  })
