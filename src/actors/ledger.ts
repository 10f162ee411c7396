// Who holds what: the leases of a pool, and what their beginnings and ends tell of the workers.
import { enter, fail, release, succeed, type BreakerRules } from '../forward/breaker.ts'
import type { Ask, Failure, Outcome, Plan, Renewal } from './ask.ts'
import { ById } from './by-id.ts'
import type { Seat } from './seat.ts'
import type { Speeds } from './speeds.ts'

/** A lease nobody renews falls after this: its router is gone. */
export const LEASE_TIME = 150_000
/** How long a worker that said "busy" without saying for how long goes to the end of the line. */
const BUSY_TIME = 1_000
const MAX_BUSY_TIME = 60_000
const SERVICE_WEIGHT = 0.1
/** Weight of a new answer in the running mean of their lengths. */
const OUTPUT_WEIGHT = 0.05

const LEFT: Outcome = { kind: 'left' }

export interface Lease {
  readonly id: string
  readonly seat: Seat
  /** Null with `plan`: made anew from a renewal, after the pool had lost it. */
  readonly ask: Ask | null
  readonly plan: Plan | null
  /** Workers tried before in this call. */
  readonly tried: readonly string[]
  readonly startedAt: number
  expiresAt: number
  /** The first token came: no prefill backlog any more. */
  isDecoding: boolean
  /** It goes through a breaker that is half open. */
  readonly isProbe: boolean
  /** The prompt's tokens, and those that the worker was believed to hold. */
  readonly tokens: number
  readonly matched: number
  /** The latter in blocks of the prefix. */
  readonly depth: number
  /** Tokens that the worker had to read before its first token: those ahead of it and its own. */
  readonly work: number
  /** Tokens that it still counts for in its worker's backlog. */
  pending: number
  /** KV tokens that it counts for. */
  readonly held: number
  /** Serial of what was taken down of its decision; -1: nothing was. */
  readonly record: number
  /** Its number in the line of calls without first tokens; -1: it is in none. */
  quiet: number
}

/** What the end of a lease means for the pool. */
export interface Ended {
  readonly lease: Lease
  /** The worker could not be reached: look at it now. */
  readonly isUnreachable: boolean
}

/** What else there is to know when a lease begins. */
export interface Opening {
  readonly tried: readonly string[]
  readonly now: number
  readonly tokens: number
  readonly matched: number
  readonly depth: number
  readonly record: number
}

/** Follows what workers have to read. */
export interface Reading {
  joined(lease: Lease): void
  /** The first token came after that many milliseconds. */
  first(lease: Lease, after: number): void
  /** It has nothing to read there any more. Harmless when `first` was told. */
  left(lease: Lease): void
}

export class Ledger {
  readonly leases = new ById<Lease>()
  rules: BreakerRules
  /** Null: nobody does. */
  reading: Reading | null = null
  readonly #speeds: Speeds
  #turn = 0
  /** Running mean of how long a call holds its place, ms. */
  serviceTime = 1000
  /** Running mean of the answers' tokens: what a prompt will grow by. */
  #output = 0

  constructor(rules: BreakerRules, speeds: Speeds) {
    this.rules = rules
    this.#speeds = speeds
  }

  /** A plan was made: its worker carries it from now on. */
  open(ask: Ask, seat: Seat, plan: Plan, { tried, now, tokens, matched, depth, record }: Opening): Lease {
    // A late renewal may have brought back what this call had before.
    this.close(ask.id, LEFT, now)
    enter(seat.breaker)
    const pending = tokens - matched
    const work = seat.backlogTokens + seat.foreignTokens + pending
    const held = tokens + this.#output
    seat.inFlight++
    seat.backlogTokens += pending
    seat.ownTokens += held
    seat.lastTurn = ++this.#turn
    seat.uses(ask.model)
    const lease: Lease = {
      id: ask.id,
      seat,
      ask,
      plan,
      tried,
      startedAt: now,
      expiresAt: now + LEASE_TIME,
      isDecoding: false,
      isProbe: seat.breaker.state === 'half_open',
      tokens,
      matched,
      depth,
      work,
      pending,
      held,
      record,
      quiet: -1,
    }
    const place = this.leases.join(lease)
    if (!ask.stream) lease.quiet = seat.quiet.add(place, now + (1000 * work) / seat.speed)
    this.reading?.joined(lease)
    return lease
  }

  /** The first token came after that many milliseconds. Returns true when it changed what all workers are measured by. */
  first(lease: Lease, after: number, now: number): boolean {
    if (lease.isDecoding) return false
    lease.isDecoding = true
    lease.seat.streaming++
    lease.seat.lastGoodAt = now
    lease.seat.measured(after)
    // A backlog that fell by prediction teaches nothing, nor does a lease whose beginning nobody knows.
    const isMeasured = lease.pending > 0 && lease.work > 0
    if (lease.pending > 0) this.reading?.first(lease, after)
    this.#fall(lease)
    return isMeasured && this.#speeds.learn(lease.seat, lease.work, after / 1000)
  }

  /**
   * Lets time pass for a seat: prompts whose answers have no first token leave the backlog when they should have been read, and
   * what the engine told long ago is forgotten.
   */
  age(seat: Seat, now: number): void {
    seat.age(now)
    for (let due = seat.quiet.take(now); due !== null; due = seat.quiet.take(now)) {
      const lease = this.leases.at(due)
      if (lease?.seat === seat) this.#fall(lease)
    }
  }

