import { test } from 'node:test'
import assert from 'node:assert/strict'
import parsePrometheus from 'parse-prometheus-text-format'
import { checkDefinition } from '../../src/metrics/check.ts'
import { createInstruments } from '../../src/metrics/instruments.ts'
import { showProcess } from '../../src/metrics/process-readings.ts'
import { createMeter } from '../../src/metrics/prometheus.ts'
import type { PoolView } from '../../src/actors/pool-view.ts'
import type { SeatView } from '../../src/actors/seat.ts'

const worker = (id: string, rest: Partial<SeatView> = {}): SeatView => ({
  id,
  url: `http://${id}:8000`,
  engine: 'vllm',
  role: 'mixed',
  state: 'up',
  breaker: 'closed',
  breaker_trips: 0,
  breaker_moves: { closed_open: 0, open_half_open: 0, half_open_open: 0, half_open_closed: 0 },
  probes: { good: 0, bad: 0 },
  in_flight: 0,
  backlog_tokens: 0,
  speed: 0,
  held_tokens: 0,
  capacity_tokens: 0,
  index_tokens: 0,
  latency_ms: 0,
  recent_ms: [],
  predicted_cached_tokens: 0,
  cached_tokens: 0,
  prediction_error_tokens: 0,
  served: 0,
  failed: 0,
  load: null,
  load_failures: 0,
  kv_events: null,
  binding: 'early',
  ...rest,
})
const load = {
  running: null,
  waiting: null,
  waiting_uncached_tokens: null,
  used_tokens: null,
  capacity_tokens: null,
  kv_usage: null,
  age_ms: 0,
}
const pool = (...workers: SeatView[]): PoolView => ({
  workers,
  queued: 1,
  in_flight: 2,
  leases: 3,
  service_ms: 0,
  index_bytes: 4096,
  index_limit_bytes: 8192,
  shadow: null,
})

function setUp(options: Parameters<typeof createInstruments>[1] = {}) {
  const meter = createMeter({ check: checkDefinition })
  const instruments = createInstruments(meter, options)
  const valueOf = (name: string, labels: Record<string, string> = {}) => {
    const metric = parsePrometheus(meter.render()).find((one) => one.name === name)
    const wanted = Object.entries(labels)
    return metric?.metrics.find((one) => wanted.every(([label, value]) => one.labels?.[label] === value))
      ?.value
  }
  return { meter, instruments, valueOf }
}

test('every metric is ours or a standard one of processes, has help, and speaks base units', () => {
  const { meter } = setUp({
    showProcess: (meter) =>
      showProcess(meter, { residentBytes: () => 1, cpuSeconds: () => 1, loopLagSeconds: () => 0 }),
  })
  const parsed = parsePrometheus(meter.render())
  assert.ok(parsed.length > 25)
  for (const { name, help, type } of parsed) {
    assert.match(name, /^(fetchway|process)_[a-z_]+$/)
    assert.ok(help.length > 10, name)
    assert.doesNotMatch(name, /_(ms|milliseconds|kb|mb|percent)(_|$)/)
    assert.equal(type === 'COUNTER', name.endsWith('_total'), name)
  }
})

test('a call that ended is counted once, with its duration', () => {
  const { instruments, valueOf, meter } = setUp()
  instruments.ended({ model: 'm', endpoint: '/v1/completions', status: 200, outcome: 'ok', seconds: 0.3 })
  assert.equal(valueOf('fetchway_requests_total', { model: 'm', status: '200', outcome: 'ok' }), '1')
  assert.ok(
    meter
      .render()
      .includes('fetchway_request_duration_seconds_sum{model="m",endpoint="/v1/completions"} 0.3\n'),
  )
})

test('refusals and retries are counted by their reason', () => {
  const { instruments, valueOf } = setUp()
  instruments.refused('queue_full')
  instruments.retried('connect')
  assert.equal(valueOf('fetchway_refusals_total', { code: 'queue_full' }), '1')
  assert.equal(valueOf('fetchway_retries_total', { reason: 'connect' }), '1')
})

test('counters without labels are there before anything happened', () => {
  const { valueOf } = setUp({ version: '1.2.3' })
  assert.equal(valueOf('fetchway_retry_budget_exhausted_total'), '0')
  assert.equal(valueOf('fetchway_degraded_decisions_total'), '0')
  assert.equal(valueOf('fetchway_build_info', { version: '1.2.3' }), '1')
})

