import { test } from 'node:test'
import assert from 'node:assert/strict'
import { discover, engineOf } from '../../src/engines/engine.ts'
import { written } from './_ask.ts'

const lmdeploy = engineOf('lmdeploy')
assert.ok(lmdeploy)

const models = {
  object: 'list',
  data: [{ id: 'internlm', owned_by: 'lmdeploy', root: 'internlm', parent: null }],
}
const metrics = `lmdeploy:num_requests_running{engine="0",model_name="internlm"} 2.0
lmdeploy:num_requests_waiting{engine="0",model_name="internlm"} 1.0
lmdeploy:gpu_cache_usage_perc{engine="0",model_name="internlm"} 0.75
`

test('it tells its models and load', async () => {
  const { ask } = written({ '/v1/models': models, '/metrics': metrics })
  const facts = await discover(ask)
  assert.deepEqual(facts, {
    engine: 'lmdeploy',
    models: [{ id: 'internlm', root: 'internlm' }],
    metricsPath: '/metrics',
    loadPath: '/metrics',
    dpSize: 1,
  })
  assert.deepEqual(await lmdeploy.load(ask), { running: 2, waiting: 1, kvUsage: 0.75 })
})

test('it works with metrics switched off', async () => {
  const { ask } = written({ '/v1/models': models })
  assert.deepEqual(await discover(ask), {
    engine: 'lmdeploy',
    models: [{ id: 'internlm', root: 'internlm' }],
  })
  assert.equal(await lmdeploy.load(ask), null)
})
