import { test } from 'node:test'
import assert from 'node:assert/strict'
import { discover, engineOf, type AskWorker } from '../../src/engines/engine.ts'
import { recordedBody, written } from './_ask.ts'

const vllm = engineOf('vllm')
assert.ok(vllm)

const real = {
  '/v1/models': recordedBody('models'),
  '/version': recordedBody('version'),
  '/metrics': recordedBody('metrics'),
}

test('a real vLLM tells its version, models with their adapter, capacity and block size', async () => {
  assert.deepEqual(await discover(written(real).ask), {
    engine: 'vllm',
    version: '0.32.0',
    models: [
      { id: 'tiny', root: './tiny', maxModelLength: 2048 },
      { id: 'style', root: './lora', parent: 'tiny' },
    ],
    metricsPath: '/metrics',
    loadPath: '/metrics',
    kvCapacityTokens: 1_048_576,
    blockTokens: 32,
    dpSize: 1,
  })
})

test('a real vLLM tells its load', async () => {
  const load = await vllm.load(written(real).ask)
  assert.deepEqual(load, {
    running: 0,
    waiting: 0,
    kvUsage: 0,
    kvTokens: 0,
    kvCapacityTokens: 1_048_576,
    prefixCache: { queries: 4358, hits: 2048, rate: 2048 / 4358 },
  })
})

for (const [version, metrics, use] of [
  [
    'V1',
    'vllm:prefix_cache_queries_total 10\nvllm:prefix_cache_hits_total 4',
    { queries: 10, hits: 4, rate: 0.4 },
  ],
  [
    'early V1',
    'vllm:gpu_prefix_cache_queries_total 8\nvllm:gpu_prefix_cache_hits_total 2',
    { queries: 8, hits: 2, rate: 0.25 },
  ],
  ['V0', 'vllm:gpu_prefix_cache_hit_rate 0.5', { rate: 0.5 }],
  ['V0 before its first call', 'vllm:gpu_prefix_cache_hit_rate -1.0', { rate: 0 }],
] as const) {
  test(`the use of the prefix cache is read from the metrics of ${version}`, async () => {
    const text = `vllm:num_requests_running 0\nvllm:num_requests_waiting 0\n${metrics}\n`
    const load = await vllm.load(written({ '/metrics': text }).ask)
    assert.deepEqual(load?.prefixCache, use)
  })
}

const twoRanks = `
# TYPE vllm:cache_config_info gauge
vllm:cache_config_info{block_size="16",engine="0",num_gpu_blocks="1000"} 1.0
vllm:cache_config_info{block_size="16",engine="1",num_gpu_blocks="500"} 1.0
vllm:num_requests_running{engine="0",model_name="a"} 3.0
vllm:num_requests_running{engine="1",model_name="a"} 4.0
vllm:num_requests_waiting{engine="0",model_name="a"} 1.0
vllm:num_requests_waiting{engine="1",model_name="a"} 0.0
vllm:kv_cache_usage_perc{engine="0",model_name="a"} 0.5
vllm:kv_cache_usage_perc{engine="1",model_name="a"} 0.25
`

test('data-parallel ranks are counted and their caches and loads added up', async () => {
  const { ask } = written({ ...real, '/metrics': twoRanks })
  const facts = await discover(ask)
  assert.equal(facts?.dpSize, 2)
  assert.equal(facts.kvCapacityTokens, 24_000)
  assert.deepEqual(await vllm.load(ask, facts), {
    running: 7,
    waiting: 1,
    kvUsage: 0.375,
    kvTokens: 9000,
    kvCapacityTokens: 24_000,
    ranks: [
      { rank: 0, running: 3, waiting: 1, kvUsage: 0.5, kvTokens: 8000, kvCapacityTokens: 16_000 },
      { rank: 1, running: 4, waiting: 0, kvUsage: 0.25, kvTokens: 2000, kvCapacityTokens: 8000 },
    ],
  })
})

test('a capacity that vLLM does not know yet is left out', async () => {
  const metrics = 'vllm:cache_config_info{block_size="None",engine="0",num_gpu_blocks="None"} 1.0\n'
  const facts = await discover(written({ ...real, '/metrics': metrics }).ask)
  assert.equal(facts?.kvCapacityTokens, undefined)
  assert.equal(facts?.blockTokens, undefined)
})

test('KV event sources are handed on when there are some', async () => {
  const sources = [{ rank: 0, endpoint: 'tcp://*:5557' }]
  assert.deepEqual(
    (await discover(written({ ...real, '/kv_event_sources': sources }).ask))?.kvEvents,
    sources,
  )
  assert.equal((await discover(written({ ...real, '/kv_event_sources': [] }).ask))?.kvEvents, undefined)
})

test('without statistics there is no load', async () => {
  assert.equal(await vllm.load(written({ '/metrics': '# nothing here\n' }).ask), null)
  assert.equal(await vllm.load(written({}).ask), null)
})

test('without statistics the count of calls is the load, if it is kept', async () => {
  assert.deepEqual(await vllm.load(written({ '/load': { server_load: 3 } }).ask), { running: 3, waiting: 0 })
  assert.equal(await vllm.load(written({ '/load': recordedBody('load') }).ask), null)
})

test('one question is enough where there are statistics', async () => {
  const { ask, asked } = written(real)
  await vllm.load(ask, { loadPath: '/metrics' })
  assert.deepEqual(asked, ['/metrics'])
})

test('ranks are counted wherever they are named, and each has a load of its own', async () => {
  const text = [0, 1, 2]
    .map(
      (rank) =>
        `vllm:num_requests_running{engine="${rank}",model_name="m"} ${rank + 1}.0\n` +
        `vllm:num_requests_waiting{model_name="m",engine="${rank}"} ${rank * 2}.0\n` +
        `vllm:kv_cache_usage_perc{engine="${rank}"} 0.${rank}\n`,
    )
    .join('')
  const ask: AskWorker = (_, path) =>
    Promise.resolve(path === '/metrics' ? { status: 200, headers: {}, text } : null)
  assert.equal((await vllm.facts(ask)).dpSize, 3)
  const load = await vllm.load(ask)
  assert.deepEqual([load?.running, load?.waiting], [6, 6])
  assert.deepEqual(load?.ranks, [
    { rank: 0, running: 1, waiting: 0, kvUsage: 0 },
    { rank: 1, running: 2, waiting: 2, kvUsage: 0.1 },
    { rank: 2, running: 3, waiting: 4, kvUsage: 0.2 },
  ])
})
