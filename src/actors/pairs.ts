// Calls whose prompt one worker computes and whose answer another one: how the two are chosen, and what the first one carries.
import type { PdProtocol } from '../config/pairing.ts'
import type { Config } from '../config/schema.ts'
import type { WorkerRef } from '../host.ts'
import { chooserOf, decodeChooserOf, policyOf, type Policy } from '../policies/policy.ts'
import { accountLeg, type Books } from './account.ts'
import type { Ask, Note, Outcome, Plan, SinglePlan } from './ask.ts'
import { Ledger } from './ledger.ts'
import { place, type Placement, type PlacementRules, type Turn } from './placement.ts'
import { serves, type Pairing } from './roster.ts'
import { hasSameOptions, type PoolRules } from './rules.ts'
import type { Seat } from './seat.ts'
import type { Sense } from './sense.ts'

/** Where a call goes: `prefill` is set where another worker computes its prompt. */
export type Seated = Placement & { kind: 'seat' }

const PROTOCOLS: Readonly<Record<string, PdProtocol>> = { sglang: 'sglang', lmdeploy: 'distserve' }
/** Protocols whose decode engines can as well compute a prompt themselves. */
const CAN_SKIP: readonly PdProtocol[] = [
  'nixl',
  'nixl_p2p',
  'orchestrated',
  'plain',
  'p2p',
  'mooncake',
  'moriio',
]

/** The engine that alone speaks a protocol. */
const SPEAKERS: Readonly<Partial<Record<PdProtocol, string>>> = {
  sglang: 'sglang',
  distserve: 'lmdeploy',
  nixl: 'vllm',
  nixl_p2p: 'vllm',
  p2p: 'vllm',
  mooncake: 'vllm',
  moriio: 'vllm',
}

/**
 * How a prefill worker hands over: as configured, unless its engine is known not to speak that; else as its engine does by
 * default, or as what it told of its connector says.
 */
export function protocolOf(
  { engine, kvAddress, transfer }: Pick<WorkerRef, 'engine' | 'kvAddress' | 'transfer'>,
  { pdProtocol }: Pick<Config, 'pdProtocol'>,
): PdProtocol {
  const told = transfer ? 'moriio' : kvAddress === undefined ? undefined : 'p2p'
  const speaker = pdProtocol && SPEAKERS[pdProtocol]
  const isOthers = speaker !== undefined && speaker !== engine && Object.values(SPEAKERS).includes(engine)
  return (isOthers ? undefined : pdProtocol) ?? PROTOCOLS[engine] ?? told ?? 'nixl'
}

export class Pairs {
  #config: Config
  #rules: PoolRules
  #prefill: PlacementRules
  #decode: PlacementRules
  readonly #policy: Policy | undefined
  readonly #books: Books
  /** What prefill workers carry: from the decision to the hand-over. */
  readonly #legs: Ledger

  /** `policy`: one of no list, in place of the configured ones. */
  constructor(config: Config, rules: PoolRules, books: Books, policy?: Policy) {
    this.#config = config
    this.#rules = rules
    this.#policy = policy
    this.#books = books
    this.#legs = new Ledger(rules.breaker, books.knowledge.speeds)
    this.#prefill = { ...rules, choose: chooserOf(this.#policyOf(config, 'prefill'), config) }
    this.#decode = { ...rules, choose: decodeChooserOf(this.#policyOf(config, 'decode'), config) }
  }

