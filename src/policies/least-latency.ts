// Least time to first token × calls in flight; unmeasured first.
import { isLessLoaded } from './least-load.ts'
import type { Candidate, Policy } from './policy.ts'

/** What the next call would wait for: the measured time, once for each call that is there already and once for itself. */
function expected(candidate: Candidate): number {
  return (candidate.latency * (candidate.inFlight + 1)) / candidate.weight
}

export const leastLatency: Policy = {
  name: 'least_latency',
  needsPrefix: false,
  choose(_ask, candidates) {
    let best = 0
    for (let i = 1; i < candidates.length; i++) {
      const rival = candidates[i] as Candidate
      const leader = candidates[best] as Candidate
      const difference = expected(rival) - expected(leader)
      if (difference < 0 || (difference === 0 && isLessLoaded(rival, leader))) best = i
    }
    return best
  },
  weigh: () => (_ask, candidate) => ({ cost: expected(candidate) }),
}
