import assert from 'node:assert/strict'
import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { before, test } from 'node:test'
import { configSchema } from '../../src/config/schema.ts'
import { arrivalsOf } from '../../src/replay/arrivals.ts'
import { loadShares } from '../../src/replay/figures.ts'
import { DEFAULTS, type ReplayOptions } from '../../src/replay/options.ts'
import { promptOf } from '../../src/replay/prompt-path.ts'
import { readTrace } from '../../src/replay/read-trace.ts'
import { ORACLE, replay } from '../../src/replay/replay.ts'
import { reportOf } from '../../src/replay/report.ts'
import type { Trace } from '../../src/replay/trace.ts'

const FILE = new URL('./conversation-300.jsonl', import.meta.url)
let trace: Trace

before(async () => {
  trace = await readTrace(createInterface({ input: createReadStream(FILE) }), 'conversation')
})

/** 8 workers of 500 blocks at twice the speed, as the reference was run. */
function run(policy: string, change: Partial<ReplayOptions> = {}, seeds: readonly number[] = [0]) {
  const name = policy === ORACLE ? 'round_robin' : policy
  const config = configSchema.parse({ policy: name, healthInterval: 'off', queueTimeout: 'off' })
  return replay(trace, { ...DEFAULTS, capacity: 500, speed: 2, ...change }, { policy, config, seeds })
}

test('round_robin gives the figures of the reference model to their last digit', async () => {
  const { figures } = await run('round_robin')
  assert.equal(figures.requests, 300)
  assert.equal(figures.hit_ratio.toFixed(4), '0.0382')
  assert.equal(figures.ttft_mean_s.toFixed(3), '5.615')
  assert.equal(figures.ttft_p50_s.toFixed(3), '2.360')
  assert.equal(figures.ttft_p99_s.toFixed(3), '24.983')
  assert.equal(figures.tpot_mean_ms.toFixed(2), '29.89')
  assert.equal(figures.goodput.toFixed(3), '0.463')
})

test('the oracle gives those of the reference but for ties, which chance decides', async () => {
  const { figures } = await run(ORACLE)
  assert.ok(Math.abs(figures.ttft_mean_s / 1.633 - 1) < 0.05, String(figures.ttft_mean_s))
  assert.ok(Math.abs(figures.goodput / 0.752 - 1) < 0.05, String(figures.goodput))
})

test('least_cost is near the oracle, which knows what no router can', async () => {
  const [own, oracle] = [await run('least_cost'), await run(ORACLE)]
  assert.ok(own.figures.ttft_mean_s < 1.15 * oracle.figures.ttft_mean_s, String(own.figures.ttft_mean_s))
})

test('a run is the same each time; a seed moves arrivals inside of a burst, and nothing else', async () => {
  const [first, again, other] = [
    await run('least_cost', {}, [3]),
    await run('least_cost', {}, [3]),
    await run('least_cost', {}, [4]),
  ]
  assert.deepEqual(first.figures, again.figures)
  assert.notDeepEqual(first.figures, other.figures)
  const times = (seed: number) => arrivalsOf(trace.requests, { speed: 1, seed }).map(({ arrival }) => arrival)
  const burst = times(0).filter((at) => at < 3).length
  assert.ok(burst > 1)
  assert.equal(times(3).filter((at) => at < 3).length, burst)
  assert.deepEqual(
    times(3),
    times(3).toSorted((a, b) => a - b),
  )
})

test('figures of several seeds are their means', async () => {
  const { figures, seeds } = await run('least_load', {}, [1, 2])
  const [one, two] = seeds
  assert.equal(figures.ttft_mean_s, ((one?.ttft_mean_s ?? 0) + (two?.ttft_mean_s ?? 0)) / 2)
})

test('a worker that joins late gets nothing before, and much after', async () => {
  const { run: late } = await run('least_load', { scaleOut: true })
  const isEarly = (index: number) =>
    (late.arrivals[index]?.arrival ?? 0) < (late.arrivals.at(-1)?.arrival ?? 0) / 2
  const got = [...late.worker].flatMap((worker, index) => (worker === 7 ? [isEarly(index)] : []))
  assert.ok(got.length > 10)
  assert.ok(!got.includes(true))
})

