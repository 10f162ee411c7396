// The replay against its reference: node bench/calibrate.ts TRACE [SEEDS] [late] with Mooncake's conversation trace. See docs/routing.md.
import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { configSchema } from '../src/config/schema.ts'
import { policies } from '../src/policies/policy.ts'
import type { Figures, Run } from '../src/replay/figures.ts'
import { DEFAULTS, type ReplayOptions } from '../src/replay/options.ts'
import { readTrace } from '../src/replay/read-trace.ts'
import { ORACLE, replay } from '../src/replay/replay.ts'
import type { Trace } from '../src/replay/trace.ts'

/** What the reference model printed for conversation ×2 with bursts spread evenly; ±5 % is calibrated. */
const REFERENCE: Readonly<Record<string, { readonly mean: number; readonly goodput: number }>> = {
  round_robin: { mean: 5.856, goodput: 0.437 },
  cache_aware: { mean: 1.633, goodput: 0.782 },
  oracle: { mean: 0.848, goodput: 0.894 },
}
const SPEEDS = [1, 2, 2.5]
/** Each is measured against least_load under the same conditions. */
const PATHOLOGIES: Readonly<Record<string, Partial<ReplayOptions>>> = {
  'hot prefix (×2)': { speed: 2, hot: 0.5, at: 0.3 },
  'restart (×2)': { speed: 2, restart: 3 },
  'scale-out 7→8 (×2)': { speed: 2, scaleOut: true },
  'half the workers 4× slower (×1)': { speed: 1, hetero: 0.25 },
}

/** Late binding is measured against early binding of the same policy. */
const LATE: Readonly<Record<string, Partial<ReplayOptions>>> = {
  '×1': { speed: 1 },
  '×2': { speed: 2 },
  '×2.5': { speed: 2.5 },
  '×3': { speed: 3 },
  'hot prefix (×2)': { speed: 2, hot: 0.5, at: 0.3 },
  'hot prefix (×2.5)': { speed: 2.5, hot: 0.5, at: 0.3 },
  'restart (×2)': { speed: 2, restart: 3 },
  'scale-out 7→8 (×2)': { speed: 2, scaleOut: true },
  'half the workers 4× slower (×1)': { speed: 1, hetero: 0.25 },
  'half the workers 4× slower (×1.4)': { speed: 1.4, hetero: 0.25 },
  'half the workers 2× slower (×1.4)': { speed: 1.4, hetero: 0.5 },
  'steps shared by 2,048 (×2)': { speed: 2, longPrefill: 2048 },
  'steps shared by 4,096 (×2)': { speed: 2, longPrefill: 4096 },
  'steps shared by 2,048 (×2.5)': { speed: 2.5, longPrefill: 2048 },
  'steps shared by 4,096 (×2.5)': { speed: 2.5, longPrefill: 4096 },
}

interface Way {
  readonly seeds: readonly number[]
  readonly binding?: 'early' | 'late'
}

async function run(trace: Trace, policy: string, options: Partial<ReplayOptions>, way: Way) {
  const { seeds, binding = 'early' } = way
  const name = policy === ORACLE ? 'round_robin' : policy
  const config = configSchema.parse({
    policy: name,
    binding,
    healthInterval: 'off',
    loadInterval: 'off',
    queueTimeout: 'off',
  })
  return replay(trace, { ...DEFAULTS, ...options }, { policy, config, seeds })
}

function line(name: string, figures: Figures, more = ''): void {
  const { hit_ratio, ttft_mean_s, ttft_p50_s, ttft_p99_s, tpot_mean_ms, goodput } = figures
  const cells = [hit_ratio, ttft_mean_s, ttft_p50_s, ttft_p99_s].map((value) => value.toFixed(3).padStart(8))
  process.stdout.write(
    `${name.padEnd(14)}${cells.join('')}${tpot_mean_ms.toFixed(1).padStart(8)}${goodput.toFixed(3).padStart(8)}  ${more}\n`,
  )
}

const heading = (text: string) =>
  process.stdout.write(`\n${text}\n${''.padEnd(14)}    hits    mean     p50     p99    tpot    good\n`)

