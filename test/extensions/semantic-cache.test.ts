import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { ConfigInput } from '../../src/config/schema.ts'
import { questionOf } from '../../src/extensions/chat-answer.ts'
import { Similar, unit } from '../../src/extensions/similar.ts'
import { callsOf, chat, engine, eventsOf, saidIn } from '../journeys/_rig.ts'
import { CHAT, open, W1 } from './_rig.ts'

/** Texts about cats lie close together, others at right angles. */
const VECTORS: readonly [RegExp, number[]][] = [
  [/cats\?$/, [3, 0, 0]],
  [/cat\?$/, [9, 1, 0]],
  [/./, [0, 0, 5]],
]
const embed = (texts: readonly string[]) =>
  texts.map((text) => VECTORS.find(([like]) => like.test(text))?.[1] ?? [])
const modules = { './embed.mjs': { embed } }
const asked = (content: string, more: object = {}) => chat({ messages: [{ role: 'user', content }], ...more })

async function opened(config: ConfigInput = {}, files?: Map<string, string>, semanticCache: object = {}) {
  const worker = engine()
  const rigged = await open(
    { [W1]: worker },
    { semanticCache: { embedder: './embed.mjs', threshold: 0.95, ...semanticCache }, ...config },
    { modules, ...(files && { files }) },
  )
  return { ...rigged, worker, chat: (body: object, headers = {}) => rigged.ask(CHAT, { body, headers }) }
}

describe('the semantic cache', () => {
  test('answers what means the same, marked, under an id of its own', async () => {
    const { chat: ask, worker } = await opened()
    const first = await ask(asked('What are cats?'))
    const second = await ask(asked('What is a cat?'))
    assert.equal(callsOf(worker).length, 1)
    assert.equal(first.json.cached, undefined)
    assert.equal(second.json.cached, true)
    assert.ok(second.json.similarity_score > 0.99 && second.json.similarity_score < 1)
    assert.deepEqual(second.json.choices, first.json.choices)
    assert.deepEqual(second.json.usage, first.json.usage)
    assert.match(second.json.id, /^chatcmpl-/)
    assert.notEqual(second.json.id, first.json.id)
    assert.equal((await ask(asked('What are dogs'))).json.cached, undefined)
  })

  test('answers a stream as a stream, and keeps what came as one', async () => {
    const { chat: ask, worker } = await opened()
    const first = await ask(asked('What are cats?', { stream: true }))
    const again = await ask(
      asked('What are cats?', { stream: true, stream_options: { include_usage: true } }),
    )
    assert.equal(callsOf(worker).length, 1)
    assert.match(again.headers.get('content-type') ?? '', /^text\/event-stream/)
    assert.equal(saidIn(again.text), saidIn(first.text))
    assert.equal(eventsOf(again.text)[0].cached, true)
    assert.ok(again.text.endsWith('data: [DONE]\n\n'))
    const whole = await ask(asked('What are cats?'))
    assert.equal(whole.json.choices[0].message.content, saidIn(first.text))
    assert.equal(callsOf(worker).length, 1)
  })

  const OTHERS: readonly [string, object, Record<string, string>?][] = [
    ['another model', asked('What are cats?', { model: 'other' })],
    ['another temperature', asked('What are cats?', { temperature: 0.1 })],
    ['another limit', asked('What are cats?', { max_tokens: 9 })],
    ['tools', asked('What are cats?', { tools: [] })],
    ['a threshold that is not reached', asked('What is a cat?', { cache_similarity_threshold: 0.999 })],
    ['the wish not to be answered from it', asked('What are cats?', { skip_cache: true })],
    [
      'a picture',
      chat({ messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'data:,' } }] }] }),
    ],
  ]
  for (const [what, body] of OTHERS)
    test(`asks an engine for a chat with ${what}`, async () => {
      const { chat: ask, worker } = await opened({ models: 'ignore' })
      await ask(asked('What are cats?'))
      const { json } = await ask(body)
      assert.equal(json.cached, undefined)
      assert.equal(callsOf(worker).length, 2)
    })

  test('never answers one tenant with what another was told', async () => {
    const { chat: ask, worker } = await opened({ apiKeys: ['one', 'two'] })
    for (const key of ['one', 'two']) {
      const { json } = await ask(asked('What are cats?'), { authorization: `Bearer ${key}` })
      assert.equal(json.cached, undefined)
    }
    assert.equal(callsOf(worker).length, 2)
  })

  test('keeps its own fields from engines', async () => {
    const { chat: ask, worker } = await opened()
    await ask(asked('What are cats?', { skip_cache: false, cache_similarity_threshold: 0.5 }))
    await ask(asked('What are cats?', { skip_cache: true }))
    for (const { body } of callsOf(worker)) assert.doesNotMatch(body, /skip_cache|cache_similarity/)
    const { status } = await ask(asked('x', { cache_similarity_threshold: 'high' }))
    assert.equal(status, 400)
  })

  test('keeps no errors', async () => {
    const worker = engine({ fault: 'status=500' })
    const { ask } = await open(
      { [W1]: worker },
      { semanticCache: { embedder: './embed.mjs' }, retries: 0, breakerFailures: 0 },
      { modules },
    )
    for (let i = 0; i < 2; i++) assert.equal((await ask(CHAT, { body: asked('What are cats?') })).status, 500)
    assert.equal(callsOf(worker).length, 2)
  })

  test('without its embedder calls go to engines, and that is told once', async () => {
    const { chat: ask, worker, logged } = await opened({}, undefined, { embedder: 'nobody-has-this' })
    for (let i = 0; i < 2; i++) assert.equal((await ask(asked('What are cats?'))).status, 200)
    assert.equal(callsOf(worker).length, 2)
    assert.equal(logged.filter(({ message }) => /has no embedder/.test(message)).length, 1)
  })

  test('embeds by a model of the fleet, or an endpoint elsewhere', async () => {
    for (const embedder of ['m', 'https://embed.example/v1#m', 'https://embed.example/v1/embeddings#m']) {
      const worker = engine()
      const theirs = engine()
      const { ask } = await open(
        { [W1]: worker, 'https://embed.example': theirs },
        { semanticCache: { embedder } },
      )
      await ask(CHAT, { body: asked('What are cats?') })
      assert.equal((await ask(CHAT, { body: asked('What are cats?') })).json.cached, true, embedder)
      const embedding = [...callsOf(worker), ...callsOf(theirs)].filter(
        ({ path }) => path === '/v1/embeddings',
      )
      assert.equal(embedding.length, 2)
    }
  })

  test('shows callbacks and the rewriter nothing of what it asks the embedder', async () => {
    const seen: string[] = []
    const pre_request = ({ url }: Request) => void seen.push(`before ${new URL(url).pathname}`)
    const post_request = ({ url }: Request) => void seen.push(`after ${new URL(url).pathname}`)
    const rewrite_request = (_body: string, _model: string, path: string) => void seen.push(`rewrite ${path}`)
    const { ask } = await open(
      { [W1]: engine() },
      { semanticCache: { embedder: 'm' }, callbacks: './mine.mjs', requestRewriter: './mine.mjs' },
      { modules: { './mine.mjs': { default: { pre_request, post_request, rewrite_request } } } },
    )
    await ask(CHAT, { body: asked('What are cats?') })
    assert.deepEqual(seen, [`before ${CHAT}`, `rewrite ${CHAT}`, `after ${CHAT}`])
  })

  test('comes back after a restart from its file', async () => {
    const files = new Map<string, string>()
    const config = { directory: 'kept' }
    const first = await open(
      { [W1]: engine() },
      { semanticCache: { embedder: './embed.mjs', ...config }, movesClock: true } as ConfigInput,
      { modules, files },
    )
    await first.ask(CHAT, { body: asked('What are cats?') })
    await first.pass(3000)
    assert.equal(files.get('kept/answers.jsonl')?.trim().split('\n').length, 1)
    files.set('kept/answers.jsonl', `${files.get('kept/answers.jsonl')}nonsense\n`)
    const { chat: ask, worker } = await opened({}, files, config)
    assert.equal((await ask(asked('What are cats?'))).json.cached, true)
    assert.equal(callsOf(worker).length, 0)
  })

  test('takes the same words for the same, whatever rounding does', async () => {
    const { chat: ask, worker } = await opened({}, undefined, { threshold: 1 })
    for (let i = 0; i < 2; i++) await ask(asked('What is a cat?'))
    assert.equal(callsOf(worker).length, 1)
  })

  test('counts what it does', async () => {
    const { chat: ask, ask: read } = await opened()
    for (let i = 0; i < 3; i++) await ask(asked('What are cats?'))
    const page = (await read('/metrics')).text
    assert.match(page, /fetchway_semantic_cache_total\{result="hit"\} 2\n/)
    assert.match(page, /fetchway_semantic_cache_total\{result="miss"\} 1\n/)
  })
})

