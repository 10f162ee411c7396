// What production-stack tells of its requests: metrics, and the line of each routing decision.
import type { Core } from '../../core.ts'
import type { Step, Surface } from '../dialect.ts'
import type { Statistics } from './metrics.ts'
import { logRouting } from './routing-log.ts'

type Hooks = Required<Pick<Surface, 'follow' | 'count' | 'read'>>

/** The hooks of a surface that measure. */
export interface Measuring extends Hooks {
  /** A call was refused; `model`: as the engines know it, '' where none does. */
  refused: Statistics['refused']
}

/** Measures by `statistics`. */
export const measuring = (statistics: Statistics): Measuring => ({
  follow: (step, core) => {
    statistics.follow(step, core)
    if (step.kind === 'sent') logSent(step, core)
  },
  count: (happened, core) => statistics.count(happened, core),
  refused: (refusal, model, core) => statistics.refused(refusal, model, core),
  read: (core, view) => statistics.read(core, view),
})

const logSent = ({ admitted, plan }: Step & { readonly kind: 'sent' }, core: Core): void =>
  logRouting(core, admitted, plan, core.config.retries + 1)
