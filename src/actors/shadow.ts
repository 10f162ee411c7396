// A second policy that decides on the same calls and sends nothing: with its own view of the caches and its own account of
// who would have what, so that what it would come to can be compared before it is trusted with the traffic.
import type { Candidate, Choose, PoolSense } from '../policies/policy.ts'
import type { Ask } from './ask.ts'
import { Sense, type Senses } from './sense.ts'
import type { PrefixView } from './view.ts'

/** What one side did to one worker since the comparison began. Lengths are tokens. */
export interface ShareView {
  readonly worker: string
  readonly calls: number
  readonly call_share: number
  readonly prompt_tokens: number
  readonly predicted_cached_tokens: number
  /** Its part of all tokens that had to be computed, as predicted. */
  readonly load_share: number
}

export interface SideView {
  readonly policy: string
  readonly predicted_cached_tokens: number
  /** Predicted cached tokens over prompt tokens; 0 before the first call. */
  readonly predicted_hit_ratio: number
  readonly load_share_max: number
  readonly workers: readonly ShareView[]
}

/** The answer to GET shadow: both sides on the same calls. */
export interface ShadowView {
  readonly object: 'shadow'
  readonly since: string
  /** Calls that both decided. */
  readonly decisions: number
  /** Those that both would send to the same worker. */
  readonly agreed: number
  readonly prompt_tokens: number
  readonly first: SideView
  readonly shadow: SideView
}

interface Share {
  calls: number
  prompt: number
  cached: number
}

/** What one side decided, by worker. */
class Side {
  readonly policy: string
  readonly #shares = new Map<string, Share>()

  constructor(policy: string) {
    this.policy = policy
  }

  count(worker: string, prompt: number, cached: number): void {
    let share = this.#shares.get(worker)
    if (!share) this.#shares.set(worker, (share = { calls: 0, prompt: 0, cached: 0 }))
    share.calls++
    share.prompt += prompt
    share.cached += cached
  }

  leave(worker: string): void {
    this.#shares.delete(worker)
  }

  view(): SideView {
    const all = { calls: 0, prompt: 0, cached: 0 }
    for (const { calls, prompt, cached } of this.#shares.values()) {
      all.calls += calls
      all.prompt += prompt
      all.cached += cached
    }
    const computed = all.prompt - all.cached
    const workers = [...this.#shares].map(([worker, { calls, prompt, cached }]) => ({
      worker,
      calls,
      call_share: ratio(calls, all.calls),
      prompt_tokens: Math.round(prompt),
      predicted_cached_tokens: Math.round(cached),
      load_share: ratio(prompt - cached, computed),
    }))
    return {
      policy: this.policy,
      predicted_cached_tokens: Math.round(all.cached),
      predicted_hit_ratio: ratio(all.cached, all.prompt),
      load_share_max: Math.max(0, ...workers.map((worker) => worker.load_share)),
      workers,
    }
  }
}

const ratio = (part: number, whole: number): number =>
  whole > 0 ? Math.round((1e4 * part) / whole) / 1e4 : 0

/** A worker as the shadow believes it to be: its own calls there, and of the real one what does not depend on who sends what. */
class ShadowSeat implements Candidate {
  real: Candidate
  inFlight = 0
  backlogTokens = 0
  heldTokens = 0
  lastTurn = 0
  // The engine tells of the calls that it really has.
  readonly reportedRunning = -1
  readonly reportedWaiting = -1

  constructor(real: Candidate) {
    this.real = real
  }

  get id(): string {
    return this.real.id
  }
  get url(): string {
    return this.real.url
  }
  get weight(): number {
    return this.real.weight
  }
  get role(): string {
    return this.real.role
  }
  get engine(): string {
    return this.real.engine
  }
  get latency(): number {
    return this.real.latency
  }
  get recent(): readonly number[] {
    return this.real.recent
  }
  get speed(): number {
    return this.real.speed
  }
  get capacityTokens(): number {
    return this.real.capacityTokens
  }
  get foreignCalls(): number {
    return this.real.foreignCalls
  }
  get foreignTokens(): number {
    return this.real.foreignTokens
  }
  get joinedAt(): number {
    return this.real.joinedAt
  }
  hasLoaded(model: string): boolean {
    return this.real.hasLoaded(model)
  }
}

