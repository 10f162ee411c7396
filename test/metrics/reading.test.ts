import { test } from 'node:test'
import assert from 'node:assert/strict'
import { createMeter } from '../../src/metrics/prometheus.ts'
import { merge } from '../../src/metrics/merge.ts'
import { expose } from '../../src/metrics/reading.ts'

function made() {
  const meter = createMeter()
  return {
    meter,
    calls: meter.counter('calls_total', 'Calls.', ['model', 'status']),
    cpu: meter.counter('cpu_total', 'CPU of the process.', [], 'first').with(),
    depth: meter.gauge('depth', 'Depth of the one queue.', []).with(),
    lag: meter.gauge('lag', 'Worst lag.', [], 'max').with(),
    wait: meter.histogram('wait_seconds', 'Wait.', [], [0.1, 1]).with(),
  }
}

const linesOf = (text: string) => text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))

test('several meters read as one: counts are added, the rest is taken as it is defined', () => {
  const [one, two] = [made(), made()]
  one.calls.with('a', '200').add(2)
  two.calls.with('a', '200').add(3)
  two.calls.with('b', '500').add()
  one.cpu.set(7)
  two.cpu.set(7)
  one.depth.set(4)
  two.depth.set(9)
  one.lag.set(0.1)
  two.lag.set(0.2)
  one.wait.observe(0.05)
  two.wait.observe(0.5)
  two.wait.observe(5)
  // As it comes from another thread.
  const elsewhere = structuredClone(two.meter.read())
  assert.deepEqual(linesOf(expose(merge(one.meter.read(), [elsewhere]))), [
    'calls_total{model="a",status="200"} 5',
    'calls_total{model="b",status="500"} 1',
    'cpu_total 7',
    'depth 4',
    'lag 0.2',
    'wait_seconds_bucket{le="0.1"} 1',
    'wait_seconds_bucket{le="1"} 2',
    'wait_seconds_bucket{le="+Inf"} 3',
    'wait_seconds_sum 5.55',
    'wait_seconds_count 3',
  ])
})

test('merging leaves the meters as they were', () => {
  const [one, two] = [made(), made()]
  one.calls.with('a', '200').add()
  two.calls.with('a', '200').add()
  const before = one.meter.render()
  merge(one.meter.read(), [two.meter.read()])
  assert.equal(one.meter.render(), before)
})

test('label values that hold separators stay apart', () => {
  const [one, two] = [made(), made()]
  one.calls.with('a","b', 'c').add()
  two.calls.with('a', 'b","c').add()
  assert.equal(merge(one.meter.read(), [two.meter.read()])[1]?.series.length, 2)
})

test('a meter takes over what one that is no more has counted, but not what that only read', () => {
  const [heir, gone] = [made(), made()]
  heir.calls.with('a', '200').add()
  gone.calls.with('a', '200').add(2)
  gone.cpu.set(7)
  gone.depth.set(9)
  gone.wait.observe(0.5)
  heir.meter.absorb(structuredClone(gone.meter.read()))
  assert.deepEqual(linesOf(heir.meter.render()), [
    'calls_total{model="a",status="200"} 3',
    'cpu_total 0',
    'depth 0',
    'lag 0',
    'wait_seconds_bucket{le="0.1"} 0',
    'wait_seconds_bucket{le="1"} 1',
    'wait_seconds_bucket{le="+Inf"} 1',
    'wait_seconds_sum 0.5',
    'wait_seconds_count 1',
  ])
})
