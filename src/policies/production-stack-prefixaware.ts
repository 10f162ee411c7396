import type { Config } from '../config/schema.ts'
import { leastBy } from './least-by.ts'
import { leastLoaded } from './least-load.ts'
import { OwnTree } from './own-tree.ts'
import type { Choose, Policy } from './policy.ts'

/**
 * production-stack's prefixaware: by chance among those that were sent the longest match, whatever their load; below `prefixMinMatch`
 * bytes by load. It cuts prompts into chunks of 128 characters and never forgets one; here they are blocks of 256 bytes and more, the
 * oldest are forgotten, and below the least match it is calls in flight that count, not calls a second.
 */
function make(config: Config): Choose {
  const tree = new OwnTree(config.treeSize)
  return (ask, candidates, sense) => {
    tree.look(ask.prefix)
    let longest = 0
    for (const { id } of candidates) longest = Math.max(longest, tree.matched(id))
    const index =
      longest < config.prefixMinMatch
        ? leastLoaded(candidates)
        : leastBy(candidates, sense, ({ id }) => longest - tree.matched(id))
    if (sense.isDry !== true) tree.sent(ask.prefix, candidates, index, sense.now)
    return index
  }
}

export const productionStackPrefixaware: Policy = {
  name: 'production_stack_prefixaware',
  about: 'by chance among the longest matches, as in production-stack',
  needsPrefix: true,
  make,
}
