// A prompt's beginning names its worker, within bounds of load.
import type { Config } from '../config/schema.ts'
import { blocksIn } from '../prefix/sizes.ts'
import { leastLoaded } from './least-load.ts'
import type { Choose, Policy } from './policy.ts'
import { meanLoad, rendezvousOwner } from './rendezvous.ts'

/** A prompt's first tokens must be the same blocks for all models and at all times: no learned ratio here. */
const BYTES_PER_TOKEN = 4

/**
 * As SGLang's gateway does it over tokens: the beginning of the prompt names the worker, unless that one has more than a factor of
 * the mean load; then the next by score that has not. Prompts that have no whole block go by load.
 */
function make(config: Config): Choose {
  const blocks = Math.max(1, blocksIn(config.prefixTokens * BYTES_PER_TOKEN))
  return (ask, candidates) => {
    const count = Math.min(blocks, ask.prefix?.length ?? 0)
    if (count === 0) return leastLoaded(candidates)
    // Passed over are those with more than the factor, not those that have just as much.
    const limit = Math.floor(config.prefixLoadFactor * meanLoad(candidates)) + 1
    const owner = rendezvousOwner(String(ask.prefix![count - 1]), candidates, limit)
    return owner >= 0 ? owner : leastLoaded(candidates)
  }
}

export const prefixHash: Policy = {
  name: 'prefix_hash',
  needsPrefix: true,
  make,
}
