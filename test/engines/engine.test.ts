import { test } from 'node:test'
import assert from 'node:assert/strict'
import { discover, engineOf, engines, enginesServing } from '../../src/engines/engine.ts'
import { askerOf, simulated, written } from './_ask.ts'

const card = (id: string, owner: string, rest: object = {}) => ({
  id,
  object: 'model',
  owned_by: owner,
  ...rest,
})
const list = (...cards: object[]) => ({ object: 'list', data: cards })

for (const engine of ['vllm', 'sglang', 'lmdeploy'] as const) {
  test(`an embedded ${engine} is recognised, with its models and adapters, in at most four requests`, async () => {
    const { ask, asked } = simulated({ engine, models: ['base'], adapters: ['style'] })
    const facts = await discover(ask)
    assert.equal(facts?.engine, engine)
    assert.deepEqual(
      facts.models.map((model) => model.id),
      ['base', 'style'],
    )
    assert.ok(asked.length <= 4, asked.join(' '))
  })

  test(`an embedded ${engine} that does nothing tells that it is idle`, async () => {
    const { ask } = simulated({ engine })
    const facts = await discover(ask)
    assert.ok(facts)
    const load = await engineOf(engine)?.load(ask, facts)
    assert.equal(load?.running, 0)
    assert.equal(load.waiting, 0)
  })
}

test('the KV capacity of embedded engines is what they were made with', async () => {
  for (const engine of ['vllm', 'sglang'] as const) {
    const facts = await discover(simulated({ engine, blocks: 500, blockTokens: 32 }).ask)
    assert.equal(facts?.kvCapacityTokens, 16_000, engine)
  }
})

test('a worker that is not reachable, refuses our key, starts, or lists nothing is not up', async () => {
  assert.equal(await discover(askerOf(() => null).ask), null)
  for (const status of [401, 403, 404, 500, 502, 503]) {
    assert.equal(
      await discover(askerOf(() => ({ status, headers: {}, text: '{}' })).ask),
      null,
      String(status),
    )
  }
  for (const text of [
    '',
    '<html>',
    'null',
    '[]',
    '{"data":{}}',
    '{"data":[]}',
    '{"data":[null,{"id":7},{"id":""}]}',
  ]) {
    assert.equal(await discover(askerOf(() => ({ status: 200, headers: {}, text })).ask), null, text)
  }
})

test('one question is enough for a worker that is not up', async () => {
  const { ask, asked } = askerOf(() => null)
  await discover(ask, 'sglang')
  assert.deepEqual(asked, ['/v1/models'])
})

test('an engine that we do not know is unknown, keeps its models and is asked nothing else', async () => {
  const { ask, asked } = written({ '/v1/models': list(card('llama3:8b', 'library')) })
  assert.deepEqual(await discover(ask), { engine: 'unknown', models: [{ id: 'llama3:8b' }] })
  assert.deepEqual(asked, ['/v1/models'])
})

test('the owner’s word on the engine wins over what the models say', async () => {
  const { ask } = written({ '/v1/models': list(card('m', 'vllm')) })
  assert.equal((await discover(ask, 'sglang'))?.engine, 'sglang')
  assert.equal((await discover(ask, 'unknown'))?.engine, 'unknown')
})

test('a server without a model list is accepted where the owner calls it unknown', async () => {
  assert.deepEqual(await discover(written({}).ask, 'unknown'), { engine: 'unknown', models: [] })
  const starting = askerOf(() => ({ status: 503, headers: {}, text: '' }))
  assert.equal(await discover(starting.ask, 'unknown'), null)
})

test('a model that is listed twice counts once', async () => {
  const { ask } = written({ '/v1/models': list(card('m', 'lmdeploy'), card('m', 'lmdeploy')) })
  assert.deepEqual((await discover(ask))?.models, [{ id: 'm' }])
})

test('questions after the first that stay unanswered leave facts out', async () => {
  for (const engine of engines) {
    const models = { status: 200, headers: {}, text: JSON.stringify(list(card('m', engine.name))) }
    const facts = await discover(askerOf((path) => (path === '/v1/models' ? models : null)).ask)
    assert.equal(facts?.engine, engine.name)
    assert.equal(facts.kvCapacityTokens, undefined)
    assert.equal(facts.version, undefined)
  }
})

test('an endpoint goes to the engines that have it', () => {
  assert.equal(enginesServing('/v1/chat/completions'), null)
  assert.deepEqual(enginesServing('/generate'), ['sglang', 'lmdeploy'])
  assert.deepEqual(enginesServing('/pooling'), ['vllm', 'lmdeploy'])
  assert.deepEqual(enginesServing('/v1/embeddings'), ['vllm', 'sglang', 'unknown'])
  assert.deepEqual(enginesServing('/v1/audio/translations'), ['vllm', 'unknown'])
  assert.deepEqual(enginesServing('/v1/videos/v1'), ['sglang', 'unknown'])
})

test('an endpoint that nobody is known to have may go anywhere', () => {
  assert.equal(enginesServing('/v1/brand/new'), null)
})

test('the paths that clear a cache are named per engine', () => {
  assert.ok(engineOf('vllm')?.cacheClearing.includes('/reset_prefix_cache'))
  assert.ok(engineOf('sglang')?.cacheClearing.includes('/flush_cache'))
  assert.equal(engineOf('unknown'), null)
})
