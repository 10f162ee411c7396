// The fewest tokens held and waiting; for data-parallel ranks.
import { isLessLoaded } from './least-load.ts'
import type { Candidate, Policy } from './policy.ts'

const tokensOf = (candidate: Candidate): number =>
  candidate.heldTokens + candidate.backlogTokens + candidate.foreignTokens

export const dpMinimumTokens: Policy = {
  name: 'dp_minimum_tokens',
  needsPrefix: false,
  usesLoad: true,
  choose(_ask, candidates) {
    let best = 0
    for (let i = 1; i < candidates.length; i++) {
      const rival = candidates[i] as Candidate
      const leader = candidates[best] as Candidate
      const difference = tokensOf(rival) - tokensOf(leader)
      if (difference < 0 || (difference === 0 && isLessLoaded(rival, leader))) best = i
    }
    return best
  },
}
