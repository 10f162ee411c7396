// Least average time of answers, then calls in flight, then URL.
import { averageOf } from './answer-times.ts'
import type { Candidate, Policy } from './policy.ts'

export const latencyBased: Policy = {
  name: 'latency_based',
  needsPrefix: false,
  // Distributed-LLM-Router's rule, but for the unmeasured: there they are never tried again once one worker has a sample.
  choose(_ask, candidates) {
    const averages = candidates.map(({ recent }) => averageOf(recent))
    let best = 0
    for (let i = 1; i < candidates.length; i++) {
      const rival = candidates[i] as Candidate
      const leader = candidates[best] as Candidate
      const slower = (averages[i] as number) - (averages[best] as number)
      const difference = slower || rival.inFlight - leader.inFlight
      if (difference < 0 || (difference === 0 && rival.url < leader.url)) best = i
    }
    return best
  },
}
