// How busy a simulated engine is, in the form in which SGLang publishes it.
import type { Scheduler } from './scheduler.ts'
import type { Simulation } from './simulation.ts'

/** An engine's load for those who publish it. */
export interface LoadOutput {
  /** `["LoadStat", …]` as SGLang 0.5.23 has it. */
  stat(rank?: number): readonly unknown[]
  /** The engine says in its /server_info that its load is published there. */
  announce(endpoint: string): void
}

export const loadOutput = (sim: Simulation): LoadOutput => ({
  stat(rank = 0) {
    const { running, waiting, backlog, totals, cache } = sim.scheduler.all[rank] as Scheduler
    const { blocks, blockTokens, maxSequences } = sim.limits
    const used = cache.held * blockTokens
    const computed = totals.promptTokens - totals.cachedTokens
    const busy = Math.round(totals.prefillMs * 1000)
    // The rank is null where there is one only.
    const counts = [running, waiting, used, blocks * blockTokens, null, backlog, used + backlog]
    return ['LoadStat', ...counts, maxSequences, computed, busy]
  },
  announce(endpoint) {
    sim.loadEndpoint = endpoint
  },
})
