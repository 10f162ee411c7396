import type { Config } from '../config/schema.ts'
import { leastBy } from './least-by.ts'
import { leastLoaded } from './least-load.ts'
import type { Choose, Policy } from './policy.ts'

/**
 * production-stack's prefixaware: by chance among those that share the longest match, whatever their load; below `prefixMinMatch`
 * bytes by load. It matches chunks of 128 characters that it never forgets; here they are blocks of 256 bytes and more that are
 * forgotten as the workers' caches forget them, and below the least match it is calls in flight that count, not calls a second.
 */
function make(config: Config): Choose {
  return (_ask, candidates, sense) => {
    let longest = 0
    for (const { id } of candidates) longest = Math.max(longest, sense.match(id))
    if (longest * sense.bytesPerToken < config.prefixMinMatch) return leastLoaded(candidates)
    return leastBy(candidates, sense, ({ id }) => longest - sense.match(id))
  }
}

export const productionStackPrefixaware: Policy = {
  name: 'production_stack_prefixaware',
  about: 'by chance among the longest matches, as in production-stack',
  needsPrefix: true,
  make,
}
