// The ring of SGLang gateway’s consistent_hashing, by session.
import { blake3Point } from '../hashes/blake3.ts'
import type { Choose, Policy } from './policy.ts'
import { leastBy } from './least-by.ts'
import { Ring } from './ring.ts'

const RULES = { points: 150, label: (url: string, index: number) => `${url}#${index}`, place: blake3Point }

/**
 * consistent_hashing of SGLang's gateway, bit for bit: 150 points a worker, clockwise to the next one that is well, by chance
 * without a key. That one takes keys above 128 bytes for none; here they are keys too.
 */
function make(): Choose {
  const ring = new Ring(RULES)
  return ({ session }, candidates, sense) =>
    session === null ? leastBy(candidates, sense, () => 0) : ring.owner(session, candidates)
}

export const sglangConsistentHashing: Policy = {
  name: 'sglang_consistent_hashing',
  needsPrefix: false,
  make,
}
