// `fetchway replay TRACE`: what each policy would have made of recorded traffic, in simulated time.
import { createReadStream } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { toldFields, type ToldField } from '../../src/config/words.ts'
import { suggest } from '../../src/config/nearest.ts'
import { configSchema, type Config } from '../../src/config/schema.ts'
import { policies } from '../../src/policies/policy.ts'
import { DEFAULTS, type ReplayOptions, type Sync } from '../../src/replay/options.ts'
import { readTrace } from '../../src/replay/read-trace.ts'
import { ORACLE, replay, type Replayed } from '../../src/replay/replay.ts'
import { reportOf } from '../../src/replay/report.ts'
import { tableOf } from '../../src/replay/table.ts'
import { TraceError, type Trace } from '../../src/replay/trace.ts'
import type { Status } from './command.ts'
import { readOptions, type OptionTable } from './options.ts'

const OPTIONS: OptionTable = {
  workers: { kind: 'integer', initial: DEFAULTS.workers, about: 'simulated engines' },
  capacity: { kind: 'integer', initial: DEFAULTS.capacity, about: 'KV blocks of 512 tokens on each' },
  speed: { kind: 'number', initial: DEFAULTS.speed, about: 'how many times faster than recorded' },
  policy: {
    kind: 'text',
    initial: 'least_cost,cache_aware,round_robin',
    about: 'policies to compare, with commas between; oracle: one that sees into the engines',
  },
  seeds: {
    kind: 'text',
    about:
      'arrivals by chance inside of rounded times: how many runs, or seeds with commas; figures are means',
  },
  json: { kind: 'boolean', about: 'one JSON object a line for each policy' },
  report: { kind: 'text', about: 'file for an HTML page with plots' },
  at: {
    kind: 'number',
    initial: DEFAULTS.at,
    about: 'where in the time of the trace something happens, 0 to 1',
  },
  restart: { kind: 'integer', about: 'worker that loses its cache then, from 0 on' },
  scaleOut: { kind: 'boolean', about: 'the last worker joins only then' },
  hetero: {
    kind: 'number',
    initial: DEFAULTS.hetero,
    about: 'speed of the second half of the workers, as a factor',
  },
  hot: {
    kind: 'number',
    initial: DEFAULTS.hot,
    about: 'share of the requests that begin with one and the same 16,384 tokens from then on',
  },
  longPrefill: {
    kind: 'integer',
    initial: DEFAULTS.longPrefill,
    about:
      'tokens of one prompt in a step at most: engines share their steps between prompts; 0: they do not',
  },
  routers: { kind: 'integer', initial: DEFAULTS.routers, about: 'routers that share the traffic' },
  sync: {
    kind: 'choice',
    choices: ['leader', '10ms', 'none'],
    initial: DEFAULTS.sync,
    about: 'how they know of each other',
  },
  shards: {
    kind: 'integer',
    initial: DEFAULTS.shards,
    about: 'pools that decide side by side, each for sessions of its own',
  },
}

const SWITCHES = Object.keys(OPTIONS).filter((key) => OPTIONS[key]?.kind === 'boolean')
const USAGE = 'replay TRACE'

/** Replays and prints; 1 when the trace can't be read, 2 when the command line can't. */
export async function replayTrace(argv: readonly string[]): Promise<Status> {
  const { file, flags } = takeFile(argv)
  const choosing = toldFields().filter(
    ({ group, key }) => group === 'Choosing' && !Object.hasOwn(OPTIONS, key),
  )
  const read = readOptions(USAGE, OPTIONS, flags, choosing)
  if ('status' in read) return read.status
  const { options } = read
  if (file === null) return wrong(`which trace? fetchway ${USAGE}`)
  const names = String(options['policy']).split(',').filter(Boolean)
  const problem = problemOf(options, names)
  if (problem !== null) return wrong(problem)
  const configs = configsFor(names, options, choosing)
  if (typeof configs === 'string') return wrong(configs)
  const trace = await traceOf(file)
  if (typeof trace === 'string') return failed(trace)
  process.stderr.write(summary(trace, file))
  const settings = settingsOf(options)
  const replays: Replayed[] = []
  for (const [policy, config] of configs) {
    const replayed = await replay(trace, settings, {
      policy,
      config,
      seeds: seedsOf(options['seeds']) as number[],
    })
    if (options['json'] === true) process.stdout.write(`${JSON.stringify(replayed.figures, rounded)}\n`)
    replays.push(replayed)
  }
  if (options['json'] !== true)
    process.stdout.write(`${tableOf(replays.map(({ figures }) => figures)).join('\n')}\n`)
  return typeof options['report'] === 'string'
    ? writeReport(options['report'], replays, { file, options })
    : 0
}

/** The one word that is no flag and no flag's value is the file. */
function takeFile(argv: readonly string[]): { file: string | null; flags: readonly string[] } {
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i] as string
    if (!word.startsWith('-') || word === '-')
      return { file: word, flags: [...argv.slice(0, i), ...argv.slice(i + 1)] }
    const key = word.replace(/^--(no-)?/, '').replace(/-(.)/g, (_, letter: string) => letter.toUpperCase())
    const isSwitch = SWITCHES.includes(key) || ['-h', '--help', '-V', '--version'].includes(word)
    if (!isSwitch && !word.includes('=')) i++
  }
  return { file: null, flags: argv }
}

