import { test } from 'node:test'
import assert from 'node:assert/strict'
import parsePrometheus from 'parse-prometheus-text-format'
import { checkDefinition } from '../../src/metrics/check.ts'
import { createMeter, type Meter } from '../../src/metrics/prometheus.ts'

type ParsedSample = ReturnType<typeof parsePrometheus>[number]['metrics'][number]

function samplesOf(meter: Meter, name: string): ParsedSample[] {
  const found = parsePrometheus(meter.render()).find((metric) => metric.name === name)
  assert.ok(found, `${name} is in the text`)
  return found.metrics
}

function linesOf(meter: Meter, name: string): string[] {
  return meter
    .render()
    .split('\n')
    .filter((line) => line.startsWith(name))
}

test('a parser reads back counters, gauges and histograms with their labels', () => {
  const meter = createMeter()
  meter.counter('calls_total', 'Calls.', ['model', 'status']).with('m', '200').add(3)
  meter.gauge('depth', 'Depth.', []).with().set(2.5)
  meter.histogram('wait_seconds', 'Wait.', [], [0.1, 1]).with().observe(0.5)
  assert.deepEqual(samplesOf(meter, 'calls_total'), [{ value: '3', labels: { model: 'm', status: '200' } }])
  assert.deepEqual(samplesOf(meter, 'depth'), [{ value: '2.5' }])
  assert.deepEqual(samplesOf(meter, 'wait_seconds'), [
    { buckets: { '0.1': '0', '1': '1', '+Inf': '1' }, count: '1', sum: '0.5' },
  ])
})

test('quotes, backslashes and newlines survive in label values and help', () => {
  const meter = createMeter()
  const value = 'a"b\\c\nd}{,='
  meter.counter('odd_total', 'one\ntwo \\ three', ['value']).with(value).add()
  const text = meter.render()
  assert.ok(text.includes('# HELP odd_total one\\ntwo \\\\ three\n'))
  assert.ok(text.includes('odd_total{value="a\\"b\\\\c\\nd}{,="} 1\n'))
  assert.equal(samplesOf(meter, 'odd_total')[0]?.labels?.['value'], value)
})

test('buckets count values up to and including their bound, cumulatively', () => {
  const meter = createMeter()
  const series = meter.histogram('size_bytes', 'Size.', [], [1, 2, 4]).with()
  for (const value of [0, 1, 1.5, 2, 3, 4, 5, 1e9]) series.observe(value)
  assert.deepEqual(linesOf(meter, 'size_bytes'), [
    'size_bytes_bucket{le="1"} 2',
    'size_bytes_bucket{le="2"} 4',
    'size_bytes_bucket{le="4"} 6',
    'size_bytes_bucket{le="+Inf"} 8',
    'size_bytes_sum 1000000016.5',
    'size_bytes_count 8',
  ])
})

test('buckets carry the labels of their series', () => {
  const meter = createMeter()
  meter.histogram('wait_seconds', 'Wait.', ['model'], [1]).with('m').observe(0.5)
  assert.deepEqual(linesOf(meter, 'wait_seconds'), [
    'wait_seconds_bucket{model="m",le="1"} 1',
    'wait_seconds_bucket{model="m",le="+Inf"} 1',
    'wait_seconds_sum{model="m"} 0.5',
    'wait_seconds_count{model="m"} 1',
  ])
})

test('a value that is not a number is not observed', () => {
  const meter = createMeter()
  const series = meter.histogram('wait_seconds', 'Wait.', [], [1]).with()
  series.observe(Number.NaN)
  series.observe(1)
  assert.deepEqual(linesOf(meter, 'wait_seconds_sum'), ['wait_seconds_sum 1'])
  assert.deepEqual(linesOf(meter, 'wait_seconds_count'), ['wait_seconds_count 1'])
})

test('a counter never falls', () => {
  const meter = createMeter()
  const series = meter.counter('calls_total', 'Calls.', []).with()
  series.add(2)
  series.add(-1)
  series.add(Number.NaN)
  assert.deepEqual(linesOf(meter, 'calls_total'), ['calls_total 2'])
})

test('gauges show infinities and NaN the way Prometheus spells them', () => {
  const meter = createMeter()
  const gauge = meter.gauge('g', 'G.', ['k'])
  gauge.with('up').set(Infinity)
  gauge.with('down').set(-Infinity)
  gauge.with('none').set(Number.NaN)
  gauge.with('large').set(1e21)
  assert.deepEqual(linesOf(meter, 'g{'), [
    'g{k="up"} +Inf',
    'g{k="down"} -Inf',
    'g{k="none"} NaN',
    'g{k="large"} 1e+21',
  ])
})

