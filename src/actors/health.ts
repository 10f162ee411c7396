// Keeps a pool's workers under probes: whose time has come, who is looked at sooner, when the pool's alarm rings next.
import { probe, type ProbeRules } from '../discovery/probe.ts'
import type { ActorState } from './actor.ts'
import { LEASE_TIME } from './ledger.ts'
import type { Roster } from './roster.ts'
import type { Seat } from './seat.ts'

export interface HealthSeams {
  readonly roster: Roster
  /** A probe found that a worker went down or came back. */
  changed(seat: Seat, change: 'down' | 'up'): void
  /** Whether there are leases, which the alarm has to drop when nobody renews them. */
  hasLeases(): boolean
}

export class Health {
  rules: ProbeRules
  readonly #state: ActorState
  readonly #seams: HealthSeams

  constructor(rules: ProbeRules, state: ActorState, seams: HealthSeams) {
    this.rules = rules
    this.#state = state
    this.#seams = seams
  }

  /** Probes those whose time has come, and arms the next alarm first. */
  async round(): Promise<void> {
    const now = this.#state.now()
    const { interval, timeout } = this.rules
    const due =
      interval > 0 ? [...this.#seams.roster.seats.values()].filter((seat) => seat.probeAt <= now) : []
    for (const seat of due) seat.probeAt = now + interval + timeout
    this.rearm()
    await Promise.all(due.map((seat) => this.#probe(seat)))
  }

  /** A request could not reach it: it is looked at now, and no other goes there until that is known. */
  suspect(seat: Seat): void {
    if (this.rules.interval === 0) return
    seat.isSuspect = true
    seat.probeAt = this.#state.now()
    this.rearm()
  }

  /** Sets the alarm to the next probe; without any, to when leases fall. */
  rearm(): void {
    if (this.#seams.roster.seats.size === 0 && !this.#seams.hasLeases()) return
    let next = this.#state.now() + LEASE_TIME
    if (this.rules.interval > 0)
      for (const seat of this.#seams.roster.seats.values()) next = Math.min(next, seat.probeAt)
    this.#state.setAlarm(next)
  }

  async #probe(seat: Seat): Promise<void> {
    const change = await probe(this.#state, seat, this.rules)
    this.rearm()
    if (change === 'none') return
    const { id, url } = seat
    if (change === 'down')
      this.#state.log({ level: 'warn', message: `worker ${url} does not answer: taken out`, worker: id })
    else this.#state.log({ level: 'info', message: `worker ${url} is back`, worker: id })
    this.#seams.changed(seat, change)
  }
}
