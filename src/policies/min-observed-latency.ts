import { leastBy } from './least-by.ts'
import type { Candidate, Policy } from './policy.ts'

/** Mean of the measured ones; 1 when none is. */
function usualLatency(candidates: readonly Candidate[]): number {
  let sum = 0
  let count = 0
  for (const { latency } of candidates) {
    if (latency === 0) continue
    sum += latency
    count++
  }
  return count === 0 ? 1 : sum / count
}

export const minObservedLatency: Policy = {
  name: 'min_observed_latency',
  about: 'least latency × calls in flight; equals by chance',
  needsPrefix: false,
  // As DLRouter does it, but failed calls are no measurements: there they make a broken worker look fast.
  choose(_ask, candidates, sense) {
    const usual = usualLatency(candidates)
    return leastBy(candidates, sense, ({ inFlight, latency }) => inFlight * (latency || usual))
  },
}
