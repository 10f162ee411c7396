// How a pool chooses. A policy is one pure file; adding one is that file, one line in `policies` below, and one in words.ts.
import type { Ask } from '../actors/ask.ts'
import type { Config } from '../config/schema.ts'
import type { KvTier } from '../prefix/kv-tiers.ts'
import { bucket } from './bucket.ts'
import { cacheAware } from './cache-aware.ts'
import { consistentHash } from './consistent-hash.ts'
import { dlrouterConsistentHash } from './dlrouter-consistent-hash.ts'
import { dlrouterPrefixCache } from './dlrouter-prefix-cache.ts'
import { dpMinimumTokens } from './dp-minimum-tokens.ts'
import { kvAware } from './kv-aware.ts'
import { latencyBased } from './latency-based.ts'
import { leastCost } from './least-cost.ts'
import { leastLatency } from './least-latency.ts'
import { leastLoad } from './least-load.ts'
import { leastLoaded } from './least-loaded.ts'
import { manual } from './manual.ts'
import { minExpectedLatency } from './min-expected-latency.ts'
import { minObservedLatency } from './min-observed-latency.ts'
import { passthrough } from './passthrough.ts'
import { powerOfTwo } from './power-of-two.ts'
import { prefixHash } from './prefix-hash.ts'
import { productionStackKvaware } from './production-stack-kvaware.ts'
import { productionStackPrefixaware } from './production-stack-prefixaware.ts'
import { productionStackRoundrobin } from './production-stack-roundrobin.ts'
import { productionStackSession } from './production-stack-session.ts'
import { random } from './random.ts'
import { roundRobin } from './round-robin.ts'
import { session } from './session.ts'
import { sglangConsistentHashing } from './sglang-consistent-hashing.ts'
import { stickyLeastLoaded } from './sticky-least-loaded.ts'
import { vllmConsistentHash } from './vllm-consistent-hash.ts'

/** A worker that may be chosen now: it serves the model, is eligible, and has room. */
export interface Candidate {
  readonly id: string
  readonly url: string
  readonly weight: number
  /** Calls in flight to it from this pool. */
  readonly inFlight: number
  /** Prompt tokens sent there, not cached there, whose first token has not come yet. */
  readonly backlogTokens: number
  /** Exponentially weighted mean time to first token (or to the whole answer when it does not stream), ms; 0 until known. */
  readonly latency: number
  /** How long its last good answers took to their last byte, ms: at most 15, the newest last. */
  readonly recent: readonly number[]
  /** Sequence number of the last pick that chose it; 0 when never. */
  readonly lastTurn: number
  readonly role: string
  readonly engine: string
  /** Prefill tokens a second, as learned from first tokens; the pool's nominal speed until then. */
  readonly speed: number
  /** KV tokens in use by running calls; an estimate where the engine does not tell. */
  readonly heldTokens: number
  /** KV tokens that fit; 0: unknown. */
  readonly capacityTokens: number
  /** Calls that run or wait in the engine, as it told last; -1: unknown. */
  readonly reportedRunning: number
  readonly reportedWaiting: number
  /** Calls and prompt tokens there that other routers must have sent: what the engine told, less our own at that time. */
  readonly foreignCalls: number
  readonly foreignTokens: number
  /** When it came (back) to a pool that had begun already, ms; 0: it was there from the beginning. */
  readonly joinedAt: number
  /** False: it would first have to load the adapter that this model is. */
  hasLoaded(model: string): boolean
}

/** What a policy may ask of its pool besides the candidates. */
export interface PoolSense {
  readonly now: number
  random(): number
  /** The ask's prompt, in tokens. */
  readonly promptTokens: number
  /** Prompt tokens of this ask that worker already holds in its KV cache, as far as the pool knows. */
  match(workerId: string): number
  /** The same with what it has outside of GPU memory, in that tier or a nearer one; absent: nobody looks. */
  matchIn?(workerId: string, tier: KvTier): number
  /** The most that any worker holds, chosen from or not. */
  readonly bestMatch: number
  /** Calls of late whose prompt went on from the deepest matched block, fading with time. */
  readonly popularity: number
  /** Prefill tokens a second of a worker that nothing is known of. */
  readonly nominalSpeed: number
  /** Tokens of prompts that a worker holds, as far as the pool knows. */
  treeTokens(workerId: string): number
  /** Canonical prompt bytes a token, as learned for the ask's model. */
  readonly bytesPerToken: number
  /** Nothing will be sent: a policy that remembers its choices must not remember this one. */
  readonly isDry?: boolean
}

