import type { Config } from '../config/schema.ts'
import { balanceOf, isImbalanced } from './balance.ts'
import { isLessLoaded, leastLoaded } from './least-load.ts'
import type { Candidate, Choose, Policy, PoolSense } from './policy.ts'

/** Share of a prompt above which its worker is kept to, by variant. */
const THRESHOLDS = { readme: 0.5, release: 0.3 } as const

/**
 * The rule of SGLang's and vLLM's routers: while loads are apart, the least loaded; else the longest match if it is more than
 * the threshold's share of the prompt; else the smallest tree (README) or the least loaded (release). Theirs matches characters
 * and takes any one of the workers that share a match; ours matches blocks and takes the least loaded of them.
 */
function make(config: Config): Choose {
  const variant = config.cacheAwareVariant
  const threshold = config.cacheThreshold ?? THRESHOLDS[variant]
  const balance = balanceOf(config)
  return (_ask, candidates, sense) => {
    let least = Infinity
    let most = 0
    for (const { inFlight } of candidates) {
      least = Math.min(least, inFlight)
      most = Math.max(most, inFlight)
    }
    if (isImbalanced(least, most, balance)) return leastLoaded(candidates)
    const best = longestMatch(candidates, sense)
    if (best >= 0 && sense.match((candidates[best] as Candidate).id) > threshold * sense.promptTokens)
      return best
    return variant === 'readme' ? smallestTree(candidates, sense) : leastLoaded(candidates)
  }
}

/** Index of the candidate that holds most of the prompt, the least loaded of equals; -1: none holds any. */
function longestMatch(candidates: readonly Candidate[], sense: PoolSense): number {
  let best = -1
  let longest = 0
  for (let i = 0; sense.bestMatch > 0 && i < candidates.length; i++) {
    const candidate = candidates[i] as Candidate
    const matched = sense.match(candidate.id)
    if (matched === 0 || matched < longest) continue
    if (matched === longest && !isLessLoaded(candidate, candidates[best] as Candidate)) continue
    best = i
    longest = matched
  }
  return best
}

function smallestTree(candidates: readonly Candidate[], sense: PoolSense): number {
  let best = 0
  let smallest = Infinity
  for (let i = 0; i < candidates.length; i++) {
    const candidate = candidates[i] as Candidate
    const tokens = sense.treeTokens(candidate.id)
    if (tokens > smallest) continue
    if (tokens === smallest && !isLessLoaded(candidate, candidates[best] as Candidate)) continue
    best = i
    smallest = tokens
  }
  return best
}

export const cacheAware: Policy = {
  name: 'cache_aware',
  about: 'the longest cached prefix, else the smallest tree, in balance',
  needsPrefix: true,
  make,
}
