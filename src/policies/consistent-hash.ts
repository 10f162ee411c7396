import { rendezvousScore } from '../hash.ts'
import { leastLoaded } from './least-load.ts'
import type { Candidate, Policy } from './policy.ts'

/** A worker takes at most this many times the mean load before its sessions spill (Mirrokni et al. 2018). */
const BOUND = 1.25
/** Below this many calls in flight nobody spills: a session's own parallel calls belong together. */
const FREE = 4

/** Owner of a key among the candidates: the highest weighted rendezvous score, so that a change of members moves only its share. */
function owner(key: string, candidates: readonly Candidate[], limit: number): number {
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

export const consistentHash: Policy = {
  name: 'consistent_hash',
  about:
    'a session (header, then user) stays on its worker; bounded load, minimal movement; no session: least_load',
  needsPrefix: false,
  choose(ask, candidates) {
    if (ask.session === null) return leastLoaded(candidates)
    let inFlight = 1
    let weight = 0
    for (const candidate of candidates) {
      inFlight += candidate.inFlight
      weight += candidate.weight
    }
    const limit = Math.max(FREE, Math.ceil((BOUND * inFlight) / weight))
    const best = owner(ask.session, candidates, limit)
    return best >= 0 ? best : leastLoaded(candidates)
  },
}
