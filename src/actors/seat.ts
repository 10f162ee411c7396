// One worker as its pool sees it: load, health, breaker. All state of a pool about a worker is here.
import { createBreaker, forget, type Breaker, type BreakerMoves } from '../forward/breaker.ts'
import type { Binding } from '../binding/order.ts'
import type { Candidate } from '../policies/policy.ts'
import type { ReportedLoad } from './ask.ts'
import type { KvEventsView } from './kv-worker.ts'
import { loadOfSeat, type LoadView } from './load-view.ts'
import type { Member } from './members.ts'
import { Quiet } from './quiet.ts'

/** Weight of a new measurement in the running mean of latencies. */
const LATENCY_WEIGHT = 0.2
/** Adapters that are taken to be loaded still: engines keep a handful on the GPU. */
const LOADED_ADAPTERS = 4
/** Answers whose times are kept. */
const RECENT = 15
/** What an engine told longer ago than this (ms) says nothing of now, unless it is asked more rarely. */
const FRESH = 15_000

/**
 * The 0 of what takes fractions in the midst of calls: V8 keeps it as one from the first. A field that begins whole changes the shape
 * of all seats with its first fraction, and V8 throws away what it had compiled for them: some 30 functions each time.
 */
const ZERO = -0

const NO_MODELS: ReadonlySet<string> = new Set()

export class Seat implements Candidate {
  member: Member
  /** The data-parallel ranks of its server that are members, itself among them: one list for all of them. */
  ranks: readonly Seat[] = [this]
  inFlight = 0
  backlogTokens = 0
  latency = 0
  lastTurn = 0
  readonly breaker: Breaker = createBreaker()
  /** Probes say that it is out. */
  isDown = false
  probeFailures = 0
  /** Models that fail their probes while others of its models don't. */
  failing: ReadonlySet<string> = NO_MODELS
  /** When the first of them was; 0: there is none. */
  failingSince = ZERO
  /** Probes in all, by what they found. */
  readonly probes = { good: 0, bad: 0 }
  /** Good probes in a row while it was out. */
  probeSuccesses = 0
  probeAt = ZERO
  /** A request could not reach it just now; only a probe clears this. */
  isSuspect = false
  /** It said "busy, come back later": until then others go first. */
  busyUntil = ZERO
  /** Last time it gave a first token or a whole answer. */
  lastGoodAt = ZERO
  /** How long its last good answers took in all, ms, the newest last. */
  readonly recent: number[] = []
  /** Leases whose first token has come and whose stream goes on. */
  streaming = 0
  served = 0
  failed = 0
  trips = 0
  /** Set by the pool's `Speeds`. */
  speed = ZERO
  /** Prompt tokens and seconds until their first token, of late: their ratio is the measured speed. */
  prefilled = { tokens: 0, seconds: 0, samples: 0 }
  /** KV tokens that the pool's own calls take there, as far as it can tell. */
  ownTokens = ZERO
  /** Calls whose answers have no first token: their prompts leave the backlog when they should be done. */
  readonly quiet = new Quiet()
  /** It has told of cached tokens at least once, so that none told means none cached. */
  tellsCached = false
  /** Prompt tokens expected to be cached and those that were, over the answers that told, and the sum of their distances. */
  readonly reuse = { predicted: 0, cached: 0, error: 0 }
  joinedAt = ZERO
  /** Milliseconds for which a load that was told counts. */
  freshFor = FRESH
  /** When it was asked for its load last; 0: never. */
  loadAskedAt = ZERO
  /** When it told its load by itself; 0: never. */
  pushedAt = ZERO
  /** When it was asked to tell its load with an answer; 0: never. */
  reportAskedAt = ZERO
  /** Questions for its load that it did not answer: since it last did, and in all. */
  loadFailures = 0
  loadsMissed = 0
  /** The newest load that the engine told. */
  reported: ReportedLoad | null = null
  /** What others must have sent there, of whom nothing else is known. */
  strayCalls = 0
  strayTokens = ZERO
  /** What the pools beside this one have there, as they told. */
  readonly beside = { calls: 0, tokens: 0, held: 0 }
  /** Whether calls wait here until it has nearly read what it was sent. */
  binding: Binding = 'early'
  /** What is told of its KV events; null: nobody follows any. */
  kvEvents: KvEventsView | null = null
  /** Adapters on the GPU as the engine told; null: it does not tell. */
  loaded: readonly string[] | null = null
  /** Adapters used of late, the newest last. */
  readonly #used: string[] = []
  #knownAtReport = ZERO