/** A call that it would have sent. */
interface Sent {
  readonly seat: ShadowSeat
  readonly tokens: number
  pending: number
}

export interface ShadowRules {
  readonly policy: string
  readonly shadowPolicy: string
  readonly choose: Choose
  /** Of the shadow alone. */
  readonly view: PrefixView
  /** Canonical prompt bytes that a worker can hold. */
  capacityOf(worker: Candidate): number
}

export class Shadow {
  readonly #rules: ShadowRules
  readonly #sense: Sense
  readonly #first: Side
  readonly #shadow: Side
  readonly #seats = new Map<string, ShadowSeat>()
  readonly #sent = new Map<string, Sent>()
  readonly #since: number
  #turn = 0
  #decisions = 0
  #agreed = 0
  #prompt = 0

  /** `senses`: what it shares with the pool, its `view` aside. */
  constructor(rules: ShadowRules, senses: Omit<Senses, 'view'>, now: number) {
    this.#rules = rules
    this.#sense = new Sense({ ...senses, view: rules.view })
    this.#first = new Side(rules.policy)
    this.#shadow = new Side(rules.shadowPolicy)
    this.#since = now
  }

  /** The pool chose for a new call: chooses too, among the same workers as it believes them to be. Retries are no new calls. */
  decided(ask: Ask, candidates: readonly Candidate[], sense: PoolSense, chosen: Candidate): void {
    const own = candidates.map((candidate) => this.#seatOf(candidate))
    const look = this.#sense.look(ask, sense.now)
    const index = own.length === 1 ? 0 : this.#rules.choose(ask, own, look)
    const seat = own[index] as ShadowSeat
    const prompt = look.promptTokens
    const matched = look.match(seat.id)
    this.#decisions++
    this.#prompt += prompt
    if (seat.id === chosen.id) this.#agreed++
    this.#first.count(chosen.id, prompt, sense.match(chosen.id))
    this.#shadow.count(seat.id, prompt, matched)
    this.#open(ask.id, seat, { prompt, matched })
    if (ask.prefix !== null) this.#rules.view.hold(seat.id, ask.prefix, sense.now)
  }

  /** The call's first token came, wherever it really was. */
  first(id: string): void {
    const sent = this.#sent.get(id)
    if (!sent) return
    sent.seat.backlogTokens -= sent.pending
    sent.pending = 0
  }

  /** The call ended. Twice is harmless. */
  ended(id: string): void {
    const sent = this.#sent.get(id)
    if (!sent) return
    this.#sent.delete(id)
    sent.seat.backlogTokens -= sent.pending
    sent.seat.heldTokens -= sent.tokens
    sent.seat.inFlight--
  }

  /** Ends the calls that the pool has no lease of any more, and forgets the workers that left. */
  sweep(leases: { has(id: string): boolean }, members: ReadonlyMap<string, unknown>): void {
    for (const id of this.#sent.keys()) if (!leases.has(id)) this.ended(id)
    for (const id of this.#seats.keys()) {
      if (members.has(id)) continue
      this.#rules.view.leave(id)
      this.#seats.delete(id)
      this.#first.leave(id)
      this.#shadow.leave(id)
    }
  }

  /** The KV cache of a worker, or of all of them, was emptied. */
  forget(workerId: string | null): void {
    if (workerId === null) this.#rules.view.clearAll()
    else this.#rules.view.clear(workerId)
  }

  report(): ShadowView {
    return {
      object: 'shadow',
      since: new Date(this.#since).toISOString(),
      decisions: this.#decisions,
      agreed: this.#agreed,
      prompt_tokens: Math.round(this.#prompt),
      first: this.#first.view(),
      shadow: this.#shadow.view(),
    }
  }

  #seatOf(real: Candidate): ShadowSeat {
    let seat = this.#seats.get(real.id)
    if (!seat) this.#seats.set(real.id, (seat = new ShadowSeat(real)))
    seat.real = real
    this.#rules.view.join(real.id, this.#rules.capacityOf(real))
    return seat
  }

  #open(id: string, seat: ShadowSeat, { prompt, matched }: { prompt: number; matched: number }): void {
    this.ended(id)
    const pending = prompt - matched
    seat.inFlight++
    seat.backlogTokens += pending
    seat.heldTokens += prompt
    seat.lastTurn = ++this.#turn
    this.#sent.set(id, { seat, tokens: prompt, pending })
  }
}
