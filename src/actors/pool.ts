// Who gets it. Owns the loads, leases, queue, breakers and health of the workers that are chosen among together.
import { Queue, type Waiter } from '../admission/queue.ts'
import type { Config } from '../config/schema.ts'
import { probe } from '../discovery/probe.ts'
import { backOff, createRetryBudget, earnRetry, spendRetry, type RetryBudget } from '../forward/retry.ts'
import type { PoolSense } from '../policies/policy.ts'
import type { ActorState } from './actor.ts'
import type { Ask, Failure, Outcome, Pick, Plan, RefusalValue } from './ask.ts'
import { Holders } from './holders.ts'
import { Ledger, LEASE_TIME, type Lease } from './ledger.ts'
import { place, type Placement } from './placement.ts'
import { gaveUp, isMoveToHealth, noRoom, whyNoRetry, whyNotThere } from './refusals.ts'
import { Roster } from './roster.ts'
import { rulesOf, type PoolRules } from './rules.ts'
import { viewOfSeat, type Seat, type SeatView } from './seat.ts'

/** Something that happened to a lease in mid-life; sent in batches, never waited for. */
export type Note =
  | { readonly id: string; readonly kind: 'first'; readonly after: number }
  | { readonly id: string; readonly kind: 'state'; readonly state: string }

export interface PoolView {
  readonly workers: readonly SeatView[]
  readonly in_flight: number
  readonly queued: number
  readonly leases: number
  readonly service_ms: number
}

interface Turn {
  readonly tried: readonly string[]
  readonly attempt: number
}

/** A call that waits, and what was tried before it came to wait. */
interface Waiting extends Waiter {
  readonly turn: Turn
  readonly promise: Promise<Pick>
  readonly resolve: (pick: Pick) => void
}

const FULL: Placement = { kind: 'full' }
const FIRST_TURN: Turn = { tried: [], attempt: 1 }

export class Pool {
  #rules: PoolRules
  readonly #state: ActorState
  readonly #roster = new Roster()
  readonly #queue = new Queue<Waiting>()
  readonly #holders = new Holders()
  readonly #ledger: Ledger
  readonly #budget: RetryBudget
  /** Newest membership that the registry announced. */
  #hinted = 0
  #pulling: Promise<void> | null = null

  constructor(config: Config, state: ActorState) {
    this.#rules = rulesOf(config)
    this.#state = state
    this.#ledger = new Ledger(this.#rules.breaker)
    this.#budget = createRetryBudget(this.#rules.retry, state.now())
  }

