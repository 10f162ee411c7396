// The ring of production-stack’s session routing.
import { md5Point } from '../hashes/md5.ts'
import { leastLoaded } from './least-load.ts'
import type { Choose, Policy } from './policy.ts'
import { Ring } from './ring.ts'

const RULES = { points: 160, label: (url: string, index: number) => `${url}-${index}`, place: md5Point }

/** The session routing of vLLM production-stack, bit for bit: 160 points a worker. Without a session: by load, not by calls a second. */
function make(): Choose {
  const ring = new Ring(RULES)
  return ({ session }, candidates) =>
    session === null ? leastLoaded(candidates) : ring.owner(session, candidates)
}

export const productionStackSession: Policy = {
  name: 'production_stack_session',
  needsPrefix: false,
  make,
}
