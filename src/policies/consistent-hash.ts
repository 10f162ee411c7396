// A session keeps its worker within bounds of load, by hashing.
import { leastLoaded } from './least-load.ts'
import type { Policy } from './policy.ts'
import { meanLoad, rendezvousOwner } from './rendezvous.ts'

/** A worker takes at most this many times the mean load before its sessions spill (Mirrokni et al. 2018). */
const BOUND = 1.25
/** Below this many calls in flight nobody spills: a session's own parallel calls belong together. */
const FREE = 4

export const consistentHash: Policy = {
  name: 'consistent_hash',
  needsPrefix: false,
  choose(ask, candidates) {
    if (ask.session === null) return leastLoaded(candidates)
    const limit = Math.max(FREE, Math.ceil(BOUND * meanLoad(candidates)))
    const best = rendezvousOwner(ask.session, candidates, limit)
    return best >= 0 ? best : leastLoaded(candidates)
  },
}
