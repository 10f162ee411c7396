import { test } from 'node:test'
import assert from 'node:assert/strict'
import { discover, engineOf } from '../../src/engines/engine.ts'
import { written } from './_ask.ts'

const sglang = engineOf('sglang')
assert.ok(sglang)

const models = { object: 'list', data: [{ id: 'm', owned_by: 'sglang', root: '/m', max_model_len: 8192 }] }
const info = { version: '0.5.9', max_total_num_tokens: 1000, page_size: 16, dp_size: 2, api_key: 'hush' }

test('its server info tells version, capacity of all ranks, page size and KV events, and no key is kept', async () => {
  const kv_events = { publisher: 'zmq', endpoint_port_base: 5557 }
  const facts = await discover(written({ '/v1/models': models, '/server_info': { ...info, kv_events } }).ask)
  assert.deepEqual(facts, {
    engine: 'sglang',
    version: '0.5.9',
    models: [{ id: 'm', root: '/m', maxModelLength: 8192 }],
    kvCapacityTokens: 2000,
    blockTokens: 16,
    dpSize: 2,
    kvEvents: kv_events,
    loadPath: '/v1/loads?include=core',
  })
})

test('an older version is asked under its older name, in four requests in all', async () => {
  const { ask, asked } = written({ '/v1/models': models, '/get_server_info': info })
  const facts = await discover(ask)
  assert.equal(facts?.kvCapacityTokens, 2000)
  assert.equal(facts.loadPath, '/get_load')
  assert.equal(asked.length, 4)
})

test('tensor-parallel peers repeat a value, data-parallel ranks add to it', async () => {
  const metrics = [0, 1]
    .flatMap((dp) =>
      [0, 1, 2].flatMap((tp) => [
        `sglang:max_total_num_tokens{dp_rank="${dp}",tp_rank="${tp}"} 60000`,
        `sglang:num_running_reqs{dp_rank="${dp}",tp_rank="${tp}"} 4`,
        `sglang:num_queue_reqs{dp_rank="${dp}",tp_rank="${tp}"} 1`,
        `sglang:num_used_tokens{dp_rank="${dp}",tp_rank="${tp}"} 1200`,
        `sglang:token_usage{dp_rank="${dp}",tp_rank="${tp}"} 0.02`,
      ]),
    )
    .join('\n')
  const { ask } = written({ '/v1/models': models, '/metrics': metrics })
  const facts = await discover(ask)
  assert.equal(facts?.kvCapacityTokens, 120_000)
  assert.deepEqual(await sglang.load(ask, facts), {
    running: 8,
    waiting: 2,
    kvUsage: 0.02,
    kvTokens: 2400,
    kvCapacityTokens: 120_000,
    ranks: [0, 1].map((dp) => ({
      rank: dp,
      running: 4,
      waiting: 1,
      kvUsage: 0.02,
      kvTokens: 1200,
      kvCapacityTokens: 60_000,
    })),
  })
})

test('the load of /v1/loads is added up over ranks', async () => {
  const rank = { num_running_reqs: 2, num_waiting_reqs: 1, num_used_tokens: 50, token_usage: 0.5 }
  const { ask, asked } = written({
    '/v1/loads?include=core': { loads: [rank, { ...rank, token_usage: 0.25, dp_rank: 5 }] },
  })
  const own = { running: 2, waiting: 1, kvTokens: 50 }
  assert.deepEqual(await sglang.load(ask), {
    running: 4,
    waiting: 2,
    kvUsage: 0.375,
    kvTokens: 100,
    ranks: [
      { rank: 0, ...own, kvUsage: 0.5 },
      { rank: 5, ...own, kvUsage: 0.25 },
    ],
  })
  assert.equal(asked.length, 1)
})

test('what waits and is not cached, and the capacity, are told by /v1/loads', async () => {
  const rank = {
    num_running_reqs: 2,
    num_waiting_reqs: 1,
    num_waiting_uncached_tokens: 700,
    max_total_num_tokens: 1000,
  }
  const { ask } = written({ '/v1/loads?include=core': { loads: [rank] } })
  assert.deepEqual(await sglang.load(ask), {
    running: 2,
    waiting: 1,
    waitingUncachedTokens: 700,
    kvCapacityTokens: 1000,
  })
})

test('the older /get_load counts waiting requests among all', async () => {
  const { ask } = written({ '/get_load': [{ dp_rank: 0, num_reqs: 5, num_waiting_reqs: 2, num_tokens: 9 }] })
  const load = await sglang.load(ask, { loadPath: '/get_load' })
  assert.deepEqual(load, { running: 3, waiting: 2, kvTokens: 9 })
})

test('a version with /server_info and without /v1/loads is asked at /get_load', async () => {
  const { ask, asked } = written({ '/get_load': [{ num_reqs: 5, num_waiting_reqs: 2, num_tokens: 9 }] })
  const load = await sglang.load(ask, { loadPath: '/v1/loads?include=core' })
  assert.deepEqual(load, { running: 3, waiting: 2, kvTokens: 9 })
  assert.deepEqual(asked, ['/v1/loads?include=core', '/get_load'])
})

test('a version without /v1/loads tells its load in its metrics', async () => {
  const { ask } = written({
    '/metrics': 'sglang:num_running_reqs{tp_rank="0"} 3\nsglang:num_queue_reqs{tp_rank="0"} 0\n',
  })
  assert.deepEqual(await sglang.load(ask), { running: 3, waiting: 0 })
})

test('an engine that is gone has no load, and is asked once', async () => {
  const asked: string[] = []
  const load = await sglang.load(async (_method, path) => {
    asked.push(path)
    return null
  })
  assert.equal(load, null)
  assert.equal(asked.length, 1)
})