  /** Policies that go on with the same options keep what they remember. */
  configure(config: Config, rules: PoolRules): void {
    const before = this.#config
    const isSame = (role: 'prefill' | 'decode') =>
      this.#policyOf(config, role) === this.#policyOf(before, role) && hasSameOptions(before, config)
    const prefill = isSame('prefill')
      ? this.#prefill.choose
      : chooserOf(this.#policyOf(config, 'prefill'), config)
    const decode = isSame('decode')
      ? this.#decode.choose
      : decodeChooserOf(this.#policyOf(config, 'decode'), config)
    this.#prefill = { ...rules, choose: prefill }
    this.#decode = { ...rules, choose: decode }
    this.#legs.rules = rules.breaker
    this.#config = config
    this.#rules = rules
  }

  /** Where an ask may go now: to a pair where there are workers with roles, else to one worker. */
  place(ask: Ask, turn: Turn, sense: Sense): Placement {
    const { roster, ledger } = this.#books
    const pairing = roster.pairing(ask)
    if (pairing === null)
      return this.#halved(ask) ?? place(ask, roster.serving(ask), turn.tried, { sense, rules: this.#rules })
    for (const seat of pairing.prefill) ledger.age(seat, sense.now)
    return (
      this.#skip(ask, turn, { pairing, sense }) ??
      this.#pair(ask, turn, { pairing, sense }) ??
      place(ask, pairing.mixed, turn.tried, { sense, rules: this.#rules })
    )
  }

  /** The plan of a placement. */
  plan({ seat, prefill }: Seated, how: Omit<SinglePlan, 'kind' | 'worker'>): Plan {
    const worker = seat.member.ref
    if (!prefill) {
      // Each call makes one: a spread costs more than all of its fields.
      const { decision, attempt, waited, delay, asksLoad } = how
      if (asksLoad) return { kind: 'single', worker, decision, attempt, waited, delay, asksLoad }
      return { kind: 'single', worker, decision, attempt, waited, delay }
    }
    const protocol = this.#protocolOf(prefill.seat)
    return { kind: 'pair', worker, prefill: prefill.seat.member.ref, protocol, ...how }
  }

  /** The prefill worker of a pair carries the prompt from now on. */
  open(seated: Seated, plan: Plan, by: { ask: Ask; tried: readonly string[]; now: number }): void {
    if (seated.prefill) accountLeg({ ...this.#books, ledger: this.#legs }, seated.prefill.seat, plan, by)
  }

  /** The prompt is computed: its worker is free of it. Returns true when it changed what all workers are measured by. */
  handedOver({ id, after, usage }: Pick<Note & { kind: 'handover' }, 'id' | 'after' | 'usage'>, now: number) {
    const lease = this.#legs.leases.get(id)
    const hasLearned = lease !== undefined && this.#legs.first(lease, after, now)
    this.#close(id, { kind: 'done', status: 200, ...(usage && { usage }) }, now)
    return hasLearned
  }

  /** A call ended, as told by `outcome`. Returns the prefill worker, if it could not be reached. */
  end(id: string, outcome: Outcome, now: number): Seat | null {
    if (!this.#legs.leases.has(id)) return null
    const { kind, failure } = outcome
    // The answer of a pair is that of its decode worker.
    if (failure && !failure.leg) return this.#close(id, { kind: 'left' }, now)
    const usage = outcome.usage && { usage: outcome.usage }
    return this.#close(id, kind === 'done' ? { kind, status: 200, ...usage } : outcome, now)
  }

  /** What prefill workers carry for calls that go on. */
  renew(id: string, now: number): void {
    const lease = this.#legs.leases.get(id)
    if (lease) this.#legs.renew({ id, worker: lease.seat.id, tokens: 0, isDecoding: false }, lease.seat, now)
  }

  sweep(now: number): void {
    this.#legs.sweep(now)
  }

  /** Whether a prefill worker computes a call's prompt still. */
  carries(id: string): boolean {
    return this.#legs.leases.has(id)
  }

  #close(id: string, outcome: Outcome, now: number): Seat | null {
    const ended = this.#legs.close(id, outcome, now)
    if (!ended) return null
    this.#books.knowledge.ended(ended.lease, outcome)
    return ended.isUnreachable ? ended.lease.seat : null
  }

  /** Refuses a call for pairs of which one half is not there, or no two match, where nobody may stand in; null: another reason. */
  #halved(ask: Ask): Placement | null {
    if (this.#config.pdStandIn || ask.pairs === undefined || ask.pin !== null) return null
    const able = [...this.#books.roster.seats.values()].filter(({ member }) => serves(member, ask))
    const has = (role: string) => able.some((seat) => seat.role === role)
    if (!has('prefill') && !has('decode')) return null
    const message = 'No worker can take this call now: its mates are missing.'
    const refusal = { status: 503, code: 'no_workers', message, retryAfter: 5 }
    return of(has('prefill') ? 'decode' : 'prefill', { kind: 'refused', refusal })
  }

  /** Null: a role has nobody, and mixed workers stand in. */
  #pair(ask: Ask, { tried }: Turn, { pairing, sense }: { pairing: Pairing; sense: Sense }): Placement | null {
    const mayStandIn = this.#config.pdStandIn && pairing.mixed.length > 0
    const prefill = place(ask, pairing.prefill, tried, { sense, rules: this.#prefill })
    if (prefill.kind === 'refused') return mayStandIn ? null : of('prefill', prefill)
    if (prefill.kind === 'full') return prefill
    const { engine } = prefill.seat
    const mates = pairing.decode.every((seat) => seat.engine === engine)
      ? pairing.decode
      : pairing.decode.filter((seat) => seat.engine === engine)
    const decode = place(ask, mates, tried, { sense, rules: this.#decode })
    if (decode.kind === 'refused') return mayStandIn ? null : of('decode', decode)
    if (decode.kind === 'full') return decode
    return { ...decode, isAgain: decode.isAgain || prefill.isAgain, prefill }
  }

  /** Where so little of the prompt has to be computed that a hand-over is not worth it; null: nowhere. */
  #skip(ask: Ask, { tried }: Turn, { pairing, sense }: { pairing: Pairing; sense: Sense }): Placement | null {
    const below = this.#config.pdSkipBelow
    if (below === 0) return null
    const near = [...pairing.decode, ...pairing.mixed].filter(
      (seat) =>
        sense.promptTokens - sense.match(seat.id) < below &&
        (seat.role === 'mixed' || CAN_SKIP.includes(this.#protocolOf(seat))),
    )
    const placement = place(ask, near, tried, { sense, rules: this.#decode })
    return placement.kind === 'seat' && !placement.isAgain ? placement : null
  }

  #protocolOf({ member }: Seat): PdProtocol {
    return protocolOf(member.ref, this.#config)
  }

  #policyOf({ prefillPolicy, decodePolicy, policy }: Config, role: 'prefill' | 'decode'): Policy {
    return this.#policy ?? policyOf((role === 'prefill' ? prefillPolicy : decodePolicy) ?? policy)
  }
}

/** Says whom there is none of. */
function of(role: string, placement: Placement & { kind: 'refused' }): Placement {
  const { refusal } = placement
  const message = refusal.message.replace('No worker', `No ${role} worker`)
  return { kind: 'refused', refusal: { ...refusal, message } }
}
