import assert from 'node:assert/strict'
import { test } from 'node:test'
import { redact } from '../../src/config/redact.ts'
import { configSchema } from '../../src/config/schema.ts'

test('keys and extra headers are hidden, and nothing else', () => {
  const config = configSchema.parse({
    apiKeys: ['s3cret-1', { key: 's3cret-2', tenant: 'team' }],
    adminKey: 's3cret-3',
    workerApiKey: 's3cret-4',
    workerProbeKey: 's3cret-4b',
    kubernetesToken: 's3cret-7',
    kubernetesHeaders: { 'x-token': 's3cret-8' },
    workers: [
      { url: 'gpu1:8000', apiKey: 's3cret-5', headers: { 'x-token': 's3cret-6' }, labels: { zone: 'a' } },
      'gpu2:8000',
    ],
  })
  const shown = redact(config)
  assert.doesNotMatch(JSON.stringify(shown), /s3cret/)
  assert.equal(shown.apiKeys[1]?.tenant, 'team')
  assert.deepEqual(shown.workers[0]?.headers, { 'x-token': '[hidden]' })
  assert.deepEqual(shown.workers[0]?.labels, { zone: 'a' })
  assert.deepEqual(shown.workers[1], config.workers[1])
})

test('a key that is not set does not appear', () => {
  const shown = redact(configSchema.parse({}))
  assert.ok(!('adminKey' in shown) && !('workerApiKey' in shown))
})
