// The keys that vLLM router 0.1.17 hashes, as its log tells them.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { affine } from '../../src/dialects/vllm-router/affinity.ts'
import type { Call } from '../../src/openai/call.ts'
import { scanTop } from '../../src/openai/scan.ts'

type Fields = Readonly<Record<string, unknown>>

function keyOf(
  path: string,
  body: Fields | string | null,
  options: Fields = { policy: 'consistent_hash' },
): string | null {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  const read =
    body === null ? { kind: 'none' } : { kind: 'json', top: scanTop(new TextEncoder().encode(text)) }
  const call = { path, body: read } as unknown as Call
  return affine(call, new Headers(), options, false).session
}

const CHAT = '/v1/chat/completions'
const TEXT = '/v1/completions'
const session = { session_params: { session_id: 'b0' } }

const keys: readonly (readonly [
  says: string,
  path: string,
  body: Fields | string | null,
  key: string | null,
])[] = [
  ['a prompt', TEXT, { prompt: 'hello' }, 'request:hello'],
  ['a batch of prompts', TEXT, { prompt: ['b0', 'c'] }, 'request:b0 c'],
  ['100 bytes as they are', TEXT, { prompt: 'x'.repeat(100) }, `request:${'x'.repeat(100)}`],
  ['101 bytes by their hash', TEXT, { prompt: 'x'.repeat(101) }, 'request_hash:1a5a6effcaa42585'],
  [
    '60 letters of two bytes by their hash',
    TEXT,
    { prompt: 'é'.repeat(60) },
    'request_hash:3e5754201c9d4308',
  ],
  ['tokens not at all', TEXT, { prompt: [1, 2] }, null],
  ['a text to generate from', '/generate', { text: 'b1' }, 'request:b1'],
  ['an input to embed', '/v1/embeddings', { input: 'b2' }, 'request:b2'],
  ['the session of a chat as its text', CHAT, session, 'request:b0'],
  ['the same session of a completion alike', TEXT, { ...session, prompt: 'q' }, 'request:b0'],
  ['the user of a chat', CHAT, { user: 'u' }, 'user:u'],
  ['tokens to generate from', '/inference/v1/generate', { token_ids: [1, 2] }, 'request:1 2'],
  ['the query of a ranking', '/v1/rerank', { query: 'q', documents: ['a'] }, 'request:q'],
  ['what is passed on as a whole', '/foo', { z: 1, a: [2.5, 'b c'] }, 'request:{"z":1,"a":[2.5,"b c"]}'],
  [
    'it without blanks and escapes',
    '/foo',
    ' { "a" : "\\u00e9 \\/ \\"" ,\n"b": 1.0 }',
    'request:{"a":"é / \\"","b":1.0}',
  ],
  [
    'what makes a response alike',
    '/v1/responses',
    { model: 'm', input: 'b' },
    'request:{"model":"m","input":"b"}',
  ],
  ['a long one by its hash', '/foo', { a: 'x'.repeat(100) }, 'request_hash:55db990a5ab11791'],
  ['nothing as null', '/version', null, 'request:null'],
  ['the session of what is passed on', '/foo', session, 'session:b0'],
  ['no chat without a session', CHAT, { messages: [{ role: 'user', content: 'x' }] }, null],
]

for (const [says, path, body, key] of keys)
  test(`consistent_hash hashes ${says}`, () => assert.equal(keyOf(path, body), key))

test('pairs have the whole body to look at, and a policy of one role is enough for whole keys', () => {
  const options = { policy: 'cache_aware', prefillPolicy: 'consistent_hash', isPaired: true }
  assert.equal(keyOf(CHAT, session, options), 'session:b0')
  assert.equal(keyOf(TEXT, { prompt: 'q' }, options), null)
})

test('other policies have the bare value', () => {
  const options = { policy: 'sticky_least_loaded' }
  assert.deepEqual([keyOf(CHAT, session, options), keyOf(TEXT, { prompt: 'q' }, options)], ['b0', null])
})
