import type { Candidate, Policy } from './policy.ts'

export const roundRobin: Policy = {
  name: 'round_robin',
  about: 'each in turn',
  needsPrefix: false,
  // The one chosen longest ago: a counter modulo the number of candidates would skip and double whenever that number changes.
  choose(_ask, candidates) {
    let best = 0
    for (let i = 1; i < candidates.length; i++) {
      if ((candidates[i] as Candidate).lastTurn < (candidates[best] as Candidate).lastTurn) best = i
    }
    return best
  },
}
