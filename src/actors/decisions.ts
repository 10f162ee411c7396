// What a pool remembers of its decisions, so that each can be explained: the log of them, and the shadow policy beside it.
import type { Config } from '../config/schema.ts'
import { chooserOf, policyOf, type Candidate, type PoolSense, type Weigh } from '../policies/policy.ts'
import type { Ask, Failure, Outcome, Pick, Plan, RefusalValue } from './ask.ts'
import { DecisionLog, type Decided, type Recorded } from './decision-log.ts'
import type { Passed } from './decision-rows.ts'
import { viewOfDecision, type DecisionView } from './decision-view.ts'
import { exclusionOf, type Placement, type Turn } from './placement.ts'
import type { Knowledge } from './knowledge.ts'
import type { Lease } from './ledger.ts'
import type { Roster } from './roster.ts'
import type { PoolRules } from './rules.ts'
import type { Seat } from './seat.ts'
import { Shadow, type ShadowView } from './shadow.ts'
import { PrefixView } from './view.ts'

/** What it reads of its pool. */
export interface DecisionSeams {
  now(): number
  random(): number
  readonly roster: Roster
  readonly knowledge: Knowledge
}

/** What there was to choose from, and what was chosen. */
interface Seen {
  /** Id of another worker that computes the prompt. */
  readonly prefill?: string | null
  readonly candidates: readonly Candidate[]
  readonly sense: PoolSense
  readonly chosen: Candidate | null
}

export class Decisions {
  readonly #seams: DecisionSeams
  #rules: PoolRules
  #config: Config
  #weigh: Weigh | null
  #log: DecisionLog
  #shadow: Shadow | null
  /** Why a seat that serves the ask is none of the candidates. */
  readonly #why = (candidate: Candidate, { ask, tried, sense, prefill = null }: Decided): Passed => {
    const seat = candidate as Seat
    const exclusion = exclusionOf(seat, ask, this.#rules, sense.now)
    if (exclusion !== null) return exclusion
    if (tried.includes(seat.id)) return 'tried'
    if (seat.isSuspect) return 'suspect'
    if (seat.busyUntil > sense.now) return 'busy'
    return prefill !== null && seat.role === 'mixed' ? 'role_mixed' : 'pool_full'
  }

  constructor(config: Config, rules: PoolRules, seams: DecisionSeams) {
    this.#seams = seams
    this.#config = config
    this.#rules = rules
    this.#log = new DecisionLog(config.decisions)
    this.#weigh = weighOf(config)
    this.#shadow = this.#makeShadow()
  }

  /** Another configuration: the log goes on unless its length changed, the shadow unless either policy did. */
  configure(config: Config, rules: PoolRules): void {
    const before = this.#config
    this.#config = config
    this.#rules = rules
    this.#weigh = weighOf(config)
    if (config.decisions !== before.decisions) this.#log = new DecisionLog(config.decisions)
    if (config.policy !== before.policy || config.shadowPolicy !== before.shadowPolicy)
      this.#shadow = this.#makeShadow()
  }

  /** The pool chose, and has not accounted for it yet. Returns the serial of what was taken down of it. */
  decided(
    ask: Ask,
    turn: Turn,
    { candidates, sense, plan }: { candidates: readonly Candidate[]; sense: PoolSense; plan: Plan },
    chosen: Candidate,
  ): number {
    const prefill = plan.kind === 'pair' ? plan.prefill.id : null
    const record = this.#log.decided(this.#decided(ask, turn, { candidates, sense, chosen, prefill }))
    if (plan.waited > 0 || plan.delay > 0) this.#log.planned({ id: ask.id, record }, plan, turn.isHeld)
    if (turn.attempt === 1) this.#shadow?.decided(ask, candidates, sense, chosen)
    return record
  }

  /** The pool gave no worker, or no further one. */
  refused(ask: Ask, turn: Turn, refusal: RefusalValue): Pick {
    this.#log.refused(turn.attempt === 1 ? this.#passed(ask, turn) : this.#log.newest(ask.id), refusal)
    return { refusal }
  }

  /** The call waits for room, or was turned away. */
  waits(ask: Ask, turn: Turn, pick: Pick | Promise<Pick>): Pick | Promise<Pick> {
    const noted = (later: Pick) => ('refusal' in later ? this.refused(ask, turn, later.refusal) : later)
    return pick instanceof Promise ? pick.then(noted) : noted(pick)
  }