test('a pool is shown, and its workers one by one', () => {
  const { instruments, valueOf } = setUp()
  const busy = { in_flight: 4, backlog_tokens: 900, load: { ...load, kv_usage: 0.5, running: 7, waiting: 2 } }
  const failing = { state: 'down', breaker: 'half_open', breaker_trips: 2, load_failures: 3 } as const
  instruments.showPool(pool(worker('a', busy), worker('b', failing)), false)
  assert.equal(valueOf('fetchway_queue_depth'), '1')
  assert.equal(valueOf('fetchway_in_flight'), '2')
  assert.equal(valueOf('fetchway_leases'), '3')
  assert.equal(valueOf('fetchway_worker_in_flight', { worker: 'a' }), '4')
  assert.equal(valueOf('fetchway_worker_backlog_tokens', { worker: 'a' }), '900')
  assert.equal(valueOf('fetchway_worker_kv_usage_ratio', { worker: 'a' }), '0.5')
  assert.equal(valueOf('fetchway_worker_kv_usage_ratio', { worker: 'b' }), undefined)
  assert.equal(valueOf('fetchway_worker_engine_running', { worker: 'a' }), '7')
  assert.equal(valueOf('fetchway_worker_engine_waiting', { worker: 'a' }), '2')
  assert.equal(valueOf('fetchway_worker_engine_waiting', { worker: 'b' }), undefined)
  assert.equal(valueOf('fetchway_worker_load_failures_total', { worker: 'b' }), '3')
  assert.equal(valueOf('fetchway_worker_up', { worker: 'b' }), '0')
  assert.equal(valueOf('fetchway_worker_healthy', { worker: 'b' }), '0')
  assert.equal(valueOf('fetchway_worker_breaker_state', { worker: 'b' }), '2')
  assert.equal(valueOf('fetchway_worker_breaker_transitions_total', { worker: 'b' }), '2')
  assert.equal(valueOf('fetchway_workers', { state: 'ready' }), '1')
  assert.equal(valueOf('fetchway_workers', { state: 'draining' }), '0')
})

test('what is known of caches and speeds is shown, a speed only when there is one', () => {
  const { instruments, valueOf } = setUp()
  const known = { index_tokens: 1200, held_tokens: 300, speed: 20_000 }
  instruments.showPool(pool(worker('a', known), worker('b')), false)
  assert.equal(valueOf('fetchway_index_bytes'), '4096')
  assert.equal(valueOf('fetchway_index_limit_bytes'), '8192')
  assert.equal(valueOf('fetchway_worker_index_tokens', { worker: 'a' }), '1200')
  assert.equal(valueOf('fetchway_worker_held_tokens', { worker: 'a' }), '300')
  assert.equal(valueOf('fetchway_worker_prefill_tokens_per_second', { worker: 'a' }), '20000')
  assert.equal(valueOf('fetchway_worker_prefill_tokens_per_second', { worker: 'b' }), undefined)
})

test('a worker that is gone vanishes from the gauges', () => {
  const { instruments, valueOf, meter } = setUp()
  instruments.showPool(pool(worker('a'), worker('b')), false)
  instruments.showPool(pool(worker('b')), false)
  assert.equal(meter.render().includes('worker="a"'), false)
  assert.equal(valueOf('fetchway_workers', { state: 'ready' }), '1')
})

test('a forgotten worker leaves no counters behind', () => {
  const { instruments, meter } = setUp()
  instruments.firstToken.with('m', 'a').observe(0.1)
  instruments.tokens.with('m', 'a', 'prompt', 'false').add(10)
  instruments.workerRequests.with('a', 'ok').add()
  instruments.forget('a')
  assert.equal(meter.render().includes('worker="a"'), false)
})

test('what was counted for a worker goes when it is missing twice, even if a late stream counts again', () => {
  const { instruments, meter } = setUp()
  const count = () => instruments.workerRequests.with('a', 'ok').add()
  const isCounted = () => meter.render().includes('fetchway_worker_requests_total{worker="a"')
  count()
  instruments.showPool(pool(worker('a')), false)
  instruments.showPool(pool(), false)
  assert.equal(isCounted(), true)
  instruments.showPool(pool(), false)
  assert.equal(isCounted(), false)
  count()
  instruments.showPool(pool(), false)
  assert.equal(isCounted(), false)
})