test('vectors are compared by their angle, and the least used entry is forgotten first', () => {
  const of = (scope: string, ...vector: number[]) => ({
    scope,
    vector: unit(vector) ?? assert.fail(),
    answer: '',
  })
  const similar = new Similar(2)
  const [a, b, c] = [of('s', 10, 0), of('s', 0, 1), of('t', 1, 1)]
  similar.add(a)
  similar.add(b)
  const near = similar.nearest('s', unit([2, 0.1]) ?? assert.fail())
  assert.equal(near?.entry, a)
  assert.ok(near.similarity > 0.99)
  similar.use(a)
  similar.add(c)
  assert.deepEqual(similar.all(), [a, c])
  assert.equal(similar.nearest('u', a.vector), null)
  assert.deepEqual([unit([0, 0]), unit([Number.NaN]), unit([])], [null, null, null])
})

test('who says what is part of a question', () => {
  const of = (...messages: readonly object[]) => questionOf({ model: 'm', messages }, 'default')
  const user = { role: 'user', content: 'a' }
  assert.equal(of({ role: 'system', content: 's' }, user)?.text, 'system: s user: a')
  assert.notEqual(of(user)?.scope, of({ role: 'assistant', content: 'a' })?.scope)
  assert.equal(of({ role: 'tool', content: 'a' }), null)
  assert.equal(of({ role: 'assistant', content: 'a', tool_calls: [{}] }), null)
  assert.equal(of(), null)
})
