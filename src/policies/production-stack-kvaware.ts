// Whoever holds the prompt, else by session (production-stack).
import type { Config } from '../config/schema.ts'
import { md5Point } from '../hashes/md5.ts'
import { leastBy } from './least-by.ts'
import { leastLoaded } from './least-load.ts'
import type { Choose, Policy } from './policy.ts'
import { Ring } from './ring.ts'

const RULES = { points: 160, label: (url: string, index: number) => `${url}-${index}`, place: md5Point }

/**
 * production-stack's kvaware: whoever holds most of the prompt, as LMCache's workers told, else as KV events or earlier calls tell. When
 * more than `kvAwareThreshold` tokens are missing there, or nobody holds any: by session, on production-stack's ring; without one by load.
 */
function make({ kvAwareThreshold }: Config): Choose {
  const ring = new Ring(RULES)
  return (ask, candidates, sense) => {
    const { prefers, session } = ask
    const told = prefers ? candidates.filter(({ id }) => prefers.includes(id)) : []
    if (told.length > 0) return candidates.indexOf(told[leastLoaded(told)]!)
    let longest = 0
    for (const { id } of candidates) longest = Math.max(longest, sense.match(id))
    if (longest > 0 && longest >= sense.promptTokens - kvAwareThreshold)
      return leastBy(candidates, sense, ({ id }) => longest - sense.match(id))
    return session === null ? leastLoaded(candidates) : ring.owner(session, candidates)
  }
}

export const productionStackKvaware: Policy = {
  name: 'production_stack_kvaware',
  needsPrefix: true,
  make,
}