  /** A stream that goes on. Unknown to a pool that was lost meanwhile: then it is taken up again. */
  renew(renewal: Renewal, seat: Seat | undefined, now: number): void {
    const lease = this.leases.get(renewal.id)
    if (lease) lease.expiresAt = now + LEASE_TIME
    else if (seat) this.#restore(renewal, seat, now)
  }

  /** Ends a lease and learns from it; null when there is none (settled already: harmless). */
  close(id: string, outcome: Outcome, now: number): Ended | null {
    const lease = this.leases.take(id)
    if (!lease) return null
    const { seat } = lease
    seat.inFlight--
    seat.ownTokens = seat.inFlight === 0 ? 0 : seat.ownTokens - lease.held
    if (lease.isDecoding) seat.streaming--
    this.#fall(lease)
    const held = now - lease.startedAt
    this.serviceTime += SERVICE_WEIGHT * (held - this.serviceTime)
    const output = outcome.usage?.completionTokens ?? 0
    if (output > 0) this.#output += OUTPUT_WEIGHT * (output - this.#output)
    const isUnreachable = this.#learn(lease, outcome, now)
    return { lease, isUnreachable }
  }

  /** Drops the leases that nobody renewed. */
  sweep(now: number): number {
    let dropped = 0
    for (const lease of this.leases.values()) {
      if (lease.expiresAt > now) continue
      this.close(lease.id, { kind: 'left' }, now)
      dropped++
    }
    return dropped
  }

  /** An attempt of a call whose lease is lost failed on that worker. Returns whether it could not be reached. */
  blame(seat: Seat, failure: Failure, now: number): boolean {
    return this.#failed(seat, failure, { isHeard: seat.breaker.state === 'closed', isProbe: false, now })
  }

  #restore({ id, tokens, isDecoding }: Renewal, seat: Seat, now: number): void {
    const pending = isDecoding ? 0 : tokens
    const held = tokens + this.#output
    seat.inFlight++
    seat.backlogTokens += pending
    seat.ownTokens += held
    if (isDecoding) seat.streaming++
    this.leases.add({
      id,
      seat,
      ask: null,
      plan: null,
      tried: [],
      startedAt: now,
      expiresAt: now + LEASE_TIME,
      isDecoding,
      isProbe: false,
      tokens,
      matched: 0,
      depth: 0,
      work: 0,
      pending,
      held,
      record: -1,
      quiet: -1,
    })
  }

  #fall(lease: Lease): void {
    if (lease.pending > 0) this.reading?.left(lease)
    lease.seat.backlogTokens -= lease.pending
    lease.pending = 0
    if (lease.quiet >= 0) lease.seat.quiet.leave(lease.quiet)
    lease.quiet = -1
  }

  #learn(lease: Lease, outcome: Outcome, now: number): boolean {
    const { seat } = lease
    const failure = outcome.failure ?? statusFailure(outcome.status, this.rules.clientErrors)
    const { isProbe } = lease
    if (outcome.kind === 'left') {
      if (isProbe) release(seat.breaker)
      return false
    }
    if (failure) return this.#failed(seat, failure, { isHeard: isHeard(lease), isProbe, now })
    this.#good(lease, outcome, now)
    return false
  }

  /** Returns whether it could not be reached. `isHeard`: it counts for the breaker. */
  #failed(seat: Seat, failure: Failure, by: { isHeard: boolean; isProbe: boolean; now: number }): boolean {
    const { isProbe, now } = by
    const isBusy = failure.kind === 'status' && this.rules.busyOn.includes(failure.status as number)
    if (isBusy || failure.kind === 'aborted' || failure.kind === 'total_timeout') {
      if (isProbe) release(seat.breaker)
      if (isBusy) seat.busyUntil = now + Math.min(MAX_BUSY_TIME, failure.retryAfter ?? BUSY_TIME)
      return false
    }
    seat.failed++
    if (by.isHeard && fail(seat.breaker, this.rules, now)) seat.trips++
    return failure.kind === 'connect' || failure.kind === 'connect_timeout'
  }

  #good(lease: Lease, outcome: Outcome, now: number): void {
    const { seat, startedAt, isDecoding } = lease
    seat.served++
    seat.lastGoodAt = now
    seat.isSuspect = false
    if (outcome.status !== undefined && outcome.status < 400) {
      seat.took(now - startedAt)
      if (!isDecoding) seat.measured(now - startedAt)
    }
    if (isHeard(lease)) succeed(seat.breaker, this.rules)
  }
}

/** What began before a breaker opened tells nothing of its probe, and must not take the probe's place. */
const isHeard = ({ isProbe, seat }: Lease): boolean => isProbe || seat.breaker.state === 'closed'

/** An engine's answer that is passed on may still be one of a worker in trouble. A 4xx is the client's affair, unless it is said to count. */
function statusFailure(status: number | undefined, clientErrors = false): Failure | undefined {
  if (status === undefined) return undefined
  return status >= 500 || status === 429 || (clientErrors && status >= 400)
    ? { kind: 'status', status }
    : undefined
}
