// Keeps an eye on a pool's workers: who is probed, who is asked for its load, and when the pool's alarm rings next.
import { LoadPoller } from '../discovery/loads.ts'
import { probe, type ProbeChange } from '../discovery/probe.ts'
import type { ActorState } from './actor.ts'
import type { ReportedLoad } from './ask.ts'
import { LEASE_TIME } from './ledger.ts'
import { LoadFeeds } from './load-feeds.ts'
import type { Roster } from './roster.ts'
import type { PoolRules } from './rules.ts'
import type { Seat } from './seat.ts'

export interface HealthSeams {
  readonly roster: Roster
  /** A probe found that a worker went down or came back. */
  changed(seat: Seat, change: 'down' | 'up'): void
  /** Whether it is this pool that looks after a worker: others then tell how the rest are. */
  isOwn(seat: Seat): boolean
  /** An engine told its load. */
  told(seat: Seat, load: ReportedLoad): void
  /** Whether there are leases, which the alarm has to drop when nobody renews them. */
  hasLeases(): boolean
}

export type HealthRules = Pick<PoolRules, 'probe' | 'load'>

export class Health {
  rules: HealthRules
  readonly loads: LoadPoller
  readonly #feeds: LoadFeeds
  readonly #state: ActorState
  readonly #seams: HealthSeams

  constructor(rules: HealthRules, state: ActorState, seams: HealthSeams) {
    this.rules = rules
    this.#state = state
    this.#seams = seams
    const { now, random, timer, fetch, log } = state
    const { told, roster, isOwn } = seams
    const load = { seats: roster.seats, rules: () => this.rules.load, told, isOwn }
    this.loads = new LoadPoller({ now, random, timer, fetch, log, ...load })
    this.#feeds = new LoadFeeds(state, told)
  }

  /** A call came. */
  used(now: number): void {
    if (this.loads.used(now)) this.rearm()
  }

  /** Probes those whose time has come, asks others for their loads, and arms the next alarm first. */
  async round(): Promise<void> {
    const now = this.#state.now()
    const { interval, timeout } = this.rules.probe
    const due = interval > 0 ? this.#probed().filter((seat) => seat.probeAt <= now) : []
    for (const seat of due) seat.probeAt = now + interval + timeout
    const taken = this.loads.take()
    this.rearm()
    // The ranks of a server are up or down together: it is asked once for all.
    const servers = new Set(due.map(({ ranks }) => ranks))
    await Promise.all([this.#ask(taken), ...[...servers].map((ranks) => this.#probe(ranks))])
  }

  /** A request could not reach it: it is looked at now, and no other goes there until that is known. */
  suspect(seat: Seat): void {
    if (this.rules.probe.interval === 0) return
    seat.isSuspect = true
    seat.probeAt = this.#state.now()
    this.rearm()
  }

  /** Members or rules are others now. */
  meet(): void {
    const { interval, isUsed, isAlways } = this.rules.load
    const own = [...this.#seams.roster.seats.values()].filter((seat) => this.#seams.isOwn(seat))
    this.#feeds.meet(interval > 0 && (isUsed || isAlways) ? own : [])
    this.rearm()
  }

  /** Sets the alarm to the next probe or question; without any, to when leases fall. */
  rearm(): void {
    if (this.#seams.roster.seats.size === 0 && !this.#seams.hasLeases()) return
    let next = Math.min(this.#state.now() + LEASE_TIME, this.loads.dueAt())
    if (this.rules.probe.interval > 0) for (const seat of this.#probed()) next = Math.min(next, seat.probeAt)
    this.#state.setAlarm(next)
  }

  /** One that has been out for too long leaves for good. */
  #removeLost(seat: Seat): void {
    const { removeAfter = 0 } = this.rules.probe
    const { isDown, failingSince } = seat
    if (removeAfter === 0 || !isDown || failingSince === 0) return
    if (this.#state.now() - failingSince >= removeAfter) this.#state.after(this.#remove(seat))
  }

  /** Whoever is found, or tells of itself, comes and goes by that alone. */
  async #remove({ id, url }: Seat): Promise<void> {
    const registry = this.#state.registry('main')
    const source = (await registry.get(id))?.source
    if (source !== 'api' && source !== 'flag') return
    this.#state.log({ level: 'warn', message: `worker ${url} stays away: removed`, worker: id })
    await registry.remove(id)
  }

  /** Those that this pool looks after, and those that its own calls could not reach. */
  #probed(): Seat[] {
    return [...this.#seams.roster.seats.values()].filter((seat) => seat.isSuspect || this.#seams.isOwn(seat))
  }

  async #ask(taken: readonly Seat[]): Promise<void> {
    if (taken.length === 0) return
    await this.loads.ask(taken)
    // Who turned out to be busy is asked again sooner.
    this.rearm()
  }

  async #probe(ranks: readonly Seat[]): Promise<void> {
    const changes = await probe(this.#state, ranks, this.rules.probe)
    this.rearm()
    for (const [i, seat] of ranks.entries()) this.#judge(seat, changes[i] ?? 'none')
  }

  #judge(seat: Seat, change: ProbeChange): void {
    this.#removeLost(seat)
    if (change === 'none') return
    const { id, url } = seat
    if (change === 'down')
      this.#state.log({ level: 'warn', message: `worker ${url} does not answer: taken out`, worker: id })
    else this.#state.log({ level: 'info', message: `worker ${url} is back`, worker: id })
    this.#seams.changed(seat, change)
  }
}
