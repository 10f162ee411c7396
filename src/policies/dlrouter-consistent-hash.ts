// The ring of DLRouter’s consistent_hash, by session or model.
import { md5Point } from '../hashes/md5.ts'
import { leastLoaded } from './least-load.ts'
import type { Choose, Policy } from './policy.ts'
import { Ring } from './ring.ts'

const RULES = { points: 150, label: (url: string, index: number) => `${url}#${index}`, place: md5Point }

/** DLRouter's consistent_hash, bit for bit: 150 points a worker. Without a session the model is the key; without that: by load. */
function make(): Choose {
  const ring = new Ring(RULES)
  return ({ session, model }, candidates) => {
    const key = session ?? model
    return key === null ? leastLoaded(candidates) : ring.owner(key, candidates)
  }
}

export const dlrouterConsistentHash: Policy = {
  name: 'dlrouter_consistent_hash',
  needsPrefix: false,
  make,
}
