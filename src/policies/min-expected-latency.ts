// The fewest calls in flight for its speed; equals by chance.
import { leastBy } from './least-by.ts'
import type { Candidate, Policy } from './policy.ts'

export const minExpectedLatency: Policy = {
  name: 'min_expected_latency',
  needsPrefix: false,
  // As DLRouter and LMDeploy do it with the speed that a worker registers. Where nobody told weights apart, first tokens teach it.
  choose(_ask, candidates, sense) {
    const first = (candidates[0] as Candidate).weight
    const isTold = candidates.some(({ weight }) => weight !== first)
    return leastBy(candidates, sense, ({ inFlight, speed, weight }) => inFlight / (isTold ? weight : speed))
  },
}