test('a restart loses the cache of its worker, of which no router is told', async () => {
  const [whole, restarted] = [await run('round_robin'), await run('round_robin', { restart: 0, at: 0.9 })]
  assert.deepEqual(whole.run.worker, restarted.run.worker)
  assert.ok(restarted.figures.hit_ratio <= whole.figures.hit_ratio)
})

test('half the workers slow: least_cost learns it and sends them less', async () => {
  const { run: slow } = await run('least_cost', { hetero: 0.25 })
  const shares = loadShares(slow)
  const sum = (from: number) => shares.slice(from, from + 4).reduce((a, b) => a + b)
  assert.ok(sum(0) > 1.3 * sum(4), shares.join())
})

test('a hot prefix makes hits where there were none', async () => {
  const [plain, hot] = [await run('least_cost'), await run('least_cost', { hot: 1, at: 0 })]
  assert.ok(hot.figures.hit_ratio > plain.figures.hit_ratio + 0.2, String(hot.figures.hit_ratio))
})

test('with a leader several routers decide as one, and nearly so when they tell each other; unsynced ones are worse', async () => {
  const one = await run('least_cost')
  const led = await run('least_cost', { routers: 4, sync: 'leader' })
  const told = await run('least_cost', { routers: 4, sync: '10ms' })
  const none = await run('least_cost', { routers: 4, sync: 'none' })
  assert.ok(told.figures.ttft_mean_s < 1.1 * one.figures.ttft_mean_s, String(told.figures.ttft_mean_s))
  assert.ok(led.figures.ttft_mean_s < 1.05 * one.figures.ttft_mean_s, String(led.figures.ttft_mean_s))
  assert.ok(none.figures.ttft_mean_s > 1.1 * one.figures.ttft_mean_s, String(none.figures.ttft_mean_s))
})

test('eight shards decide nearly as one pool, among all workers', async () => {
  const one = await run('least_cost')
  const { figures, run: sharded } = await run('least_cost', { shards: 8 })
  assert.ok(figures.ttft_mean_s < 1.1 * one.figures.ttft_mean_s, String(figures.ttft_mean_s))
  const workersOf = new Map<string, Set<number>>()
  for (const { session, index } of sharded.arrivals)
    workersOf.set(session, (workersOf.get(session) ?? new Set()).add(sharded.worker[index] as number))
  assert.ok([...workersOf.values()].some(({ size }) => size > 1))
})

test('a prompt of a trace has the blocks that the router would cut, equal where its blocks are', () => {
  const prompt = (input: number, blocks: number[]) =>
    promptOf({ at: 0, input, output: 1, blocks: Int32Array.from(blocks), session: null, prompt: null })
  const short = prompt(5120, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
  const long = prompt(5120, [0, 1, 2, 3, 4, 5, 6, 7, 8, 99])
  assert.equal(short.bytes, 20_480)
  assert.equal(short.path.length, 68)
  assert.deepEqual(short.path.subarray(0, 66), long.path.subarray(0, 66))
  assert.notEqual(short.path[66], long.path[66])
  assert.equal(new Set(short.path).size, 68)
})

test('the report is one page with three plots, without scripts and without anything from elsewhere', async () => {
  const replays = [await run('least_load'), await run('round_robin')]
  const page = reportOf(replays, { trace: '<my> & trace', settings: [['workers', '8']] })
  assert.equal(page.match(/<svg /g)?.length, 3)
  assert.match(page, /Replay of &lt;my&gt; &amp; trace/)
  assert.match(page, /<td>.*round_robin<\/td><td>300<\/td><td>3\.8 %<\/td><td>5\.615 s<\/td>/)
  assert.doesNotMatch(page, /<script|https?:\/\/(?!www\.w3\.org)|NaN|Infinity/)
})
