// production-stack where a process lives: what it does by the clock, and tells of the process itself.
import type { Core } from '../../core.ts'
import type { CacheUse } from '../../extensions/extension.ts'
import type { FamilyReading } from '../../metrics/reading.ts'
import type { Surface } from '../dialect.ts'
import { gaugeOf } from '../python/metrics.ts'
import { modelsByUrl, statsBlock } from './log-stats.ts'
import type { Statistics } from './metrics.ts'
import type { Options } from './options.ts'
import { followSleep } from './sleep-watch.ts'
import { surface as lean } from './surface.ts'

/** Its surface, which logs statistics each `logStatsInterval` (seconds) where `logStats` asks for it. */
export const surface = (given: Readonly<Record<string, unknown>>): Surface => lean(given, lasting)

const lasting = (
  { logStats, logStatsInterval }: Options,
  statistics: Statistics,
): Pick<Surface, 'read' | 'start'> => ({
  read: (core, view) => [
    ...statistics.read(core, view),
    ...machineGauges(core.host.process?.machine?.() ?? {}),
    ...cacheGauges(core.extensions?.cacheUse() ?? null),
  ],
  start: (core) => {
    statistics.begin(core.host.now())
    if (logStats) repeat(core, logStatsInterval * 1000, () => logAll(core, statistics))
    followSleep(core)
  },
})

/** For as long as the host's timers ring. */
function repeat(core: Core, ms: number, run: () => Promise<void>): void {
  const { host } = core
  host.timer(ms, () => {
    repeat(core, ms, run)
    host.after(run())
  })
}

async function logAll({ host }: Core, statistics: Statistics): Promise<void> {
  const registry = host.registry('main')
  const [view, workers, directory] = await Promise.all([
    host.pool('main').view(),
    registry.list(),
    registry.directory(-1),
  ])
  const states = statistics.engines(view, host.now())
  const modelsOf = modelsByUrl(workers, directory ?? { models: [] })
  host.log({ level: 'info', message: statsBlock(states, modelsOf), isBlock: true })
}

function cacheGauges(use: CacheUse | null): FamilyReading[] {
  if (use === null) return []
  const { hits, misses, size, latency } = use
  const rows: readonly (readonly [string, string, number])[] = [
    ['hits', 'Chats that were answered from the semantic cache', hits],
    ['misses', 'Chats that it had no answer for', misses],
    ['hit_ratio', 'Share of the former', hits + misses === 0 ? 0 : hits / (hits + misses)],
    ['size', 'Answers in it', size],
    ['latency', 'Mean seconds of a look-up', latency],
  ]
  return rows.map(([key, help, value]) =>
    gaugeOf({ name: `vllm:semantic_cache_${key}`, help, labels: ['server'] }, [[['router'], value]]),
  )
}

const MACHINE = [
  ['cpu', 'CPU of the machine in use, percent'],
  ['memory', 'Memory of the machine in use, percent'],
  ['disk', 'Disk of the machine in use, percent'],
] as const

const machineGauges = (use: Partial<Record<'cpu' | 'memory' | 'disk', number>>): FamilyReading[] =>
  MACHINE.flatMap(([key, help]) => {
    const value = use[key]
    const about = { name: `router_${key}_usage_percent`, help, labels: [] }
    return value === undefined ? [] : [gaugeOf(about, [[[], value]])]
  })