  /** Selects and accounts in one step; waits here for room. The same id again gets the same plan. */
  pick(ask: Ask): Pick | Promise<Pick> {
    const lease = this.#ledger.leases.get(ask.id)
    if (lease) return { plan: lease.plan }
    const waiting = this.#queue.get(ask.id)
    if (waiting) return waiting.promise
    if (this.#roster.version === 0) return this.#pull().then(() => this.#begin(ask))
    return this.#begin(ask)
  }

  /** The attempt failed before its first byte: ends its lease and chooses another worker, or refuses when no retry is due. */
  repick(failure: Failure, ask: Ask): Pick | Promise<Pick> {
    const lease = this.#end(ask.id, { kind: 'failed', failure })
    const pick = lease
      ? this.#again(ask, lease, failure)
      : { refusal: gaveUp('the lease of this call is gone') }
    this.#serveWaiters()
    return pick
  }

  note(notes: readonly Note[]): void {
    const now = this.#state.now()
    for (const note of notes) {
      if (note.kind === 'first') this.#ledger.first(note.id, note.after, now)
      else this.#hold(note.id, note.state)
    }
  }

  /** Streams that are still going on. */
  renew(ids: readonly string[]): void {
    for (const id of ids) this.#ledger.renew(id, this.#state.now())
  }

  /** The call ended, or its client left while it waited. Twice or late is harmless. */
  settle(id: string, outcome: Outcome): void {
    const waiting = this.#queue.take(id)
    waiting?.resolve({
      refusal: { status: 499, code: 'client_left', message: 'The client left while it waited.' },
    })
    if (outcome.state !== undefined) this.#hold(id, outcome.state)
    this.#end(id, outcome)
    this.#serveWaiters()
  }

  /** Refuses the waiters whose time is up. The router calls it when a deadline of its own passes. */
  expire(): void {
    for (const waiting of this.#queue.expire(this.#state.now()))
      waiting.resolve({ refusal: this.#noRoom('queue_timeout') })
  }

  /** Id of the worker that holds a stored response or conversation; null when nobody knows. */
  holder(state: string): string | null {
    const worker = this.#holders.get(state)
    // A worker that was removed took it along.
    return worker !== null && this.#roster.version > 0 && !this.#roster.seats.has(worker) ? null : worker
  }

  /** The router found out who holds it. */
  hold(state: string, workerId: string): void {
    this.#holders.set(state, workerId)
  }

  /** The registry has a newer membership than that. Resolves when the pool has it, too. */
  hint(version: number): void | Promise<void> {
    this.#hinted = version
    if (version !== this.#roster.version) return this.#pull()
  }

  configure(config: Config): void {
    this.#rules = rulesOf(config)
    this.#ledger.rules = this.#rules.breaker
    this.#serveWaiters()
    this.#rearm()
  }

  view(): PoolView {
    const now = this.#state.now()
    return {
      workers: [...this.#roster.seats.values()].map((seat) => viewOfSeat(seat, now)),
      in_flight: this.#ledger.leases.size,
      queued: this.#queue.size,
      leases: this.#ledger.leases.size,
      service_ms: Math.round(this.#ledger.serviceTime),
    }
  }

  /** Probes the members whose time has come, drops dead leases, and re-arms itself first. */
  async alarm(): Promise<void> {
    const now = this.#state.now()
    this.#ledger.sweep(now)
    this.expire()
    const { interval, timeout } = this.#rules.probe
    const due = interval > 0 ? [...this.#roster.seats.values()].filter((seat) => seat.probeAt <= now) : []
    for (const seat of due) seat.probeAt = now + interval + timeout
    this.#rearm()
    await Promise.all(due.map((seat) => this.#probe(seat)))
  }

  async #probe(seat: Seat): Promise<void> {
    const change = await probe(this.#state, seat, this.#rules.probe)
    this.#rearm()
    if (change === 'none') return
    const { id, url } = seat
    if (change === 'down')
      this.#state.log({ level: 'warn', message: `worker ${url} does not answer: taken out`, worker: id })
    else this.#state.log({ level: 'info', message: `worker ${url} is back`, worker: id })
    // It may have come back with other models.
    if (change === 'up') this.#state.after(Promise.resolve(this.#state.registry('main').refresh(id)))
    this.#serveWaiters()
  }

  #begin(ask: Ask): Pick | Promise<Pick> {
    earnRetry(this.#budget, this.#rules.retry)
    return this.#place(ask, FIRST_TURN, null)
  }

  #again(ask: Ask, lease: Lease, failure: Failure): Pick | Promise<Pick> {
    const turn = { tried: [...lease.tried, lease.seat.id], attempt: lease.plan.attempt + 1 }
    const refusal = whyNoRetry(lease, failure, this.#rules.retry.retries)
    return refusal ? { refusal } : this.#place(ask, turn, failure)
  }

  /** `failure`: of the attempt before. An engine's answer can be handed on: then nobody waits for room. */
  #place(ask: Ask, turn: Turn, failure: Failure | null): Pick | Promise<Pick> {
    const placement = this.#isAtLimit() ? FULL : this.#try(ask, turn)
    if (placement.kind === 'refused') return { refusal: placement.refusal }
    const refusal = failure && (whyNotThere(failure, placement) ?? this.#overBudget(failure, placement))
    if (refusal) return { refusal }
    if (placement.kind === 'full') return this.#wait(ask, turn)
    return { plan: this.#open(ask, turn, placement.seat, { waited: 0, isAgain: placement.isAgain }) }
  }

  /** The budget is there against storms; calls that move from a worker that died to one that is well make none. */
  #overBudget(failure: Failure, placement: Placement): RefusalValue | null {
    // Without a breaker nobody knows who is well.
    if (this.#rules.breaker.failures > 0 && isMoveToHealth(failure, placement)) return null
    if (spendRetry(this.#budget, this.#rules.retry, this.#state.now())) return null
    return gaveUp('the retry budget is spent', 'retry_budget')
  }

  #try(ask: Ask, turn: Turn): Placement {
    const sense: PoolSense = { now: this.#state.now(), random: this.#state.random, match: () => 0 }
    return place(ask, this.#roster.serving(ask), turn.tried, { sense, rules: this.#rules })
  }

  #open(ask: Ask, turn: Turn, seat: Seat, how: { waited: number; isAgain: boolean }): Plan {
    const delay = how.isAgain ? backOff(this.#rules.retry, turn.attempt, this.#state.random()) : 0
    const { waited } = how
    const { attempt } = turn
    const plan: Plan = { kind: 'single', worker: seat.member.ref, decision: ask.id, attempt, waited, delay }
    this.#ledger.open(ask, seat, plan, { tried: turn.tried, now: this.#state.now() })
    this.#queue.served(ask)
    return plan
  }

  #wait(ask: Ask, turn: Turn): Pick | Promise<Pick> {
    const now = this.#state.now()
    this.expire()
    if (this.#queue.size >= this.#rules.queueSize) return { refusal: this.#noRoom('queue_full') }
    if (ask.queueUntil <= now) return { refusal: this.#noRoom('queue_timeout') }
    let resolve!: (pick: Pick) => void
    const promise = new Promise<Pick>((done) => (resolve = done))
    this.#queue.add({ ask, since: now, resolve, turn, promise })
    return promise
  }

  /** Room came: lets in as many waiters as fit, in their order. */
  #serveWaiters(): void {
    if (this.#queue.size === 0) return
    this.expire()
    while (!this.#isAtLimit()) {
      const waiting = this.#queue.next((one) => this.#try(one.ask, one.turn).kind !== 'full')
      if (!waiting) return
      this.#queue.take(waiting.ask.id)
      const placement = this.#try(waiting.ask, waiting.turn)
      if (placement.kind === 'refused') waiting.resolve({ refusal: placement.refusal })
      if (placement.kind !== 'seat') continue
      const waited = this.#state.now() - waiting.since
      waiting.resolve({
        plan: this.#open(waiting.ask, waiting.turn, placement.seat, { waited, isAgain: placement.isAgain }),
      })
    }
  }

  #end(id: string, outcome: Outcome): Lease | null {
    const ended = this.#ledger.close(id, outcome, this.#state.now())
    if (ended?.isUnreachable && this.#rules.probe.interval > 0) {
      ended.lease.seat.isSuspect = true
      ended.lease.seat.probeAt = this.#state.now()
      this.#rearm()
    }
    return ended?.lease ?? null
  }

  #isAtLimit(): boolean {
    return this.#rules.maxInFlight > 0 && this.#ledger.leases.size >= this.#rules.maxInFlight
  }

  #hold(id: string, state: string): void {
    const seat = this.#ledger.leases.get(id)?.seat
    if (seat && this.holder(state) === null) this.#holders.set(state, seat.id) // not what another one holds
  }

  #noRoom(code: 'queue_full' | 'queue_timeout'): RefusalValue {
    const { leases, serviceTime } = this.#ledger
    return noRoom(code, { queued: this.#queue.size, places: leases.size, serviceTime })
  }

  /** Pulls the membership, once for all that wait for it; again when a newer one was announced meanwhile. */
  #pull(): Promise<void> {
    return (this.#pulling ??= Promise.resolve().then(() => this.#pullAll()))
  }

  async #pullAll(): Promise<void> {
    try {
      do {
        const membership = await this.#state.registry('main').members(this.#roster.version)
        if (membership) this.#roster.apply(membership)
      } while (this.#roster.version < this.#hinted)
    } finally {
      // In the same turn as the last look, so that no hint falls between.
      this.#pulling = null
    }
    this.#serveWaiters()
    this.#rearm()
  }

  #rearm(): void {
    let next = this.#state.now() + LEASE_TIME
    if (this.#rules.probe.interval > 0)
      for (const seat of this.#roster.seats.values()) next = Math.min(next, seat.probeAt)
    if (this.#roster.seats.size > 0 || this.#ledger.leases.size > 0) this.#state.setAlarm(next)
  }
}