  constructor(member: Member, joinedAt = 0) {
    this.member = member
    this.joinedAt = joinedAt
    this.isDown = member.reachable === false
    this.inFlight = member.past?.calls ?? 0
    for (const seconds of member.past?.times ?? []) this.took(seconds * 1000)
  }

  /** Takes over what the registry says anew. A tunnel that came back is believed, whatever failed: a probe then looks at the engine. */
  join(member: Member): void {
    const isGone = member.reachable === false
    const wasGone = this.member.reachable === false
    this.member = member
    if (isGone === wasGone) return
    this.isDown = isGone
    this.isSuspect = false
    if (wasGone) forget(this.breaker)
    this.probeFailures = 0
    this.probeAt = 0
  }

  get id(): string {
    return this.member.ref.id
  }
  /** `url@rank` where it is a rank of its server. */
  get url(): string {
    const { url, rank } = this.member.ref
    return rank === undefined ? url : `${url}@${rank}`
  }
  get weight(): number {
    return this.member.weight
  }
  get role(): string {
    return this.member.role
  }
  get engine(): string {
    return this.member.ref.engine
  }
  get capacityTokens(): number {
    const told = this.reported?.capacityTokens ?? -1
    return told > 0 ? told : (this.member.kvCapacityTokens ?? 0)
  }
  get foreignCalls(): number {
    return this.beside.calls + this.strayCalls
  }
  get foreignTokens(): number {
    return this.beside.tokens + this.strayTokens
  }
  get heldTokens(): number {
    const told = this.reported?.usedTokens ?? -1
    const known = this.ownTokens + this.beside.held
    return told < 0 ? known : Math.max(0, told + known - this.#knownAtReport)
  }
  get reportedRunning(): number {
    return this.reported?.running ?? -1
  }
  get reportedWaiting(): number {
    return this.reported?.waiting ?? -1
  }

  /** Takes over what the engine told. What is more than is known of, others sent. */
  report(load: ReportedLoad): void {
    const { beside } = this
    this.reported = load
    this.#knownAtReport = this.ownTokens + beside.held
    const calls = Math.max(0, load.running) + Math.max(0, load.waiting)
    this.strayCalls = Math.max(0, calls - this.inFlight - beside.calls)
    this.strayTokens = Math.max(0, load.waitingUncachedTokens - this.backlogTokens - beside.tokens)
  }

  /** Forgets what the engine told when it has become old. */
  age(now: number): void {
    if (this.reported === null || now - this.reported.at <= this.freshFor) return
    this.reported = null
    this.strayCalls = 0
    this.strayTokens = 0
  }

  /** False: the model is an adapter that it would have to load first. */
  hasLoaded(model: string): boolean {
    if (!this.member.adapters?.includes(model)) return true
    return this.loaded ? this.loaded.includes(model) : this.#used.includes(model)
  }

  /** A call for that model went there. */
  uses(model: string | null): void {
    if (model === null || !this.member.adapters?.includes(model)) return
    const at = this.#used.indexOf(model)
    if (at >= 0) this.#used.splice(at, 1)
    else if (this.#used.length >= LOADED_ADAPTERS) this.#used.shift()
    this.#used.push(model)
  }

  /** An answer told how much of its prompt was cached. */
  reused(predicted: number, cached: number): void {
    this.reuse.predicted += predicted
    this.reuse.cached += cached
    this.reuse.error += Math.abs(predicted - cached)
  }

  /** A good answer took so many milliseconds, to its last byte. */
  took(ms: number): void {
    const { recent } = this
    if (recent.length < RECENT) return void recent.push(ms)
    for (let i = 1; i < RECENT; i++) recent[i - 1] = recent[i]!
    recent[RECENT - 1] = ms
  }

  /** It answered after that many milliseconds. */
  measured(ms: number): void {
    this.latency = this.latency === 0 ? ms : this.latency + LATENCY_WEIGHT * (ms - this.latency)
  }
}

/** Why a worker can't be chosen now, in the order in which it is checked; null: it can. */
export type Exclusion = 'draining' | 'down' | 'breaker_open' | 'full'

/** A worker as the pool shows it to people and to /metrics. */
export interface SeatView {
  readonly id: string
  readonly url: string
  readonly engine: string
  readonly role: string
  readonly state: 'up' | 'suspect' | 'busy' | 'down' | 'draining'
  readonly breaker: Breaker['state']
  readonly breaker_trips: number
  readonly breaker_moves: Readonly<BreakerMoves>
  /** Probes in all, by what they found. */
  readonly probes: { readonly good: number; readonly bad: number }
  readonly in_flight: number
  readonly backlog_tokens: number
  /** Prefill tokens a second. */
  readonly speed: number
  /** KV tokens in use, and how many fit (0: unknown). */
  readonly held_tokens: number
  readonly capacity_tokens: number
  /** Prompt tokens that it is believed to hold. */
  readonly index_tokens: number
  readonly latency_ms: number
  /** Times of its last good answers, at most 15, the newest last. */
  readonly recent_ms: readonly number[]
  /** Over the answers that told how much of their prompts was cached. */
  readonly predicted_cached_tokens: number
  readonly cached_tokens: number
  readonly prediction_error_tokens: number
  readonly served: number
  readonly failed: number
  /** Models that fail their probes while others don't; absent: none. */
  readonly failing_models?: readonly string[]
  /** Null: it told nothing of late, or nobody asked. */
  readonly load: LoadView | null
  /** Questions for its load that it did not answer. */
  readonly load_failures: number
  /** Null: it publishes none, or nobody follows them. */
  readonly kv_events: KvEventsView | null
  readonly binding: Binding
}

/** `indexTokens`: prompts that it is believed to hold. */
export function viewOfSeat(seat: Seat, indexTokens: number, now: number): SeatView {
  const { ref, role } = seat.member
  return {
    id: ref.id,
    url: seat.url,
    engine: ref.engine,
    role,
    state: stateOf(seat, now),
    breaker: seat.breaker.state,
    breaker_trips: seat.trips,
    breaker_moves: { ...seat.breaker.moves },
    probes: { ...seat.probes },
    in_flight: seat.inFlight,
    backlog_tokens: seat.backlogTokens,
    speed: Math.round(seat.speed),
    held_tokens: Math.round(seat.heldTokens),
    capacity_tokens: Math.round(seat.capacityTokens),
    index_tokens: Math.round(indexTokens),
    latency_ms: Math.round(seat.latency),
    recent_ms: [...seat.recent],
    predicted_cached_tokens: Math.round(seat.reuse.predicted),
    cached_tokens: seat.reuse.cached,
    prediction_error_tokens: Math.round(seat.reuse.error),
    served: seat.served,
    failed: seat.failed,
    ...(seat.failing.size > 0 && { failing_models: [...seat.failing] }),
    load: loadOfSeat(seat, now),
    load_failures: seat.loadsMissed,
    kv_events: seat.kvEvents,
    binding: seat.binding,
  }
}

function stateOf({ member, isDown, isSuspect, busyUntil }: Seat, now: number): SeatView['state'] {
  if (member.draining) return 'draining'
  if (isDown) return 'down'
  if (isSuspect) return 'suspect'
  return busyUntil > now ? 'busy' : 'up'
}