/** Returns the index of the chosen candidate. `candidates` is never empty. */
export interface Choose {
  (ask: Ask, candidates: readonly Candidate[], sense: PoolSense): number
  /** Forgets a session; a policy that remembers none leaves it out. */
  release?(session: string): void
}

/** What a policy weighs of one candidate, for people: `cost` is the sum, the rest its parts. Lower is better. */
export type Terms = Readonly<Record<string, number>>
export type Weigh = (ask: Ask, candidate: Candidate, sense: PoolSense) => Terms

interface Named {
  readonly name: string
  /** It asks for matches: only then are prompts hashed. */
  readonly needsPrefix: boolean
  /** It counts what lies outside of GPU memory: only then is that followed. */
  readonly usesTiers?: boolean
  /** It goes by what engines tell of their load: only then are they asked. */
  readonly usesLoad?: boolean
  /** Explains the choice. */
  weigh?(config: Config): Weigh
  /** How it chooses among decode workers, which get prompts computed; the same way by default. */
  makeDecode?(config: Config): Choose
}

/** A policy that needs neither options nor memory, or makes a chooser of its own for each pool. */
export type Policy = Named &
  (
    | { readonly choose: Choose; readonly make?: undefined }
    | { readonly choose?: undefined; make(config: Config): Choose }
  )

export const policies: readonly Policy[] = [
  leastCost,
  leastLoad,
  roundRobin,
  random,
  powerOfTwo,
  leastLatency,
  consistentHash,
  cacheAware,
  prefixHash,
  kvAware,
  session,
  manual,
  stickyLeastLoaded,
  bucket,
  minExpectedLatency,
  minObservedLatency,
  leastLoaded,
  latencyBased,
  dpMinimumTokens,
  passthrough,
  sglangConsistentHashing,
  vllmConsistentHash,
  dlrouterConsistentHash,
  dlrouterPrefixCache,
  productionStackRoundrobin,
  productionStackSession,
  productionStackPrefixaware,
  productionStackKvaware,
]

/** The policy of that name, which the configuration has checked. */
export function policyOf(name: string): Policy {
  return policies.find((policy) => policy.name === name) as Policy
}

/** A chooser for one pool. */
export function chooserOf(policy: Policy, config: Config): Choose {
  return policy.make ? policy.make(config) : policy.choose
}

/** The same for the decode workers of pairs. */
export function decodeChooserOf(policy: Policy, config: Config): Choose {
  return policy.makeDecode?.(config) ?? chooserOf(policy, config)
}

type WithPolicies = Pick<
  Config,
  'policy' | 'shadowPolicy' | 'prefillPolicy' | 'decodePolicy' | 'pdSkipBelow' | 'record'
>

/** What was found out of configurations: they never change, and each call asks. */
const needing = new WeakMap<WithPolicies, boolean>()

/** Whether prompts have to be hashed under a configuration: for a policy that asks, to skip a hand-over, or for a recording. */
export function needsPrefix(config: WithPolicies): boolean {
  let isNeeded = needing.get(config)
  if (isNeeded === undefined) needing.set(config, (isNeeded = findNeed(config)))
  return isNeeded
}

function findNeed(config: WithPolicies): boolean {
  if (config.record !== undefined || config.pdSkipBelow > 0) return true
  const { policy, shadowPolicy, prefillPolicy, decodePolicy } = config
  return [policy, shadowPolicy, prefillPolicy, decodePolicy].some(
    (name) => name !== undefined && policyOf(name).needsPrefix,
  )
}

/** Whether a policy of the configuration counts KV blocks outside of GPU memory. */
export function usesTiers({ policy, shadowPolicy, prefillPolicy, decodePolicy }: WithPolicies): boolean {
  const names = [policy, shadowPolicy, prefillPolicy, decodePolicy]
  return names.some((name) => name !== undefined && policyOf(name).usesTiers === true)
}
