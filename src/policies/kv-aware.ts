import type { Config } from '../config/schema.ts'
import { Assignments } from './assignments.ts'
import { isLessLoaded, leastLoaded } from './least-load.ts'
import type { Candidate, Choose, Policy, PoolSense, Weigh } from './policy.ts'

/** Tokens that the worker would have to compute before this call's first one. */
function costOf(candidate: Candidate, sense: PoolSense): number {
  const uncached = sense.promptTokens - sense.match(candidate.id)
  return uncached + candidate.backlogTokens + candidate.foreignTokens
}

/**
 * As vLLM's router and Dynamo do it: the fewest prompt tokens to compute, this call's that the worker does not hold and those that
 * wait there. `kvTemperature` 0 takes the best, more lets chance in: weights e^(-cost/(T·range)). Without a prompt key: by load.
 */
function make(config: Config): Choose {
  const temperature = config.kvTemperature
  const choose: Choose = (ask, candidates, sense) => {
    if (ask.prefix === null) return leastLoaded(candidates)
    const costs = candidates.map((candidate) => costOf(candidate, sense))
    return temperature === 0 ? cheapest(candidates, costs) : softmax(costs, temperature, sense)
  }
  return config.kvSessionIdle > 0 ? sticky(choose, config.kvSessionIdle) : choose
}

/** A session stays where its last call went, until it is idle or that worker is out. */
function sticky(choose: Choose, idle: number): Choose {
  const given = new Assignments(idle)
  return (ask, candidates, sense) => {
    if (ask.session === null) return choose(ask, candidates, sense)
    const worker = given.find(ask.session, sense.now).at(-1)
    const known = candidates.findIndex(({ id }) => id === worker)
    if (known >= 0) return known
    const index = choose(ask, candidates, sense)
    if (sense.isDry !== true) given.give(ask.session, (candidates[index] as Candidate).id, sense.now)
    return index
  }
}

function cheapest(candidates: readonly Candidate[], costs: readonly number[]): number {
  let best = 0
  for (let i = 1; i < costs.length; i++) {
    const difference = costs[i]! - costs[best]!
    if (difference > 0) continue
    if (difference < 0 || isLessLoaded(candidates[i] as Candidate, candidates[best] as Candidate)) best = i
  }
  return best
}

function softmax(costs: readonly number[], temperature: number, sense: PoolSense): number {
  const least = Math.min(...costs)
  const range = Math.max(1, Math.max(...costs) - least)
  const weights = costs.map((cost) => Math.exp((least - cost) / (temperature * range)))
  let left = sense.random() * weights.reduce((sum, weight) => sum + weight, 0)
  for (let i = 0; i < weights.length; i++) {
    left -= weights[i]!
    if (left < 0) return i
  }
  return weights.length - 1
}

const weigh = (): Weigh => (_ask, candidate, sense) => ({
  cost: costOf(candidate, sense),
  uncached: sense.promptTokens - sense.match(candidate.id),
  backlog: candidate.backlogTokens + candidate.foreignTokens,
})

export const kvAware: Policy = {
  name: 'kv_aware',
  about: 'the fewest prompt tokens to compute first, waiting ones too',
  needsPrefix: true,
  usesLoad: true,
  make,
  weigh,
}
