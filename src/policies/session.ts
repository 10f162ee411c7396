// A session keeps its worker whatever the load, by hashing.
import { leastLoaded } from './least-load.ts'
import type { Policy } from './policy.ts'
import { rendezvousOwner } from './rendezvous.ts'

export const session: Policy = {
  name: 'session',
  needsPrefix: false,
  choose: (ask, candidates) =>
    ask.session === null ? leastLoaded(candidates) : rendezvousOwner(ask.session, candidates, Infinity),
}
