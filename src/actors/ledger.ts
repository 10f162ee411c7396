// Who holds what: the leases of a pool, and what their beginnings and ends tell of the workers.
import { enter, fail, release, succeed, type BreakerRules } from '../forward/breaker.ts'
import { isBusyStatus } from '../forward/retry.ts'
import type { Ask, Failure, Outcome, Plan } from './ask.ts'
import type { Seat } from './seat.ts'

/** A lease nobody renews falls after this: its router is gone. */
export const LEASE_TIME = 150_000
/** How long a worker that said "busy" without saying for how long goes to the end of the line. */
const BUSY_TIME = 1_000
const MAX_BUSY_TIME = 60_000
const SERVICE_WEIGHT = 0.1

export interface Lease {
  readonly id: string
  readonly seat: Seat
  readonly ask: Ask
  readonly plan: Plan
  /** Workers tried before in this call. */
  readonly tried: readonly string[]
  readonly startedAt: number
  expiresAt: number
  /** The first token came: no prefill backlog any more. */
  isDecoding: boolean
  /** It goes through a breaker that is half open. */
  readonly isProbe: boolean
}

/** What the end of a lease means for the pool. */
export interface Ended {
  readonly lease: Lease
  /** The worker could not be reached: look at it now. */
  readonly isUnreachable: boolean
}

export class Ledger {
  readonly leases = new Map<string, Lease>()
  rules: BreakerRules
  #turn = 0
  /** Running mean of how long a call holds its place, ms. */
  serviceTime = 1000

  constructor(rules: BreakerRules) {
    this.rules = rules
  }

  /** A plan was made: its worker carries it from now on. */
  open(ask: Ask, seat: Seat, plan: Plan, { tried, now }: { tried: readonly string[]; now: number }): void {
    enter(seat.breaker)
    seat.inFlight++
    seat.backlogTokens += ask.tokens
    seat.lastTurn = ++this.#turn
    const expiresAt = now + LEASE_TIME
    this.leases.set(ask.id, {
      id: ask.id,
      seat,
      ask,
      plan,
      tried,
      startedAt: now,
      expiresAt,
      isDecoding: false,
      isProbe: seat.breaker.state === 'half_open',
    })
  }

  /** The first token came after that many milliseconds. */
  first(id: string, after: number, now: number): void {
    const lease = this.leases.get(id)
    if (!lease || lease.isDecoding) return
    lease.isDecoding = true
    lease.seat.backlogTokens -= lease.ask.tokens
    lease.seat.streaming++
    lease.seat.lastGoodAt = now
    lease.seat.measured(after)
  }

  renew(id: string, now: number): void {
    const lease = this.leases.get(id)
    if (lease) lease.expiresAt = now + LEASE_TIME
  }

  /** Ends a lease and learns from it; null when there is none (settled already: harmless). */
  close(id: string, outcome: Outcome, now: number): Ended | null {
    const lease = this.leases.get(id)
    if (!lease) return null
    this.leases.delete(id)
    const { seat } = lease
    seat.inFlight--
    if (lease.isDecoding) seat.streaming--
    else seat.backlogTokens -= lease.ask.tokens
    const held = now - lease.startedAt
    this.serviceTime += SERVICE_WEIGHT * (held - this.serviceTime)
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

  #learn(lease: Lease, outcome: Outcome, now: number): boolean {
    const { seat } = lease
    const failure = outcome.failure ?? statusFailure(outcome.status)
    if (outcome.kind === 'left' || failure?.kind === 'aborted' || failure?.kind === 'total_timeout') {
      if (lease.isProbe) release(seat.breaker)
      return false
    }
    if (failure === undefined) {
      this.#good(lease, outcome, now)
      return false
    }
    if (failure.kind === 'status' && isBusyStatus(failure.status as number)) {
      if (lease.isProbe) release(seat.breaker)
      seat.busyUntil = now + Math.min(MAX_BUSY_TIME, failure.retryAfter ?? BUSY_TIME)
      return false
    }
    seat.failed++
    if (isHeard(lease) && fail(seat.breaker, this.rules, now)) seat.trips++
    return failure.kind === 'connect' || failure.kind === 'connect_timeout'
  }

  #good(lease: Lease, outcome: Outcome, now: number): void {
    const { seat, startedAt, isDecoding } = lease
    seat.served++
    seat.lastGoodAt = now
    seat.isSuspect = false
    if (!isDecoding && outcome.status !== undefined && outcome.status < 400) seat.measured(now - startedAt)
    if (isHeard(lease)) succeed(seat.breaker, this.rules)
  }
}

/** What began before a breaker opened tells nothing of its probe, and must not take the probe's place. */
const isHeard = ({ isProbe, seat }: Lease): boolean => isProbe || seat.breaker.state === 'closed'

/** An engine's answer that is passed on may still be one of a worker in trouble. A 4xx is the client's affair. */
function statusFailure(status: number | undefined): Failure | undefined {
  return status !== undefined && (status >= 500 || status === 429) ? { kind: 'status', status } : undefined
}
