// Where calls go: chooses a worker and accounts for it in one step, or lets a call wait.
import { LateBinding } from '../binding/late.ts'
import type { Config } from '../config/schema.ts'
import { backOff } from '../forward/retry.ts'
import type { Policy } from '../policies/policy.ts'
import { account, type Books } from './account.ts'
import type { ActorState } from './actor.ts'
import type { Ask, Failure, Pick, Plan } from './ask.ts'
import type { DecisionView } from './decision-view.ts'
import type { Decisions } from './decisions.ts'
import type { Exchange } from './exchange.ts'
import type { Health } from './health.ts'
import { Line } from './line.ts'
import { Pairs } from './pairs.ts'
import type { Placement, Turn } from './placement.ts'
import { noRoom } from './refusals.ts'
import { Refill } from './refill.ts'
import { Retries } from './retries.ts'
import type { PoolRules } from './rules.ts'

const FULL: Placement = { kind: 'full' }
export const FIRST_TURN: Turn = { tried: [], attempt: 1 }

interface Before {
  readonly failure: Failure | null
  readonly now: number
}

export interface ChoiceSeams extends Books {
  readonly state: ActorState
  readonly decisions: Decisions
  /** In place of the configured policies. */
  readonly policy: Policy | undefined
  health(): Health
  exchange(): Exchange
}

export class Choice {
  readonly line: Line
  readonly late: LateBinding
  readonly pairs: Pairs
  readonly retries: Retries
  #rules: PoolRules
  readonly #seams: ChoiceSeams
  readonly #refill: Refill

  constructor(config: Config, rules: PoolRules, seams: ChoiceSeams) {
    const { state, policy } = seams
    this.#rules = rules
    this.#seams = seams
    this.#refill = new Refill(state)
    this.late = new LateBinding(config, rules, { ...state, ...seams, line: () => this.line })
    this.pairs = new Pairs(config, this.late.placing, seams, policy)
    this.retries = new Retries(rules, state.now())
    this.line = new Line({
      now: state.now,
      size: () => this.#rules.queueSize,
      isAtLimit: () => this.#isAtLimit(),
      look: (ask, turn) => this.#look(ask, turn),
      open: ({ ask, turn }, placement, waited) => this.#open(ask, turn, placement, waited),
      refusal: (code) => noRoom(code, this.line.size, seams.ledger),
      binder: this.late,
    })
  }

  configure(config: Config, rules: PoolRules): void {
    this.#rules = rules
    this.late.configure(config, rules)
    this.pairs.configure(config, this.late.placing)
    this.retries.rules = rules
  }

  /** `failure`: of the attempt before. An engine's answer can be handed on: then nobody waits for room. */
  place(ask: Ask, turn: Turn, { failure, now }: Before): Pick | Promise<Pick> {
    const { decisions } = this.#seams
    const placement = this.#isAtLimit() ? FULL : this.#look(ask, turn, now)
    if (placement.kind === 'refused') return decisions.refused(ask, turn, placement.refusal)
    const refusal = failure && this.retries.whyNotThere(failure, placement, now)
    if (refusal) return decisions.refused(ask, turn, refusal)
    if (placement.kind === 'full') this.#wakeLater()
    if (placement.kind === 'full') return decisions.waits(ask, turn, this.line.wait(ask, turn))
    if (this.late.holds(placement, turn)) return decisions.waits(ask, turn, this.line.hold(ask, turn))
    return this.#open(ask, turn, placement, 0)
  }

  /** What would be decided for an ask now. Nothing is accounted and nothing learned. */
  explain(ask: Ask): DecisionView {
    const mustWait = (placement: Placement) => this.#isAtLimit() || this.late.holds(placement, FIRST_TURN)
    return this.#seams.decisions.dry(ask, () => this.#look(ask, FIRST_TURN), mustWait)
  }

  #look(ask: Ask, turn: Turn, now = this.#seams.state.now()): Placement {
    const { roster, ledger, knowledge } = this.#seams
    for (const seat of roster.serving(ask)) ledger.age(seat, now)
    const sense = knowledge.sense.look(ask, now)
    return this.pairs.place(ask, turn, sense)
  }

  #open(ask: Ask, turn: Turn, placement: Placement & { kind: 'seat' }, waited: number): { plan: Plan } {
    const { state, decisions, knowledge, health, exchange } = this.#seams
    const { seat, isAgain, candidates } = placement
    const { tried, attempt } = turn
    const delay = isAgain ? backOff(this.#rules.retry, attempt, state.random()) : 0
    const how = { decision: ask.id, attempt, waited, delay }
    const asksLoad = health().loads.asksWith(ask, seat, knowledge.sense.now)
    const plan = this.pairs.plan(placement, asksLoad ? { ...how, asksLoad } : how)
    const { sense } = knowledge
    const record = decisions.decided(ask, turn, { candidates, sense, plan }, seat)
    const by = { ask, tried, now: sense.now, record }
    account(this.#seams, seat, plan, by)
    this.pairs.open(placement, plan, by)
    this.line.served(ask)
    exchange().place(seat.id, ask.prefix)
    exchange().touch()
    return { plan }
  }

  /** Nobody else rings when room comes back by the clock. */
  #wakeLater(): void {
    const { refillRate } = this.#rules
    this.#refill.wake(
      refillRate,
      () => this.line.serve(),
      () => this.line.size > 0,
    )
  }

  #isAtLimit(): boolean {
    const { maxInFlight, refillRate } = this.#rules
    if (maxInFlight === 0) return false
    const { ledger, exchange } = this.#seams
    return this.#refill.counted(ledger.leases.size + exchange().leases, refillRate) >= maxInFlight
  }
}
