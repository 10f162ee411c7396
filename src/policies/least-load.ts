// The fewest calls in flight per weight; equals in turn.
import type { Candidate, Policy } from './policy.ts'

/** True when `a` has less in flight per weight than `b`; equals go to the one that was chosen longer ago. */
export function isLessLoaded(a: Candidate, b: Candidate): boolean {
  const left = a.inFlight * b.weight
  const right = b.inFlight * a.weight
  return left === right ? a.lastTurn < b.lastTurn : left < right
}

/** Index of the least loaded candidate. */
export function leastLoaded(candidates: readonly Candidate[]): number {
  let best = 0
  for (let i = 1; i < candidates.length; i++) {
    if (isLessLoaded(candidates[i] as Candidate, candidates[best] as Candidate)) best = i
  }
  return best
}

export const leastLoad: Policy = {
  name: 'least_load',
  needsPrefix: false,
  choose: (_ask, candidates) => leastLoaded(candidates),
  weigh:
    () =>
    (_ask, { inFlight, weight }) => ({ cost: inFlight / weight }),
}
