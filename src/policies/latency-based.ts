import type { Candidate, Policy } from './policy.ts'

export const latencyBased: Policy = {
  name: 'latency_based',
  about: 'least latency, then calls in flight, then URL',
  needsPrefix: false,
  // Distributed-LLM-Router's rule, but for the unmeasured: there they are never tried again once one worker has a sample.
  choose(_ask, candidates) {
    let best = 0
    for (let i = 1; i < candidates.length; i++) {
      const rival = candidates[i] as Candidate
      const leader = candidates[best] as Candidate
      const difference = rival.latency - leader.latency || rival.inFlight - leader.inFlight
      if (difference < 0 || (difference === 0 && rival.url < leader.url)) best = i
    }
    return best
  },
}
