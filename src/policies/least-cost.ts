// The least time: work ahead, tokens not cached, speed, KV room.
import type { Config } from '../config/schema.ts'
import type { Ask } from '../actors/ask.ts'
import { rendezvousScoreOf } from '../hash.ts'
import type { Candidate, Choose, Policy, PoolSense } from './policy.ts'

/** Seconds that loading an adapter takes, as far as choosing goes: others of equal cost go first. */
const ADAPTER_COST = 0.05
/** The share of its speed that a worker which joins late begins with. */
const FIRST_SHARE = 0.2
/** Costs this close are the same number, reckoned another way. */
const SAME = 1e-12

/** The weights of the formula: seconds, but for alpha. */
export interface CostWeights {
  readonly alpha: number
  readonly beta: number
  readonly gamma: number
  readonly slowStart: number
}

/** The terms of one worker's cost, in seconds, and their sum. */
export interface CostTerms {
  /** Prompt tokens ahead of this call. */
  backlog: number
  /** Those of this prompt that the worker does not hold. */
  uncached: number
  /** Of these, those that another worker holds. */
  duplicate: number
  inFlight: number
  overflow: number
  adapter: number
  cost: number
}

export const weightsOf = (config: Config): CostWeights => ({
  alpha: config.costAlpha,
  beta: config.costBeta / 1000,
  gamma: config.costGamma / 1000,
  slowStart: config.slowStart,
})

/**
 * What a choice costs in seconds: (P + U + a·D) / R + β·inflight/speed + γ·overflow (design: least cost). P: tokens ahead there;
 * U: tokens of this prompt not cached there; D: those that are cached elsewhere, for computing them again costs the fleet;
 * a = α / (1 + popularity): a prefix that many share repays a second copy at once; R: prefill speed. Writes to `terms`.
 */
export function costOf(
  candidate: Candidate,
  ask: Ask,
  { sense, weights, terms }: { sense: PoolSense; weights: CostWeights; terms: CostTerms },
): CostTerms {
  const matched = sense.match(candidate.id)
  const speed = candidate.speed * candidate.weight * shareOf(candidate, weights.slowStart, sense.now)
  const a = weights.alpha / (1 + sense.popularity)
  const calls = candidate.inFlight + candidate.foreignCalls
  const { capacityTokens } = candidate
  terms.backlog = (candidate.backlogTokens + candidate.foreignTokens) / speed
  terms.uncached = (sense.promptTokens - matched) / speed
  terms.duplicate = (a * (sense.bestMatch - matched)) / speed
  terms.inFlight = (weights.beta * calls * sense.nominalSpeed) / speed
  const over = candidate.heldTokens + sense.promptTokens - capacityTokens
  terms.overflow = capacityTokens > 0 && over > 0 ? (weights.gamma * over) / capacityTokens : 0
  terms.adapter = ask.model === null || candidate.hasLoaded(ask.model) ? 0 : ADAPTER_COST
  terms.cost =
    terms.backlog + terms.uncached + terms.duplicate + terms.inFlight + terms.overflow + terms.adapter
  return terms
}

/** Grows from a fifth to one while a worker is new: its cache, graphs and connections are cold. */
export function shareOf({ joinedAt }: Candidate, slowStart: number, now: number): number {
  const age = now - joinedAt
  if (joinedAt === 0 || age >= slowStart) return 1
  return FIRST_SHARE + ((1 - FIRST_SHARE) * Math.max(0, age)) / slowStart
}

export const noTerms = (): CostTerms => ({
  backlog: 0,
  uncached: 0,
  duplicate: 0,
  inFlight: 0,
  overflow: 0,
  adapter: 0,
  cost: 0,
})

/** A chooser with arrays of its own, so that nothing is made per candidate. */
function make(config: Config): Choose {
  const by = { sense: null as unknown as PoolSense, weights: weightsOf(config), terms: noTerms() }
  const band = config.coldBand / 1000
  let costs = new Float64Array(16)
  return (ask, candidates, sense) => {
    by.sense = sense
    if (costs.length < candidates.length) costs = new Float64Array(candidates.length * 2)
    for (let i = 0; i < candidates.length; i++) costs[i] = costOf(candidates[i]!, ask, by).cost
    return cheapestOf(ask, candidates, costs, { sense, band })
  }
}

/** The cheapest; of a prompt that nobody holds, the one that hashing names among those within `band`, s. */
export function cheapestOf(
  ask: Ask,
  candidates: readonly Candidate[],
  costs: Float64Array,
  { sense, band }: { sense: PoolSense; band: number },
): number {
  let least = Infinity
  for (let i = 0; i < candidates.length; i++) least = Math.min(least, costs[i]!)
  const first = ask.prefix?.[0]
  return sense.bestMatch === 0 && first !== undefined
    ? ownerOf(first, candidates, costs, least + band)
    : oneOf(candidates.length, costs, least + SAME, sense)
}

/**
 * Routers that share nothing send a prompt that nobody holds to the same worker, so that its next turn finds it whatever router
 * it comes by: rendezvous hashing of its first block, among those whose costs are as good as equal.
 */
function ownerOf(hash: number, candidates: readonly Candidate[], costs: Float64Array, limit: number): number {
  let best = 0
  let bestScore = -1
  for (let i = 0; i < candidates.length; i++) {
    if (costs[i]! > limit) continue
    const score = rendezvousScoreOf(hash, candidates[i]!.id)
    if (score <= bestScore) continue
    best = i
    bestScore = score
  }
  return best
}

/**
 * Among decode workers nobody reads prompts: β·calls / speed + γ·overflow, the batch and the room in the KV cache. Of equals the
 * one that holds the most of the prompt, for what it holds need not be sent again.
 */
function makeDecode(config: Config): Choose {
  const by = { sense: null as unknown as PoolSense, weights: weightsOf(config), terms: noTerms() }
  return (ask, candidates, sense) => {
    by.sense = sense
    let best = 0
    let least = Infinity
    let held = 0
    let equals = 0
    for (let i = 0; i < candidates.length; i++) {
      const { inFlight, overflow, adapter } = costOf(candidates[i]!, ask, by)
      const cost = inFlight + overflow + adapter
      const match = sense.match(candidates[i]!.id)
      const isEqual = Math.abs(cost - least) <= SAME && match === held
      equals = isEqual ? equals + 1 : 1
      const isBetter = cost < least - SAME || (Math.abs(cost - least) <= SAME && match > held)
      if (!isBetter && !(isEqual && sense.random() * equals < 1)) continue
      best = i
      least = cost
      held = match
    }
    return best
  }
}

/** One of the cheapest, by chance. */
function oneOf(count: number, costs: Float64Array, limit: number, sense: PoolSense): number {
  let best = 0
  let equals = 0
  for (let i = 0; i < count; i++) {
    if (costs[i]! > limit) continue
    equals++
    if (equals === 1 || sense.random() * equals < 1) best = i
  }
  return best
}

export const leastCost: Policy = {
  name: 'least_cost',
  needsPrefix: true,
  usesLoad: true,
  make,
  makeDecode,
  weigh(config) {
    const weights = weightsOf(config)
    return (ask, candidate, sense) => ({ ...costOf(candidate, ask, { sense, weights, terms: noTerms() }) })
  },
}
