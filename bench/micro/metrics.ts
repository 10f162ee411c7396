// Times metrics on the hot path and the work around them: `node bench/micro/metrics.ts`.
import { readFileSync } from 'node:fs'
import { samplesOf } from '../../src/engines/exposition.ts'
import { formatLog } from '../../src/metrics/pretty.ts'
import { createInstruments } from '../../src/metrics/instruments.ts'
import { createMeter } from '../../src/metrics/prometheus.ts'

const ROUNDS = 5

/** CPU time of the best round, a turn: busy neighbours count less than with a wall clock. */
function time(name: string, turns: number, run: (turn: number) => void): void {
  let best = Infinity
  for (let round = 0; round <= ROUNDS; round++) {
    const start = process.cpuUsage().user
    for (let turn = 0; turn < turns; turn++) run(turn)
    best = Math.min(best, ((process.cpuUsage().user - start) * 1000) / turns)
  }
  console.log(
    `${name.padEnd(52)} ${best < 10_000 ? `${best.toFixed(1)} ns` : `${(best / 1000).toFixed(1)} µs`}`,
  )
}

const meter = createMeter()
const instruments = createInstruments(meter)
const workers = Array.from({ length: 64 }, (_, index) => `w-${index}`)
const values = Float64Array.from({ length: 1024 }, () => 10 ** (Math.random() * 6 - 3))

const counter = instruments.workerRequests.with('w-1', 'ok')
const histogram = instruments.firstToken.with('m', 'w-1')
time('add, series kept', 2e6, () => counter.add())
time('observe, series kept', 2e6, (turn) => histogram.observe(values[turn & 1023] as number))
time('add, found by 1 label', 1e6, () => instruments.refusals.with('queue_full').add())
time('add, found by 2 labels of 64 workers', 1e6, (turn) =>
  instruments.workerRequests.with(workers[turn & 63] as string, 'ok').add(),
)
time('add, found by 4 labels', 1e6, (turn) =>
  instruments.tokens.with('m', workers[turn & 63] as string, 'prompt', 'false').add(turn),
)
time('observe, found by 2 labels', 1e6, (turn) =>
  instruments.firstToken.with('m', workers[turn & 63] as string).observe(values[turn & 1023] as number),
)

const lines = meter.render().split('\n').length
time(`render ${lines} lines`, 50, () => void meter.render())

const recording = new URL('../../test/recordings/vllm/metrics.json', import.meta.url)
const page = (JSON.parse(readFileSync(recording, 'utf8')) as { body: string }).body
time(
  `find one metric in ${page.length >> 10} KiB of an engine's metrics`,
  500,
  () => void samplesOf(page, 'vllm:kv_cache_usage_perc'),
)

const event = {
  level: 'info',
  message: 'call answered',
  worker: 'w-1',
  status: 200,
  seconds: 1.25,
  tokens: 812,
} as const
time('format a log line, pretty', 2e4, (turn) => void formatLog(event, { format: 'pretty', at: turn }))
time('format a log line, JSON', 2e4, (turn) => void formatLog(event, { format: 'json', at: turn }))
