import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readOrca } from '../../src/engines/orca.ts'
import { createEngine } from '../../src/simulator/engine.ts'
import { ask, chat } from './_engine.ts'

const HEADER = 'endpoint-load-metrics'

async function reportOf(format: string | null, body = {}, name: 'vllm' | 'sglang' = 'vllm') {
  const engine = createEngine({ engine: name, speed: 0 })
  const headers = format === null ? {} : { 'endpoint-load-metrics-format': format }
  const response = await ask(engine, '/v1/chat/completions', chat('hi', body), { headers })
  await response.text()
  return response.headers.get(HEADER)
}

void test('vLLM reports its load with an answer when it was asked to', async () => {
  const idle = { waiting: 0, kvUsage: 0 }
  assert.match(
    (await reportOf('TEXT')) ?? '',
    /^TEXT named_metrics\.num_requests_waiting=0\.0, named_metrics\./,
  )
  assert.match((await reportOf('json')) ?? '', /^JSON \{"named_metrics": \{/)
  for (const format of ['TEXT', 'json']) assert.deepEqual(readOrca((await reportOf(format)) ?? ''), idle)
})

void test('nothing is reported unasked, in streams, in unknown formats, and by other engines', async () => {
  assert.equal(await reportOf(null), null)
  assert.equal(await reportOf('TEXT', { stream: true }), null)
  assert.equal(await reportOf('BIN'), null)
  assert.equal(await reportOf('TEXT', {}, 'sglang'), null)
})

void test('text completions report, too', async () => {
  const engine = createEngine({ engine: 'vllm', speed: 0 })
  const headers = { 'endpoint-load-metrics-format': 'TEXT' }
  const response = await ask(engine, '/v1/completions', { prompt: 'hi' }, { headers })
  assert.ok(response.headers.has(HEADER))
})
