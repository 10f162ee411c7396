// Late binding: calls wait in the pool, the least work first, until a worker has nearly read what it was sent.
import type { Books } from '../actors/account.ts'
import type { Ask } from '../actors/ask.ts'
import type { Lease, Reading } from '../actors/ledger.ts'
import type { Placement, Turn } from '../actors/placement.ts'
import type { PoolRules } from '../actors/rules.ts'
import type { Seat } from '../actors/seat.ts'
import type { Config } from '../config/schema.ts'
import type { Host } from '../host.ts'
import {
  cheapestOf,
  costOf,
  leastCost,
  noTerms,
  shareOf,
  weightsOf,
  type CostWeights,
} from '../policies/least-cost.ts'
import type { Candidate, Choose, PoolSense } from '../policies/policy.ts'
import { Ahead, type Sample } from './ahead.ts'
import type { Binding, Service } from './order.ts'
import { ServiceTimes } from './service-times.ts'

/** Most that recomputing what another worker holds counts for, whatever the load. */
const MOST_ALPHA = 8
/** A worker gets its next prompt so many round trips before it has read what it was sent (8 × one way). */
const ROUND_TRIPS = 4
/** However far it is, s. */
const MOST_THRESHOLD = 1
/** Shorter prompts say little of a worker's speed, tokens. */
const LEAST_READ = 2048
/** Rounds of binding are no closer than this, nor further apart while calls wait, ms. */
const SOONEST = 5
const LATEST = 1000
/** With more than a few calls waiting, rounds are that much (ms) apart for each of them. */
const FEW = 32
const PAUSE = 0.1

const BINDING: Readonly<Record<Service, Binding>> = {
  unknown: 'learning',
  in_order: 'late',
  shared: 'shares_steps',
}

export interface LateSeams extends Books, Pick<Host, 'now' | 'timer' | 'log'> {
  /** Where calls wait. */
  line(): { readonly size: number; serve(): void }
}

/**
 * Late binding by shortest uncached work. A worker is open when what it was sent takes no longer than the threshold; waiting
 * calls are looked at in the order of their keys, and each either goes to the worker that is best for it, if that is open, or
 * counts there as if it had gone, so that those behind it do not take its place: it waits for the holder of its prefix only while
 * that is cheaper than to compute it elsewhere. A worker has to be seen to read prompts in the order in which they came; one
 * that shares its steps between them does better with all of them at once, and gets them as they come.
 */
export class LateBinding implements Reading {
  #config: Config
  #rules: PoolRules
  readonly #seams: LateSeams
  readonly #times: ServiceTimes
  readonly #aheads = new WeakMap<Candidate, Ahead>()
  readonly #terms = noTerms()
  #weights: CostWeights
  #costs = new Float64Array(16)
  #isRound = false
  #disarm: (() => void) | null = null
  #roundAt = -Infinity
  #ringAt = Infinity

  constructor(config: Config, rules: PoolRules, seams: LateSeams) {
    this.#config = config
    this.#rules = rules
    this.#seams = seams
    this.#times = new ServiceTimes(config.prefillSpeed)
    this.#weights = weightsOf(config)
    this.#attach()
  }

  /** Only least_cost knows what a worker has ahead in seconds. */
  get isLate(): boolean {
    return this.#config.binding === 'late' && this.#rules.policy === leastCost
  }

  configure(config: Config, rules: PoolRules): void {
    this.#config = config
    this.#rules = rules
    this.#weights = weightsOf(config)
    this.#attach()
  }

