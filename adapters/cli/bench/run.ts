// `fetchway bench run` and `bench sweep`: one call after the other against several at a time, and how far more at a time helps.
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Status } from '../command.ts'
import { readOptions, type OptionTable } from '../options.ts'
import type { Timed } from './client.ts'
import { figuresOf, firstFailure, nodesOf, run } from './load.ts'

const SHARED: OptionTable = {
  numRequests: { kind: 'integer', initial: 60, about: 'calls of each run' },
  promptTokens: { kind: 'integer', initial: 120, about: 'length of the prompts, about' },
  maxTokens: { kind: 'integer', initial: 200, about: 'longest answer' },
  baseUrl: { kind: 'text', initial: 'http://localhost:8000', about: 'an OpenAI endpoint' },
  authToken: { kind: 'text', initial: 'your-secret-token-here', about: 'bearer token' },
  model: { kind: 'text', initial: 'mistralai/Mistral-7B-Instruct-v0.3', about: 'model that is asked for' },
}

const RUN: OptionTable = {
  mode: {
    kind: 'choice',
    choices: ['naive', 'concurrent', 'both'],
    initial: 'both',
    about: 'one after the other, several at a time, or both',
  },
  concurrency: { kind: 'integer', initial: 12, about: 'calls at a time' },
  ...SHARED,
  output: { kind: 'text', initial: 'benchmark/results/run_latest.json', about: 'file of the results' },
  logNode: { kind: 'boolean', about: 'count the calls by the node that answered' },
}

const SWEEP: OptionTable = {
  concurrencies: { kind: 'text', initial: '1,2,4,8,12,16', about: 'calls at a time, one step each' },
  ...SHARED,
  outputJson: { kind: 'text', initial: 'benchmark/results/load_sweep.json', about: 'file of the results' },
  outputCsv: { kind: 'text', initial: 'benchmark/results/load_sweep.csv', about: 'the same as a table' },
}

type Options = Readonly<Record<string, unknown>>

const planOf = (options: Options, concurrency: number, label: string) => ({
  baseUrl: String(options['baseUrl']),
  token: String(options['authToken']),
  model: String(options['model']),
  requests: Number(options['numRequests']),
  promptTokens: Number(options['promptTokens']),
  maxTokens: Number(options['maxTokens']),
  concurrency,
  label,
})

/** Compares. Status 1: not one call went well. */
export async function benchRun(argv: readonly string[]): Promise<Status> {
  const read = readOptions('bench run', RUN, argv)
  if ('status' in read) return read.status
  const { options } = read
  const mode = String(options['mode'])
  const runs: Record<string, unknown> = {}
  const calls: Timed[] = []
  const lines: string[] = []
  const rates: Record<string, number> = {}
  for (const name of ['naive', 'concurrent'] as const) {
    if (mode !== 'both' && mode !== name) continue
    const concurrency = name === 'naive' ? 1 : Math.max(1, Number(options['concurrency']))
    const made = await run(planOf(options, concurrency, name.padEnd(10)))
    const figures = figuresOf(made)
    calls.push(...made.calls)
    runs[name] = figures
    rates[name] = figures.tokens_per_second
    const rate = `${figures.tokens_per_second.toFixed(2)} (p95 ${figures.latency_p95_ms.toFixed(0)} ms, ${figures.error_rate.toFixed(1)} % failed)`
    lines.push(name === 'naive' ? `Naive tok/s:      ${rate}` : `Concurrent tok/s: ${rate}`)
    if (options['logNode'] !== true) continue
    runs[`${name}_node_counts`] = nodesOf(made.calls)
    lines.push(...Object.entries(nodesOf(made.calls)).map(([node, count]) => `  ${node}: ${count}`))
  }
  const { naive = 0, concurrent = 0 } = rates
  const multiplier = naive > 0 ? concurrent / naive : null
  if (multiplier !== null && mode === 'both') lines.push(`Multiplier:       ${multiplier.toFixed(2)}x`)
  const file = String(options['output'])
  const results = { timestamp: new Date().toISOString(), config: configOf(options), runs }
  await write(file, JSON.stringify({ ...results, throughput_multiplier: multiplier }, null, 2))
  process.stdout.write(`Saved results to ${file}\n${lines.join('\n')}\n`)
  return verdict(calls)
}

const configOf = (options: Options) => ({
  num_requests: options['numRequests'],
  concurrency: options['concurrency'],
  prompt_tokens: options['promptTokens'],
  max_tokens: options['maxTokens'],
  base_url: options['baseUrl'],
  model: options['model'],
})

/** Steps up. Status 1: not one call went well; 2: the steps are no numbers. */
export async function benchSweep(argv: readonly string[]): Promise<Status> {
  const read = readOptions('bench sweep', SWEEP, argv)
  if ('status' in read) return read.status
  const { options } = read
  const steps = String(options['concurrencies']).split(',').map(Number)
  if (steps.some((step) => !Number.isInteger(step) || step < 1)) {
    process.stderr.write(
      'fetchway: --concurrencies takes whole numbers from 1 with commas between: 1,2,4,8\n',
    )
    return 2
  }
  const rows: Record<string, number | string>[] = []
  const calls: Timed[] = []
  for (const step of steps) {
    const made = await run(planOf(options, step, `c=${step}`.padEnd(10)))
    const { tokens_per_second, latency_p95_ms, error_rate } = figuresOf(made)
    calls.push(...made.calls)
    const unseen = { gpu_util_avg: '', vram_used_mb_avg: '' }
    rows.push({ concurrency: step, tokens_per_second, latency_p95_ms, error_rate, ...unseen })
    const shown = `tok/s=${tokens_per_second.toFixed(2)} p95=${latency_p95_ms.toFixed(2)}ms err=${error_rate.toFixed(2)}%`
    process.stdout.write(`c=${String(step).padEnd(2)} ${shown}\n`)
  }
  const [json, csv] = [String(options['outputJson']), String(options['outputCsv'])]
  await write(json, JSON.stringify(rows, null, 2))
  const table = [Object.keys(rows[0] ?? {}), ...rows.map((row) => Object.values(row))]
  await write(csv, `${table.map((row) => row.join(',')).join('\n')}\n`)
  process.stdout.write(`Saved sweep JSON: ${json}\nSaved sweep CSV:  ${csv}\n`)
  return verdict(calls)
}

/** Writes a file, and its directory where there is none. */
export async function write(file: string, text: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true })
  await writeFile(file, text)
}

/** Status of a benchmark; tells why calls failed. */
export function verdict(calls: readonly Timed[]): Status {
  const failure = firstFailure(calls)
  if (failure === null) return 0
  const failed = calls.filter((call) => call.failure !== null).length
  process.stderr.write(`fetchway: ${failed} of ${calls.length} calls failed, the first with: ${failure}\n`)
  return failed === calls.length ? 1 : 0
}
