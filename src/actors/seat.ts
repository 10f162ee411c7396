// One worker as its pool sees it: load, health, breaker. All state of a pool about a worker is here.
import { createBreaker, type Breaker } from '../forward/breaker.ts'
import type { Candidate } from '../policies/policy.ts'
import type { Member } from './members.ts'

/** Weight of a new measurement in the running mean of latencies. */
const LATENCY_WEIGHT = 0.2

export class Seat implements Candidate {
  member: Member
  inFlight = 0
  backlogTokens = 0
  latency = 0
  lastTurn = 0
  readonly breaker: Breaker = createBreaker()
  /** Probes say that it is out. */
  isDown = false
  probeFailures = 0
  probeAt = 0
  /** A request could not reach it just now; only a probe clears this. */
  isSuspect = false
  /** It said "busy, come back later": until then others go first. */
  busyUntil = 0
  /** Last time it gave a first token or a whole answer. */
  lastGoodAt = 0
  /** Leases whose first token has come and whose stream goes on. */
  streaming = 0
  served = 0
  failed = 0
  trips = 0

  constructor(member: Member) {
    this.member = member
    this.isDown = member.reachable === false
  }

  /** Takes over what the registry says anew. A tunnel that came back is believed: a probe then looks at the engine behind it. */
  join(member: Member): void {
    const isGone = member.reachable === false
    const wasGone = this.member.reachable === false
    this.member = member
    if (isGone === wasGone) return
    this.isDown = isGone
    this.isSuspect = false
    this.probeFailures = 0
    this.probeAt = 0
  }

  get id(): string {
    return this.member.ref.id
  }
  get url(): string {
    return this.member.ref.url
  }
  get weight(): number {
    return this.member.weight
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
  readonly in_flight: number
  readonly backlog_tokens: number
  readonly latency_ms: number
  readonly served: number
  readonly failed: number
}

export function viewOfSeat(seat: Seat, now: number): SeatView {
  const { ref, role, draining } = seat.member
  const state = draining
    ? 'draining'
    : seat.isDown
      ? 'down'
      : seat.isSuspect
        ? 'suspect'
        : seat.busyUntil > now
          ? 'busy'
          : 'up'
  return {
    id: ref.id,
    url: ref.url,
    engine: ref.engine,
    role,
    state,
    breaker: seat.breaker.state,
    breaker_trips: seat.trips,
    in_flight: seat.inFlight,
    backlog_tokens: seat.backlogTokens,
    latency_ms: Math.round(seat.latency),
    served: seat.served,
    failed: seat.failed,
  }
}