test('a worker that is missing once, or comes back, keeps its counts', () => {
  const { instruments, valueOf } = setUp()
  instruments.workerRequests.with('a', 'ok').add()
  for (const workers of [[worker('a')], [], [worker('a')], [], [worker('a')]])
    instruments.showPool(pool(...workers), false)
  assert.equal(valueOf('fetchway_worker_requests_total', { worker: 'a' }), '1')
})

test('URLs stand in the info metric alone, without their credentials', () => {
  const { instruments, meter } = setUp()
  instruments.showPool(pool(worker('a', { url: 'https://user:pa@ss@gpu1:8000/base?key=hush' })), true)
  const lines = meter
    .render()
    .split('\n')
    .filter((line) => line.includes('gpu1'))
  assert.deepEqual(lines, [
    'fetchway_worker_info{worker="a",url="https://gpu1:8000/base",engine="vllm",role="mixed"} 1',
  ])
})

test('the process is asked at each render', () => {
  let bytes = 1
  const { valueOf } = setUp({
    showProcess: (meter) => showProcess(meter, { residentBytes: () => bytes, cpuSeconds: () => 1.5 }),
  })
  assert.equal(valueOf('process_resident_memory_bytes'), '1')
  bytes = 2
  assert.equal(valueOf('process_resident_memory_bytes'), '2')
  assert.equal(valueOf('process_cpu_seconds_total'), '1.5')
})

const answer = {
  model: 'm',
  endpoint: '/v1/completions',
  status: 200,
  outcome: 'ok',
  worker: 'a',
  seconds: 0.3,
  usage: { promptTokens: 10, cachedTokens: 4, completionTokens: 2, estimated: false },
}

test('answers of a worker count in the series of how each of them ended', () => {
  const { instruments, valueOf } = setUp()
  const ends = [
    answer,
    answer,
    { ...answer, outcome: 'left', usage: null },
    { ...answer, usage: { ...answer.usage, estimated: true, cachedTokens: null } },
    { ...answer, worker: 'b', model: 'n', status: 404 },
  ]
  for (const end of ends) instruments.answered(end)
  const requests = (labels: Record<string, string>) => valueOf('fetchway_requests_total', labels)
  assert.equal(requests({ model: 'm', status: '200', outcome: 'ok' }), '3')
  assert.equal(requests({ model: 'm', status: '200', outcome: 'left' }), '1')
  assert.equal(requests({ model: 'n', status: '404', outcome: 'ok' }), '1')
  assert.equal(valueOf('fetchway_worker_requests_total', { worker: 'a', outcome: 'ok' }), '3')
  const tokens = (labels: Record<string, string>) => valueOf('fetchway_tokens_total', labels)
  assert.equal(tokens({ worker: 'a', kind: 'prompt', estimated: 'false' }), '20')
  assert.equal(tokens({ worker: 'a', kind: 'cached', estimated: 'true' }), '0')
  assert.equal(tokens({ worker: 'b', kind: 'cached', estimated: 'false' }), '4')
})

test('an answer that ends after its worker was forgotten is counted anew', () => {
  const { instruments, valueOf } = setUp()
  instruments.answered(answer)
  instruments.forget('a')
  instruments.answered(answer)
  assert.equal(valueOf('fetchway_worker_requests_total', { worker: 'a' }), '1')
  assert.equal(valueOf('fetchway_tokens_total', { worker: 'a', kind: 'prompt' }), '10')
})

test('answers that find no room among the series are told each time', () => {
  const meter = createMeter({ seriesLimit: 1 })
  const instruments = createInstruments(meter)
  for (const worker of ['a', 'b', 'b']) instruments.answered({ ...answer, worker, usage: null })
  const lines = meter.render().split('\n')
  assert.ok(lines.includes('fetchway_worker_requests_total{worker="other",outcome="other"} 2'))
  assert.ok(lines.includes('fetchway_metric_series_dropped_total{metric="fetchway_worker_requests_total"} 2'))
})
