// The ring of vLLM router’s consistent_hash, by session.
import type { Config } from '../config/schema.ts'
import { furcPoint } from '../hashes/murmur.ts'
import { leastLoaded } from './least-load.ts'
import type { Choose, Policy } from './policy.ts'
import { Ring } from './ring.ts'

const RULES = { points: 160, label: (url: string, index: number) => `${url}:${index}`, place: furcPoint }

/**
 * vLLM router's consistent_hash, bit for bit while its worker is well: 160 points a worker (of two at the same place there chance
 * takes one at each start). There the key of a session in a header
 * is `header:NAME:VALUE`, which `vllmKeyPrefix` says. Where a worker is out, its keys go to the next points: the original sends
 * them all to the first worker of the list. Without a session: by load; in that
 * router's dialect texts without one are keys themselves.
 */
function make(config: Config): Choose {
  const ring = new Ring(RULES)
  return ({ session }, candidates) =>
    session === null ? leastLoaded(candidates) : ring.owner(config.vllmKeyPrefix + session, candidates)
}

export const vllmConsistentHash: Policy = {
  name: 'vllm_consistent_hash',
  needsPrefix: false,
  make,
}
