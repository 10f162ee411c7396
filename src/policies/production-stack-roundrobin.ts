// Each in turn by URL, every set of workers by itself.
import type { Choose, Policy } from './policy.ts'

/** Sets of workers whose turn is remembered. */
const MOST_SETS = 1024

/**
 * production-stack's roundrobin: each set of workers that is chosen among, as the URLs in order, has a counter of its own, so that
 * models with other workers do not disturb each other's turns.
 */
function make(): Choose {
  const turns = new Map<string, number>()
  return (_ask, candidates, sense) => {
    const urls = [...new Set(candidates.map(({ url }) => url))].sort()
    const key = urls.join(' ')
    const turn = turns.get(key) ?? 0
    if (sense.isDry !== true) {
      if (!turns.has(key) && turns.size >= MOST_SETS) turns.clear()
      turns.set(key, turn + 1)
    }
    return candidates.findIndex(({ url }) => url === urls[turn % urls.length])
  }
}

export const productionStackRoundrobin: Policy = {
  name: 'production_stack_roundrobin',
  needsPrefix: false,
  make,
}
