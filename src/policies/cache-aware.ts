// The longest cached prefix, else the smallest tree, in balance.
import type { Config } from '../config/schema.ts'
import { balanceOf, isImbalanced } from './balance.ts'
import { OwnTree } from './own-tree.ts'
import { isLessLoaded, leastLoaded } from './least-load.ts'
import type { Candidate, Choose, Policy } from './policy.ts'

/** Share of a prompt above which its worker is kept to, by variant. */
const THRESHOLDS = { readme: 0.5, release: 0.3 } as const

/**
 * The rule of SGLang's and vLLM's routers: while loads are apart, the least loaded; else whoever was sent most of the prompt
 * before, if that is more than the threshold's share of it; else the smallest tree (README) or the least loaded (release).
 * Like theirs, it goes by a tree of its own that holds far more than KV caches do and is corrected by nothing. Theirs matches
 * characters and takes any one of the workers that share a match; ours matches blocks and takes the least loaded of them.
 */
function make(config: Config): Choose {
  const variant = config.cacheAwareVariant
  const threshold = config.cacheThreshold ?? THRESHOLDS[variant]
  const balance = balanceOf(config)
  const tree = new OwnTree(config.treeSize, config.treeInterval)
  const choose: Choose = (ask, candidates) => {
    let least = Infinity
    let most = 0
    for (const { inFlight } of candidates) {
      least = Math.min(least, inFlight)
      most = Math.max(most, inFlight)
    }
    if (isImbalanced(least, most, balance)) return leastLoaded(candidates)
    tree.look(ask.prefix)
    const best = ofMost(candidates, (id) => tree.matched(id))
    if (tree.matched((candidates[best] as Candidate).id) > threshold * ask.promptBytes) return best
    return variant === 'readme' ? ofMost(candidates, (id) => -tree.size(id)) : leastLoaded(candidates)
  }
  return (ask, candidates, sense) => {
    const index = choose(ask, candidates, sense)
    if (sense.isDry !== true) tree.sent(ask.prefix, candidates, index, sense.now)
    return index
  }
}

/** Index of the candidate that has most of something, the less loaded of equals. */
function ofMost(candidates: readonly Candidate[], valueOf: (workerId: string) => number): number {
  let best = 0
  let most = -Infinity
  for (let i = 0; i < candidates.length; i++) {
    const candidate = candidates[i] as Candidate
    const value = valueOf(candidate.id)
    if (value < most) continue
    if (value === most && !isLessLoaded(candidate, candidates[best] as Candidate)) continue
    best = i
    most = value
  }
  return best
}

export const cacheAware: Policy = {
  name: 'cache_aware',
  needsPrefix: true,
  make,
}
