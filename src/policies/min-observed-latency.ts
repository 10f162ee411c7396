// Least mean time of answers × calls in flight; equals by chance.
import { meanOf } from './answer-times.ts'
import { leastBy } from './least-by.ts'
import type { Candidate, Policy } from './policy.ts'

/** Mean of the measured ones; 1 when none is. */
function usualTime(candidates: readonly Candidate[]): number {
  let sum = 0
  let count = 0
  for (const { recent } of candidates) {
    if (recent.length === 0) continue
    sum += meanOf(recent)
    count++
  }
  return count === 0 ? 1 : sum / count
}

export const minObservedLatency: Policy = {
  name: 'min_observed_latency',
  needsPrefix: false,
  // As DLRouter does it, but failed calls are no measurements: there they make a broken worker look fast.
  choose(_ask, candidates, sense) {
    const usual = usualTime(candidates)
    return leastBy(candidates, sense, ({ inFlight, recent }) => inFlight * (meanOf(recent) || usual))
  },
}
