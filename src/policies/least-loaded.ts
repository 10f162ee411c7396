// The fewest calls in flight, no weights; equals by URL.
import type { Candidate, Policy } from './policy.ts'

export const leastLoaded: Policy = {
  name: 'least_loaded',
  needsPrefix: false,
  choose(_ask, candidates) {
    let best = 0
    for (let i = 1; i < candidates.length; i++) {
      const rival = candidates[i] as Candidate
      const leader = candidates[best] as Candidate
      const difference = rival.inFlight - leader.inFlight
      if (difference < 0 || (difference === 0 && rival.url < leader.url)) best = i
    }
    return best
  },
}
