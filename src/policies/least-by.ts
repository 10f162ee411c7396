// The candidate of the least measure, equals by chance.
import type { Candidate, PoolSense } from './policy.ts'

/** Measures this close are the same number, reckoned another way. */
const SAME = 1e-9

/** Index of the candidate for which `measure` is least; each of several equals with the same chance. */
export function leastBy(
  candidates: readonly Candidate[],
  sense: PoolSense,
  measure: (candidate: Candidate) => number,
): number {
  let best = 0
  let least = Infinity
  let equals = 0
  for (let i = 0; i < candidates.length; i++) {
    const value = measure(candidates[i] as Candidate)
    if (value > least + SAME) continue
    equals = value < least - SAME ? 1 : equals + 1
    least = Math.min(least, value)
    if (equals === 1 || sense.random() * equals < 1) best = i
  }
  return best
}