  /** The first token came after that many milliseconds. `lease`: null: nobody knows it. */
  first(id: string, lease: Lease | null, after: number): void {
    if (lease) this.#log.first(lease, after)
    this.#shadow?.first(id)
  }

  /** An attempt failed; the call may go on. */
  failed(id: string, lease: Lease | null, failure: Failure): void {
    this.#log.ended(lease ?? this.#log.newest(id), { kind: 'failed', failure }, this.#seams.now())
  }

  /** The call ended. Twice is harmless. */
  settled(id: string, lease: Lease | null, outcome: Outcome, now: number): void {
    if (outcome.alone) this.#log.alone(id, outcome.alone, now)
    if (lease && !outcome.alone) this.#log.ended(lease, outcome, now)
    // Who leaves without a lease was refused, or has ended before: nothing is to be told of that.
    else if (outcome.alone || outcome.kind !== 'left') this.#log.ended(this.#log.newest(id), outcome, now)
    this.#shadow?.ended(id)
  }

  /** Calls that the pool gave up without a word, and workers that left. */
  sweep(leases: { has(id: string): boolean }): void {
    this.#shadow?.sweep(leases, this.#seams.roster.seats)
  }

  /** The KV cache of a worker, or of all of them, was emptied. */
  forget(workerId: string | null): void {
    this.#shadow?.forget(workerId)
  }

  /** Null: never made, or no longer kept. */
  find(id: string): DecisionView | null {
    const slots = this.#log.find(id)
    return slots.length === 0 ? null : viewOfDecision(this.#log, slots, this.#members())
  }

  /** What would be decided: nothing is kept, by the policy neither. `mustWait`: whatever room there is. */
  dry(ask: Ask, look: () => Placement, mustWait: (placement: Placement) => boolean): DecisionView {
    const { sense } = this.#seams.knowledge
    sense.isDry = true
    try {
      const placement = look()
      const isSeat = placement.kind === 'seat'
      const candidates = isSeat ? placement.candidates : []
      const waits = placement.kind === 'full' || mustWait(placement)
      const chosen = isSeat && !waits ? placement.seat : null
      const log = new DecisionLog(1)
      const seen = { candidates, sense, chosen }
      const record = log.decided(this.#decided(ask, FIRST, seen))
      if (placement.kind === 'refused') log.refused({ id: ask.id, record }, placement.refusal)
      const view = viewOfDecision(log, log.find(ask.id), this.#members())
      const outcome = placement.kind === 'refused' ? 'would_refuse' : waits ? 'would_wait' : 'would_send'
      return { ...view, id: null, dry_run: true, outcome }
    } finally {
      sense.isDry = false
    }
  }

  /** Null: there is no shadow policy. */
  shadow(): ShadowView | null {
    return this.#shadow?.report() ?? null
  }

  /** Takes down that nobody was chosen. */
  #passed(ask: Ask, turn: Turn): Recorded {
    const sense = this.#seams.knowledge.sense.look(ask, this.#seams.now())
    const record = this.#log.decided(this.#decided(ask, turn, { candidates: [], sense, chosen: null }))
    return { id: ask.id, record }
  }

  #decided(ask: Ask, { attempt, tried }: Turn, { candidates, sense, chosen, prefill = null }: Seen): Decided {
    const serving = this.#seams.roster.serving(ask)
    const { decodePolicy } = this.#config
    const policy = (prefill !== null && decodePolicy) || this.#config.policy
    const weigh = this.#weigh
    const why = this.#why
    return { ask, policy, weigh, attempt, tried, serving, why, candidates, sense, chosen, prefill }
  }

  #members() {
    return [...this.#seams.roster.seats.values()].map((seat) => seat.member)
  }

  #makeShadow(): Shadow | null {
    const { policy, shadowPolicy } = this.#config
    if (shadowPolicy === undefined) return null
    const { knowledge, random, now } = this.#seams
    const { prompts, speeds } = knowledge
    const second = policyOf(shadowPolicy)
    const rules = {
      policy,
      shadowPolicy,
      choose: chooserOf(second, this.#config),
      view: new PrefixView(knowledge.view.limit, this.#config.costTau),
      capacityOf: ({ capacityTokens }: Candidate) =>
        (capacityTokens || this.#rules.kvCapacity) * prompts.bytesPerToken,
    }
    return new Shadow(rules, { prompts, speeds, random }, now())
  }
}

const FIRST: Turn = { tried: [], attempt: 1 }

const weighOf = (config: Config): Weigh | null => policyOf(config.policy).weigh?.(config) ?? null
