import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Plan } from '../../src/actors/ask.ts'
import { askLoad, takeReport } from '../../src/forward/load-report.ts'

const plan = (asksLoad?: boolean): Plan => ({
  kind: 'single',
  worker: { id: 'w', url: 'http://w', engine: 'vllm' },
  decision: 'd',
  attempt: 1,
  waited: 0,
  delay: 0,
  ...(asksLoad && { asksLoad }),
})
const ASKED = ['endpoint-load-metrics-format', 'TEXT']
const REPORT = ['Endpoint-Load-Metrics', 'TEXT named_metrics.num_requests_waiting=2.0']

test('a worker is asked for its load when the plan says so', () => {
  assert.deepEqual(askLoad(['a', 'b'], plan(true)), ['a', 'b', ...ASKED])
  assert.deepEqual(askLoad(['a', 'b'], plan()), ['a', 'b'])
})

test("a client's own question goes out as it is", () => {
  const own = ['endpoint-load-metrics-format', 'JSON']
  assert.deepEqual(askLoad([...own], plan(true)), own)
})

test('a report that the client did not ask for is read and taken away', () => {
  const reported = takeReport(['x-a', '1', ...REPORT, 'x-b', '2'], { passed: [], keys: [] })
  assert.deepEqual(reported, { load: { waiting: 2 }, headers: ['x-a', '1', 'x-b', '2'] })
})

test('a report that the client asked for is read and passed on', () => {
  const headers = ['x-a', '1', ...REPORT]
  assert.deepEqual(takeReport(headers, { passed: ASKED, keys: [] }), { load: { waiting: 2 }, headers })
})

test('a report that says nothing is taken away all the same', () => {
  const headers = ['endpoint-load-metrics', 'BIN CAFE']
  assert.deepEqual(takeReport(headers, { passed: [], keys: [] }), { load: null, headers: [] })
})