async function calibration(trace: Trace): Promise<void> {
  heading('Calibration: conversation ×2, bursts spread evenly')
  for (const [policy, reference] of Object.entries(REFERENCE)) {
    if (policy !== ORACLE && !policies.some(({ name }) => name === policy)) continue
    const { figures } = await run(trace, policy, { speed: 2 }, { seeds: [0] })
    const off = (value: number, wanted: number) => `${((value / wanted - 1) * 100).toFixed(1)} %`
    const { ttft_mean_s, goodput } = figures
    line(
      policy,
      figures,
      `mean ${off(ttft_mean_s, reference.mean)}, goodput ${off(goodput, reference.goodput)}`,
    )
  }
}

async function targets(trace: Trace, seeds: readonly number[]): Promise<void> {
  for (const speed of SPEEDS) {
    heading(`Conversation ×${speed}, mean of ${seeds.length} seeds`)
    const { figures: oracle } = await run(trace, ORACLE, { speed }, { seeds })
    line(ORACLE, oracle)
    for (const policy of ['least_cost', 'cache_aware', 'least_load', 'round_robin']) {
      if (!policies.some(({ name }) => name === policy)) continue
      const { figures: own } = await run(trace, policy, { speed }, { seeds })
      const over = (name: 'hit_ratio' | 'ttft_mean_s' | 'ttft_p99_s') => (own[name] / oracle[name]).toFixed(3)
      line(
        policy,
        own,
        `of the oracle: hits ${over('hit_ratio')}, mean ${over('ttft_mean_s')}, p99 ${over('ttft_p99_s')}`,
      )
    }
  }
}

async function pathologies(trace: Trace, seeds: readonly number[]): Promise<void> {
  for (const [name, options] of Object.entries(PATHOLOGIES)) {
    heading(`${name}, mean of ${seeds.length} seeds`)
    const { figures: least } = await run(trace, 'least_load', options, { seeds })
    line('least_load', least)
    for (const policy of ['least_cost', ORACLE]) {
      const { figures: own } = await run(trace, policy, options, { seeds })
      const over = (key: 'ttft_mean_s' | 'ttft_p99_s') => (own[key] / least[key]).toFixed(3)
      line(policy, own, `of least_load: mean ${over('ttft_mean_s')}, p99 ${over('ttft_p99_s')}`)
    }
  }
}

/** The 99th percentile of the first tokens of the longest twentieth of the prompts, s, but for those that fill the caches. */
function longest({ arrivals, first }: Run): number {
  const counted = arrivals.slice(Math.floor(arrivals.length / 10)).toSorted((a, b) => b.input - a.input)
  const times = counted.slice(0, counted.length / 20).map(({ index }) => first[index] as number)
  return times.toSorted((a, b) => a - b)[Math.floor(times.length * 0.99)] as number
}

async function late(trace: Trace, seeds: readonly number[]): Promise<void> {
  for (const [name, options] of Object.entries(LATE)) {
    heading(`${name}, mean of ${seeds.length} seeds`)
    const early = await run(trace, 'least_cost', options, { seeds })
    line('early', early.figures)
    const own = await run(trace, 'least_cost', options, { seeds, binding: 'late' })
    const over = (key: 'ttft_mean_s' | 'ttft_p99_s') => (own.figures[key] / early.figures[key]).toFixed(3)
    const long = (longest(own.run) / longest(early.run)).toFixed(2)
    line(
      'late',
      own.figures,
      `of early: mean ${over('ttft_mean_s')}, p99 ${over('ttft_p99_s')}, longest ${long}`,
    )
  }
}

const [file, count = '5', only] = process.argv.slice(2)
if (file === undefined) throw new Error('usage: node bench/calibrate.ts TRACE [SEEDS] [late]')
const trace = await readTrace(createInterface({ input: createReadStream(file) }), file)
const seeds = Array.from({ length: Number(count) }, (_, i) => i + 1)
if (only !== 'late') {
  await calibration(trace)
  await targets(trace, seeds)
  await pathologies(trace, seeds)
}
await late(trace, seeds)
