// What production-stack tells of its requests: metrics, the line of each routing decision, and a block of statistics by the clock.
import type { Core } from '../../core.ts'
import type { Step, Surface } from '../dialect.ts'
import { modelsByUrl, statsBlock } from './log-stats.ts'
import { Statistics } from './metrics.ts'
import type { Options } from './options.ts'
import { logRouting } from './routing-log.ts'

type Hooks = Required<Pick<Surface, 'follow' | 'count' | 'read' | 'start'>>

/** The hooks of a surface that measure. */
export interface Measuring extends Hooks {
  /** A call was refused; `model`: as the engines know it, '' where none does. */
  refused: Statistics['refused']
}

/** Measures by a window of `requestStatsWindow` and logs each `logStatsInterval` (seconds) where `logStats` asks for it. */
export function measuring(
  options: Pick<Options, 'requestStatsWindow' | 'logStats' | 'logStatsInterval'>,
): Measuring {
  const statistics = new Statistics(options.requestStatsWindow * 1000)
  return {
    follow: (step, core) => {
      statistics.follow(step, core)
      if (step.kind === 'sent') logSent(step, core)
    },
    count: (happened, core) => statistics.count(happened, core),
    refused: (refusal, model, core) => statistics.refused(refusal, model, core),
    read: (core, view) => statistics.read(core, view),
    start: (core) => {
      statistics.begin(core.host.now())
      if (options.logStats) repeat(core, options.logStatsInterval * 1000, () => logStats(core, statistics))
    },
  }
}

const logSent = ({ admitted, plan }: Step & { readonly kind: 'sent' }, core: Core): void =>
  logRouting(core, admitted, plan, core.config.retries + 1)

/** For as long as the host's timers ring. */
function repeat(core: Core, ms: number, run: () => Promise<void>): void {
  const { host } = core
  host.timer(ms, () => {
    repeat(core, ms, run)
    host.after(run())
  })
}

async function logStats({ host }: Core, statistics: Statistics): Promise<void> {
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
