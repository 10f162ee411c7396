// Owners of keys by highest random weight, with a bound on what one worker takes.
import { rendezvousScore } from '../hash.ts'
import type { Candidate } from './policy.ts'

/**
 * Index of the key's owner: the highest weighted rendezvous score (Thaler & Ravishankar 1998), so that a change of members moves
 * only its share. Those with `limit` calls in flight per weight or more are passed over; -1: all are.
 */
export function rendezvousOwner(key: string, candidates: readonly Candidate[], limit: number): number {
  let best = -1
  let bestScore = Infinity
  for (let i = 0; i < candidates.length; i++) {
    const candidate = candidates[i] as Candidate
    if (candidate.inFlight >= limit * candidate.weight) continue
    const score = -Math.log(rendezvousScore(key, candidate.id)) / candidate.weight
    if (score < bestScore) {
      best = i
      bestScore = score
    }
  }
  return best
}

/** The mean load per weight once this call is in flight too. */
export function meanLoad(candidates: readonly Candidate[]): number {
  let inFlight = 1
  let weight = 0
  for (const candidate of candidates) {
    inFlight += candidate.inFlight
    weight += candidate.weight
  }
  return inFlight / weight
}