type Options = Readonly<Record<string, unknown>>

/** What is wrong with the values together; null: nothing. */
function problemOf(options: Options, names: readonly string[]): string | null {
  const known = [...policies.map(({ name }) => name), ORACLE]
  const unknown = names.find((name) => !known.includes(name))
  if (unknown !== undefined)
    return `--policy: there is no policy ${unknown}${suggest(unknown, known)} (${known.join(', ')})`
  if (names.length === 0) return '--policy: which one?'
  for (const name of ['workers', 'capacity', 'speed', 'hetero', 'routers', 'shards'])
    if (!(Number(options[name]) > 0)) return `--${name}: must be more than 0`
  for (const name of ['at', 'hot']) if (Number(options[name]) > 1) return `--${name}: is a share, 0 to 1`
  const { workers, restart, shards, routers } = options
  if (Number(workers) > 1000) return '--workers: at most 1000 are simulated'
  if (restart !== undefined && Number(restart) >= Number(workers))
    return `--restart: there are workers 0 to ${Number(workers) - 1}`
  if (Number(shards) > 1 && Number(routers) > 1) return '--shards and --routers: one or the other'
  if (options['scaleOut'] === true && Number(workers) < 2) return '--scale-out: needs two workers'
  return seedsOf(options['seeds']) === null
    ? '--seeds: how many runs (5), or seeds with commas between (1,2,3)'
    : null
}

/** `5`: seeds 1 to 5; `1,7`: those; nothing: bursts are spread evenly. */
function seedsOf(value: unknown): readonly number[] | null {
  if (typeof value !== 'string') return [0]
  const seeds = value.split(',').map(Number)
  if (!seeds.every((seed) => Number.isInteger(seed) && seed >= 0)) return null
  if (seeds.length > 1) return seeds
  const count = seeds[0] as number
  return count >= 1 && count <= 1000 ? Array.from({ length: count }, (_, i) => i + 1) : null
}

/** A configuration for each policy, or what is wrong with the policies' own flags. */
function configsFor(
  names: readonly string[],
  options: Options,
  choosing: readonly ToldField[],
): readonly (readonly [string, Config])[] | string {
  const given = Object.fromEntries(
    choosing.flatMap(({ key }) => (options[key] === undefined ? [] : [[key, options[key]]])),
  )
  const configs: [string, Config][] = []
  for (const name of names) {
    const policy = name === ORACLE ? 'round_robin' : name
    const parsed = configSchema.safeParse({
      ...given,
      policy,
      healthInterval: 'off',
      loadInterval: 'off',
      queueTimeout: 'off',
    })
    if (!parsed.success) {
      const [issue] = parsed.error.issues
      return `--${String(issue?.path[0] ?? 'policy')}: ${issue?.message ?? 'is wrong'}`
    }
    configs.push([name, parsed.data])
  }
  return configs
}

function settingsOf(options: Options): ReplayOptions {
  const number = (name: string) => Number(options[name])
  return {
    workers: number('workers'),
    capacity: number('capacity'),
    speed: number('speed'),
    seed: 0,
    routers: number('routers'),
    sync: String(options['sync']) as Sync,
    shards: number('shards'),
    at: number('at'),
    restart: options['restart'] === undefined ? null : number('restart'),
    scaleOut: options['scaleOut'] === true,
    hetero: number('hetero'),
    hot: number('hot'),
    longPrefill: number('longPrefill'),
  }
}

/** The trace, or why it can't be read; `-`: from standard input. */
async function traceOf(file: string): Promise<Trace | string> {
  const input = file === '-' ? process.stdin : createReadStream(file, 'utf8')
  const lines = createInterface({ input, crlfDelay: Infinity })
  try {
    return await readTrace(lines, file)
  } catch (error) {
    if (error instanceof TraceError) return error.message
    const code = error instanceof Error && 'code' in error ? error.code : ''
    if (code === 'ENOENT') return `there is no file ${file}`
    return `${file} can't be read: ${error instanceof Error ? error.message : String(error)}`
  }
}

function summary({ requests, skipped, format }: Trace, file: string): string {
  const minutes = ((requests.at(-1)?.at ?? 0) / 60).toFixed(1)
  const left = skipped > 0 ? `; ${skipped} that were not served are left out` : ''
  return `${file}: ${requests.length} requests over ${minutes} minutes (${format})${left}\n`
}

async function writeReport(
  path: string,
  replays: readonly Replayed[],
  { file, options }: { file: string; options: Options },
): Promise<Status> {
  const settings = Object.entries(options)
    .filter(([name]) => !['policy', 'json', 'report'].includes(name))
    .map(([name, value]) => [name, String(value)] as const)
  try {
    await writeFile(path, reportOf(replays, { trace: file, settings }))
  } catch (error) {
    return failed(`${path} can't be written: ${error instanceof Error ? error.message : String(error)}`)
  }
  process.stderr.write(`report: ${path}\n`)
  return 0
}

/** Six digits are more than a replay knows. */
const rounded = (_key: string, value: unknown): unknown =>
  typeof value === 'number' ? Number(value.toPrecision(6)) : value

function wrong(message: string): Status {
  process.stderr.write(`fetchway: ${message}\n`)
  return 2
}

function failed(message: string): Status {
  process.stderr.write(`fetchway: ${message}\n`)
  return 1
}
