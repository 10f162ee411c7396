// The fewest prompt tokens to compute first, waiting ones too.
import type { Config } from '../config/schema.ts'
import { Assignments } from './assignments.ts'
import { isLessLoaded, leastLoaded } from './least-load.ts'
import type { Candidate, Choose, Policy, PoolSense, Weigh } from './policy.ts'
import { TIERS, type KvTier } from '../prefix/kv-tiers.ts'

/** What a token of each tier is worth, one on the GPU being 1. */
type Worth = Readonly<Record<KvTier, number>>

const worthOf = ({ kvHostWorth, kvExternalWorth, kvDiskWorth }: Config): Worth => ({
  host: kvHostWorth,
  external: kvExternalWorth,
  disk: kvDiskWorth,
})

/** Prompt tokens that the worker need not compute: those on its GPU, and what those are worth that it has elsewhere. */
function creditOf(candidate: Candidate, sense: PoolSense, worth: Worth): number {
  let held = sense.match(candidate.id)
  let credit = held
  for (const tier of TIERS) {
    const more = sense.matchIn?.(candidate.id, tier) ?? 0
    if (more <= held) continue
    credit += (more - held) * worth[tier]
    held = more
  }
  return credit
}

/** Tokens that the worker would have to compute before this call's first one. */
function costOf(candidate: Candidate, sense: PoolSense, worth: Worth): number {
  const uncached = sense.promptTokens - creditOf(candidate, sense, worth)
  return uncached + candidate.backlogTokens + candidate.foreignTokens
}

/**
 * As vLLM's router and Dynamo do it: the fewest prompt tokens to compute, this call's that the worker does not hold and those that
 * wait there. `kvTemperature` 0 takes the best, more lets chance in: weights e^(-cost/(T·range)). Without a prompt key: by load.
 */
function make(config: Config): Choose {
  const temperature = config.kvTemperature
  const worth = worthOf(config)
  const choose: Choose = (ask, candidates, sense) => {
    if (ask.prefix === null) return leastLoaded(candidates)
    const costs = candidates.map((candidate) => costOf(candidate, sense, worth))
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

function weigh(config: Config): Weigh {
  const worth = worthOf(config)
  return (_ask, candidate, sense) => ({
    cost: costOf(candidate, sense, worth),
    uncached: sense.promptTokens - creditOf(candidate, sense, worth),
    backlog: candidate.backlogTokens + candidate.foreignTokens,
  })
}

export const kvAware: Policy = {
  name: 'kv_aware',
  needsPrefix: true,
  usesTiers: true,
  usesLoad: true,
  make,
  weigh,
}