  /** The rules by which workers are chosen. */
  get placing(): PoolRules {
    return this.isLate ? { ...this.#rules, choose: this.choose } : this.#rules
  }

  /** Members or rules are others now. */
  meet(): void {
    for (const seat of this.#seams.roster.seats.values()) this.#show(seat)
  }

  /** Its worker began anew. */
  restart(seat: Seat): void {
    this.#aheads.delete(seat)
    this.#show(seat)
  }

  joined(lease: Lease): void {
    if (lease.pending <= 0) return
    const { id, seat, startedAt, tokens, matched } = lease
    const features = this.#times.features(matched, tokens)
    const seconds = this.#times.seconds(features)
    const reading = this.#times.seconds([0, features[1], features[2]])
    const isQuiet = lease.ask !== null && !lease.ask.stream
    this.#of(seat).join(
      { id, features, tokens: tokens - matched, seconds, reading, sentAt: startedAt, isQuiet },
      this.#speedOf(seat),
    )
  }

  first({ id, seat, startedAt }: Lease, after: number): void {
    const ahead = this.#of(seat)
    const before = ahead.order.service
    const sample = ahead.first(id, startedAt + after)
    this.#show(seat)
    // What others sent in between is in it, too.
    if (sample && seat.foreignTokens === 0) this.#learn(sample, ahead)
    if (ahead.order.service === 'shared' && before !== 'shared')
      this.#seams.log({
        level: 'warn',
        message: `worker ${seat.url} reads several prompts in one step: it gets calls as they come (no late binding)`,
        worker: seat.id,
      })
  }

  left({ id, seat }: Lease): void {
    this.#of(seat).leave(id, this.#seams.now())
  }

  /** Chooses by what is ahead of a call, in seconds; by the policy where no worker is bound late. */
  readonly choose: Choose = (ask, candidates, sense) => {
    if (!this.isLate || !candidates.some((one) => this.#of(one).order.service === 'in_order'))
      return this.#rules.choose(ask, candidates, sense)
    if (this.#costs.length < candidates.length) this.#costs = new Float64Array(2 * candidates.length)
    const alpha = this.#alpha(candidates, sense)
    const best = this.#secondsOf(sense.bestMatch, sense)
    const by = { sense, weights: this.#weights, terms: this.#terms }
    for (let i = 0; i < candidates.length; i++) {
      const candidate = candidates[i] as Candidate
      const { overflow, adapter } = costOf(candidate, ask, by)
      const calls = candidate.inFlight + candidate.foreignCalls
      const seconds = this.#secondsOf(sense.match(candidate.id), sense)
      const own = (seconds + alpha * (seconds - best)) / this.#speedOf(candidate)
      this.#costs[i] = this.#aheadOf(candidate) + own + this.#weights.beta * calls + overflow + adapter
    }
    return cheapestOf(ask, candidates, this.#costs, { sense, band: this.#config.coldBand / 1000 })
  }

  /** Whether a call that just came has to wait, though there is room. The pool's sense looks at it. */
  holds(placement: Placement, turn: Turn): boolean {
    if (!this.isLate || placement.kind !== 'seat' || placement.prefill || turn.attempt > 1) return false
    return this.#seams.line().size > 0 || !this.#isOpen(placement.seat)
  }

  /** Where a call stands among those that wait, ms: when it came, and later by how long its prompt takes. */
  keyOf(ask: Ask): number {
    const now = this.#seams.now()
    if (!this.isLate) return now
    const sense = this.#seams.knowledge.sense.look(ask, now)
    return now + 1000 * this.#config.bindingFairness * this.#secondsOf(sense.bestMatch, sense)
  }

  /** Rounds in which many are looked at take time: they come the more rarely, the more wait. */
  isDue(): boolean {
    const waiting = this.#seams.line().size
    const left = this.#roundAt + waiting * PAUSE - this.#seams.now()
    if (waiting <= FEW || left <= 0) return true
    this.#ringIn(left)
    return false
  }

  /** Begins a round. */
  begin(): void {
    const now = this.#seams.now()
    for (const seat of this.#seams.roster.seats.values()) {
      this.#seams.ledger.age(seat, now)
      this.#of(seat).reserved = this.#backlogOf(seat)
    }
    this.#roundAt = now
    this.#isRound = true
  }

  /** Whether anybody can still get a call in this round. */
  get hasOpen(): boolean {
    for (const seat of this.#seams.roster.seats.values())
      if (!seat.isDown && !seat.member.draining && this.#isOpen(seat)) return true
    return false
  }

  /** Whether a call that waits can go to its best worker. In either case its prompt counts there from now on. */
  takes(seat: Seat): boolean {
    const { sense } = this.#seams.knowledge
    const isOpen = this.#isOpen(seat)
    this.#of(seat).reserved += this.#secondsOf(sense.match(seat.id), sense) / this.#speedOf(seat)
    return isOpen
  }

  /** Ends a round; while calls wait, the next one comes when a worker should be open. */
  end(): void {
    this.#isRound = false
    this.#disarm?.()
    this.#disarm = null
    this.#ringAt = Infinity
    if (this.#seams.line().size === 0) return
    let soonest = LATEST
    for (const seat of this.#seams.roster.seats.values()) {
      const over = 1000 * (this.#backlogOf(seat) - this.#thresholdOf(seat))
      if (over > 0) soonest = Math.min(soonest, over)
    }
    this.#ringIn(soonest)
  }

  /** The next round is then at the latest. */
  #ringIn(ms: number): void {
    const wait = Math.max(SOONEST, ms)
    const at = this.#seams.now() + wait
    if (at >= this.#ringAt) return
    this.#disarm?.()
    this.#ringAt = at
    this.#disarm = this.#seams.timer(wait, () => {
      this.#disarm = null
      this.#ringAt = Infinity
      this.#seams.line().serve()
    })
  }

  /** While binding is early nothing of this is told, or reckoned. */
  #attach(): void {
    this.#seams.ledger.reading = this.isLate ? this : null
    this.meet()
  }

  #show(seat: Seat): void {
    seat.binding = this.isLate ? BINDING[this.#of(seat).order.service] : 'early'
  }

  #learn({ features, tokens, seconds }: Sample, { pace }: Ahead): void {
    if (tokens > LEAST_READ) pace.learn(this.#times.seconds(features), seconds)
    this.#times.learn(features, seconds * pace.speed)
  }

  /** To compute what another one holds costs the fleet the more, the more is waiting. */
  #alpha(candidates: readonly Candidate[], { popularity }: PoolSense): number {
    let calls = this.#seams.line().size
    for (const candidate of candidates) calls += this.#of(candidate).size
    const scaled = (this.#weights.alpha * calls) / candidates.length / (1 + popularity)
    return Math.min(MOST_ALPHA, scaled)
  }

  #secondsOf(matched: number, { promptTokens }: PoolSense): number {
    return this.#times.seconds(this.#times.features(matched, promptTokens))
  }

  #isOpen(seat: Seat): boolean {
    return this.#of(seat).order.service !== 'in_order' || this.#aheadOf(seat) <= this.#thresholdOf(seat)
  }

  /** An idle engine waits for its next prompt as long as it takes to get there: those far away get it sooner. */
  #thresholdOf(seat: Seat): number {
    const far = Math.min(MOST_THRESHOLD, ROUND_TRIPS * this.#of(seat).distance)
    return Math.max(this.#config.bindingThreshold / 1000, far)
  }

  #aheadOf(candidate: Candidate): number {
    return this.#isRound ? this.#of(candidate).reserved : this.#backlogOf(candidate)
  }

  #backlogOf(candidate: Candidate): number {
    const speed = this.#speedOf(candidate)
    const foreign = this.#times.seconds([0, candidate.foreignTokens / this.#config.prefillSpeed, 0])
    return this.#of(candidate).backlog(this.#seams.now(), speed) + foreign / speed
  }

  /** 1: the pool's mean. */
  #speedOf(candidate: Candidate): number {
    const share = shareOf(candidate, this.#weights.slowStart, this.#seams.now())
    return this.#of(candidate).pace.speed * candidate.weight * share
  }

  #of(candidate: Candidate): Ahead {
    let ahead = this.#aheads.get(candidate)
    if (!ahead) this.#aheads.set(candidate, (ahead = new Ahead()))
    return ahead
  }
}
