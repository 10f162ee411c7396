// Who gets it. Owns the loads, leases, queue, breakers and health of the workers that are chosen among together.
import type { Config } from '../config/schema.ts'
import type { Policy } from '../policies/policy.ts'
import type { ActorState } from './actor.ts'
import { exchangeOf, isOwn } from './beside.ts'
import type { Ask, Failure, Note, Outcome, Pick, Renewal, ReportedLoad } from './ask.ts'
import { Choice, FIRST_TURN } from './choice.ts'
import type { DecisionView } from './decision-view.ts'
import { Decisions } from './decisions.ts'
import type { Exchange, Digest } from './exchange.ts'
import { Health } from './health.ts'
import { Holders } from './holders.ts'
import { Knowledge } from './knowledge.ts'
import type { KvBatch, Pushed } from './kv-events.ts'
import { Ledger } from './ledger.ts'
import { Membership } from './membership.ts'
import { viewOfPool, type PoolView } from './pool-view.ts'
import { Progress } from './progress.ts'
import { rankId } from './ranks.ts'
import { Roster } from './roster.ts'
import { rulesOf, type PoolRules } from './rules.ts'
import type { Seat } from './seat.ts'
import type { ShadowView } from './shadow.ts'

export class Pool {
  #config: Config
  readonly #policy: Policy | undefined
  #rules: PoolRules
  readonly #state: ActorState
  readonly #roster = new Roster()
  readonly #membership: Membership
  readonly #holders = new Holders()
  readonly #knowledge: Knowledge
  readonly #ledger: Ledger
  readonly #choice: Choice
  readonly #health: Health
  readonly #decisions: Decisions
  readonly #progress: Progress
  readonly #exchange: Exchange