test('the same label values give the same series', () => {
  const meter = createMeter()
  const counter = meter.counter('calls_total', 'Calls.', ['a', 'b', 'c', 'd'])
  assert.equal(counter.with('1', '2', '3', '4'), counter.with('1', '2', '3', '4'))
  assert.notEqual(counter.with('1', '2', '3', '4'), counter.with('1', '2', '3', '5'))
})

test('a full metric sends new series to `other` and counts them', () => {
  const meter = createMeter({ seriesLimit: 2 })
  const counter = meter.counter('calls_total', 'Calls.', ['model', 'status'])
  for (const model of ['a', 'b', 'c', 'd', 'c']) counter.with(model, '200').add()
  counter.with('a', '200').add()
  assert.deepEqual(linesOf(meter, 'calls_total'), [
    'calls_total{model="a",status="200"} 2',
    'calls_total{model="b",status="200"} 1',
    'calls_total{model="other",status="other"} 3',
  ])
  assert.deepEqual(linesOf(meter, 'fetchway_metric_series_dropped_total{'), [
    'fetchway_metric_series_dropped_total{metric="calls_total"} 3',
  ])
})

test('label values that are too long or no text go to `other`', () => {
  const meter = createMeter()
  const counter = meter.counter('calls_total', 'Calls.', ['model'])
  counter.with('x'.repeat(5000)).add()
  counter.with('\ud800').add()
  assert.deepEqual(linesOf(meter, 'calls_total'), ['calls_total{model="other"} 2'])
})

test('removing a label value drops its series at any level and makes room', () => {
  const meter = createMeter({ seriesLimit: 4 })
  const tokens = meter.counter('tokens_total', 'Tokens.', ['model', 'worker', 'kind'])
  const up = meter.gauge('up', 'Up.', ['worker'])
  const calls = meter.counter('calls_total', 'Calls.', ['model'])
  for (const worker of ['w1', 'w2']) {
    up.with(worker).set(1)
    for (const kind of ['in', 'out']) tokens.with('m', worker, kind).add()
  }
  calls.with('w1').add()
  meter.remove('worker', 'w1')
  assert.deepEqual(linesOf(meter, 'tokens_total'), [
    'tokens_total{model="m",worker="w2",kind="in"} 1',
    'tokens_total{model="m",worker="w2",kind="out"} 1',
  ])
  assert.deepEqual(linesOf(meter, 'up'), ['up{worker="w2"} 1'])
  assert.deepEqual(linesOf(meter, 'calls_total'), ['calls_total{model="w1"} 1'])
  tokens.with('m', 'w3', 'in').add()
  tokens.with('m', 'w3', 'out').add()
  assert.deepEqual(linesOf(meter, 'fetchway_metric_series_dropped_total{'), [])
})

test('workers that come and go leave no series behind', () => {
  const meter = createMeter({ seriesLimit: 3 })
  const counter = meter.counter('calls_total', 'Calls.', ['worker', 'outcome'])
  for (let turn = 0; turn < 100; turn++) {
    counter.with(`w${turn}`, 'ok').add()
    counter.with(`w${turn}`, 'refused').add()
    meter.remove('worker', `w${turn}`)
  }
  assert.deepEqual(linesOf(meter, 'calls_total'), [])
  assert.deepEqual(linesOf(meter, 'fetchway_metric_series_dropped_total{'), [])
})

test('collected gauges are filled again at each render', () => {
  const meter = createMeter()
  const gauge = meter.gauge('in_flight', 'In flight.', ['worker'])
  let workers = ['a', 'b']
  meter.collect(() => {
    gauge.clear()
    for (const worker of workers) gauge.with(worker).set(workers.length)
  })
  assert.equal(linesOf(meter, 'in_flight').length, 2)
  workers = ['b']
  assert.deepEqual(linesOf(meter, 'in_flight'), ['in_flight{worker="b"} 1'])
})

test('definitions that Prometheus would not accept throw where they are checked', () => {
  const meter = createMeter({ check: checkDefinition })
  meter.gauge('twice', 'G.', [])
  assert.throws(() => meter.gauge('twice', 'G.', []), /twice/)
  assert.throws(() => meter.gauge('not-a-name', 'G.', []), /no metric name/)
  assert.throws(() => meter.counter('calls', 'C.', []), /_total/)
  assert.throws(() => meter.gauge('g', 'G.', ['__name']), /no label name/)
  assert.throws(() => meter.gauge('g', 'G.', ['a', 'a']), /twice/)
  assert.throws(() => meter.gauge('g', 'G.', ['a', 'b', 'c', 'd', 'e']), /at most 4/)
  assert.throws(() => meter.histogram('h', 'H.', ['le'], [1]), /le/)
  assert.throws(() => meter.histogram('h', 'H.', [], [1, 1]), /ascend/)
  assert.throws(() => meter.histogram('h', 'H.', [], [1, Infinity]), /finite/)
})