  /** `policy`: one of no list, in place of the configured one. */
  constructor(config: Config, state: ActorState, policy?: Policy) {
    this.#config = config
    this.#policy = policy
    this.#rules = rulesOf(config, policy)
    this.#state = state
    this.#knowledge = new Knowledge(config, state)
    const known = { ...state, roster: this.#roster, knowledge: this.#knowledge }
    this.#decisions = new Decisions(config, this.#rules, known)
    this.#ledger = new Ledger(this.#rules.breaker, this.#knowledge.speeds)
    const books = { roster: this.#roster, ledger: this.#ledger, knowledge: this.#knowledge }
    this.#choice = new Choice(config, this.#rules, {
      ...books,
      state,
      decisions: this.#decisions,
      policy,
      health: () => this.#health,
      exchange: () => this.#exchange,
    })
    this.#exchange = exchangeOf(config, state, {
      ...books,
      suspect: (seat) => this.#health.suspect(seat),
      reported: (id, load) => this.report(id, load),
      changed: (seat, change) => this.#changed(seat, change),
      eased: () => this.#choice.line.serve(),
    })
    this.#health = new Health(this.#rules, state, {
      roster: this.#roster,
      changed: (seat, change) => this.#changed(seat, change),
      told: (seat, load) => this.#told(seat, load),
      isOwn: isOwn(config, state),
      hasLeases: () => this.#ledger.leases.size > 0,
    })
    this.#progress = new Progress({
      ...books,
      pairs: this.#choice.pairs,
      health: this.#health,
      now: state.now,
      freed: () => this.#choice.line.serve(),
      kvCapacity: () => this.#rules.kvCapacity,
    })
    this.#membership = new Membership(state, this.#roster, (left) => this.#met(left))
  }

  /** Selects and accounts in one step; waits here for room. The same id again gets the same plan. */
  pick(ask: Ask): Pick | Promise<Pick> {
    const lease = this.#ledger.leases.get(ask.id)
    if (lease?.plan) return { plan: lease.plan }
    const waiting = this.#choice.line.promiseOf(ask.id)
    if (waiting) return waiting
    return this.#roster.version > 0 ? this.#begin(ask) : this.#membership.ready(() => this.#begin(ask))
  }

  /**
   * The attempt failed before its first byte: ends its lease and chooses another worker, or refuses when no retry is due.
   * `tried`: ids of the workers that the router sent it to, for a pool that has lost its lease.
   */
  repick(failure: Failure, ask: Ask, tried: readonly string[] = []): Pick | Promise<Pick> {
    return this.#membership.ready(() => this.#repick(failure, ask, tried))
  }

  /** A pool beside this one tells what it has at the workers that both choose among. */
  hear(digest: Digest): void {
    this.#exchange.hear(digest)
  }

  note(notes: readonly Note[]): void {
    for (const note of notes) {
      if (note.kind === 'first') {
        this.#decisions.first(note.id, this.#progress.first(note), note.after)
      } else if (note.kind === 'load') this.report(note.worker, note.load)
      else if (note.kind === 'handover') this.#progress.handedOver(note)
      else this.#hold(note.id, note.state)
    }
    if (this.#choice.late.isLate) this.#choice.line.serve()
    this.#exchange.touch()
  }

  /** Streams that are still going on. A pool that was lost meanwhile takes them up again. */
  async renew(renewals: readonly Renewal[]): Promise<void> {
    if (this.#roster.version === 0) await this.#membership.pull()
    const now = this.#state.now()
    for (const renewal of renewals) {
      this.#ledger.renew(renewal, this.#roster.seats.get(renewal.worker), now)
      this.#choice.pairs.renew(renewal.id, now)
    }
    this.#exchange.touch()
  }

  /** The call ended, or its client left while it waited. Twice or late is harmless. */
  settle(id: string, outcome: Outcome): void {
    this.#choice.line.leave(id)
    if (outcome.state !== undefined) this.#hold(id, outcome.state)
    const now = this.#state.now()
    this.#decisions.settled(id, this.#progress.end(id, outcome, now), outcome, now)
    this.#exchange.touch()
    this.#choice.line.serve()
  }

  /** An engine told its load. */
  report(workerId: string, load: ReportedLoad): void {
    const seat = this.#roster.seats.get(workerId)
    if (seat) this.#knowledge.report(seat, load, this.#rules.kvCapacity)
  }

  /** The KV cache of a worker, or of all of them, was emptied. */
  forget(workerId: string | null): void {
    this.#knowledge.clear(workerId)
    this.#decisions.forget(workerId)
  }

  /** A session ended: a policy that remembers which worker it has forgets it. */
  release(session: string): void {
    this.#rules.choose.release?.(session)
  }

  /** KV events that were pushed by HTTP. `seq`: the batch's number; null: the sender does not count. */
  events(workerId: string, batch: KvBatch, seq: number | null): Pushed {
    const { seats } = this.#roster
    const seat = seats.get(workerId) ?? seats.get(rankId(workerId, batch.rank ?? 0))
    return this.#knowledge.events.push(seat, batch, seq)
  }

  /** Refuses the waiters whose time is up. The router calls it when a deadline of its own passes. */
  expire(): void {
    this.#choice.line.expire()
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
    return this.#membership.hint(version)
  }

  configure(config: Config): void {
    this.#rules = rulesOf(config, this.#policy, { rules: this.#rules, config: this.#config })
    this.#config = config
    this.#decisions.configure(config, this.#rules)
    this.#ledger.rules = this.#rules.breaker
    this.#choice.configure(config, this.#rules)
    this.#health.rules = this.#rules
    this.#knowledge.meet(this.#roster.seats.values(), this.#rules.kvCapacity)
    this.#choice.line.serve()
    this.#health.meet()
  }

  view(): PoolView {
    const rest = { queued: this.#choice.line.size, shadow: this.shadow(), now: this.#state.now() }
    return viewOfPool(this.#roster, this.#ledger, this.#knowledge, rest)
  }

  /** How the workers of a call were chosen; null: unknown, or not kept any more. */
  decision(id: string): DecisionView | null {
    return this.#decisions.find(id)
  }

  /** What would be decided for an ask now. Nothing is accounted and nothing learned. */
  async explain(ask: Ask): Promise<DecisionView> {
    if (this.#roster.version === 0) await this.#membership.pull()
    return this.#choice.explain(ask)
  }

  /** What the shadow policy decided so far; null: there is none. */
  shadow(): ShadowView | null {
    return this.#decisions.shadow()
  }

  /** Probes the members whose time has come, drops dead leases, and re-arms itself first. */
  async alarm(): Promise<void> {
    this.#ledger.sweep(this.#state.now())
    this.#choice.pairs.sweep(this.#state.now())
    this.#decisions.sweep(this.#ledger.leases)
    this.#knowledge.keep()
    this.expire()
    await this.#health.round()
  }

  #changed(seat: Seat, change: 'down' | 'up'): void {
    this.#exchange.touch()
    if (change === 'up') {
      this.#knowledge.restart(seat, this.#state.now())
      this.#choice.late.restart(seat)
      this.#decisions.forget(seat.id)
      // It may have come back with other models.
      this.#state.after(Promise.resolve(this.#state.registry('main').refresh(seat.id)))
    }
    this.#choice.line.serve()
  }

  #begin(ask: Ask): Pick | Promise<Pick> {
    this.#choice.retries.earn()
    const now = this.#state.now()
    this.#health.used(now)
    return this.#choice.place(ask, FIRST_TURN, { failure: null, now })
  }

  #repick(failure: Failure, ask: Ask, known: readonly string[]): Pick | Promise<Pick> {
    const now = this.#state.now()
    const lease = this.#progress.end(ask.id, { kind: 'failed', failure }, now)
    if (lease === null) this.#progress.blame(known.at(-1), failure)
    const plan = lease?.plan
    const failed = failure.leg && plan?.kind === 'pair' ? plan.prefill.id : lease?.seat.id
    const tried = lease && failed !== undefined ? [...lease.tried, failed] : known
    const turn = { tried, attempt: (plan?.attempt ?? known.length) + 1 }
    this.#decisions.failed(ask.id, lease, failure)
    this.#exchange.touch()
    const refusal = this.#choice.retries.whyNone(ask, failure, turn, plan?.kind === 'pair')
    const pick = refusal
      ? this.#decisions.refused(ask, turn, refusal)
      : this.#choice.place(ask, turn, { failure, now })
    this.#choice.line.serve()
    return pick
  }

  #told(seat: Seat, load: ReportedLoad): void {
    this.report(seat.id, load)
    this.#exchange.report(seat, load)
  }

  #hold(id: string, state: string): void {
    const seat = this.#ledger.leases.get(id)?.seat
    if (seat && this.holder(state) === null) this.#holders.set(state, seat.id) // not what another one holds
  }

  #met(left: readonly string[]): void {
    this.#knowledge.met(this.#roster.seats, left, this.#rules.kvCapacity)
    this.#choice.late.meet()
    this.#exchange.meet()
    this.#choice.line.serve()
    this.#health.meet()
  }
}
