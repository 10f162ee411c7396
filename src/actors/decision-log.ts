// The newest decisions of a pool, as the numbers they were made from. What they come to is worked out when somebody asks.
import type { Candidate, PoolSense, Weigh } from '../policies/policy.ts'
import type { Ask, Outcome, Plan, RefusalValue } from './ask.ts'
import { copySeat, ROW, ROW_WIDTH, Rows } from './decision-rows.ts'
import { beginSlot, emptySlot, endSlot, HEAD, type Named, type Slot } from './decision-slot.ts'

/** Why a worker that serves the ask was not chosen from. */
export type Passed =
  | 'draining'
  | 'down'
  | 'breaker_open'
  | 'full'
  | 'tried'
  | 'suspect'
  | 'busy'
  | 'pool_full'
  | 'role_mixed'
const REASONS: readonly Passed[] = [
  'draining',
  'down',
  'breaker_open',
  'full',
  'tried',
  'suspect',
  'busy',
  'pool_full',
  'role_mixed',
]

/** A decision as the pool hands it over. Everything is copied at once; nothing of it is kept. */
export interface Decided {
  readonly ask: Ask
  readonly policy: string
  /** How the policy weighs a candidate, for whoever asks later. */
  readonly weigh: Weigh | null
  /** 1 for the first. */
  readonly attempt: number
  /** All seats that serve the ask, chosen from or not. */
  readonly serving: readonly Candidate[]
  /** Those of `serving` that were chosen from, in the same order. */
  readonly candidates: readonly Candidate[]
  /** Null: nobody could be chosen. */
  readonly chosen: Candidate | null
  /** Id of another worker that computes the prompt first; null: there is none. */
  readonly prefill?: string | null
  readonly sense: PoolSense
  /** Ids of the workers that the call was sent to before. */
  readonly tried: readonly string[]
  /** Why one of `serving` is not among the candidates. */
  why(this: void, seat: Candidate, decided: Decided): Passed
}

/** The most that rows may take: some 4,000 decisions over 58 workers. */
const ROW_BYTES = 32 * 2 ** 20

/** A ring of the newest attempts. Bounded in number by `limit` and in bytes by its rows; older ones are not found any more. */
export class DecisionLog {
  readonly #limit: number
  readonly #slots: Slot[] = []
  readonly #newest = new Map<string, number>()
  readonly #rows = new Rows(ROW_WIDTH, ROW_BYTES)
  /** Names of workers by the list that they were handed over in: the same list means the same workers. */
  readonly #names = new WeakMap<readonly Candidate[], readonly Named[]>()
  #serial = 0

  /** `limit`: attempts that are kept; 0: none. */
  constructor(limit: number) {
    this.#limit = limit
  }

  /** Attempts that can be found now, at most. */
  get size(): number {
    return Math.min(this.#limit, this.#serial)
  }

  /** Bytes of the rows. */
  get bytes(): number {
    return this.#rows.bytes
  }

  /** Takes down a decision before it is accounted. */
  decided(decided: Decided): void {
    if (this.#limit === 0) return
    const { ask, chosen, prefill = null, sense } = decided
    const slot = this.#begin(ask, decided.attempt, sense.now)
    slot.policy = decided.policy
    slot.weigh = decided.weigh
    slot.chosen = chosen?.id ?? null
    slot.prefill = prefill
    slot.workers = this.#namesOf(decided.serving)
    const { numbers } = slot
    numbers[HEAD.promptTokens] = sense.promptTokens
    numbers[HEAD.bestMatch] = sense.bestMatch
    numbers[HEAD.popularity] = sense.popularity
    numbers[HEAD.nominalSpeed] = sense.nominalSpeed
    numbers[HEAD.bytesPerToken] = sense.bytesPerToken
    numbers[HEAD.predicted] = chosen ? sense.match(prefill ?? chosen.id) : 0
    this.#copyRows(slot, decided)
  }

  /** How the newest decision of a call became a plan. */
  planned(id: string, { waited, delay }: Pick<Plan, 'waited' | 'delay'>, isHeld = false): void {
    const slot = this.#newestOf(id)
    if (!slot) return
    slot.numbers[HEAD.waited] = waited
    slot.numbers[HEAD.delay] = delay
    slot.numbers[HEAD.isHeld] = Number(isHeld)
  }

  /** The first token came after that many milliseconds. */
  first(id: string, after: number): void {
    const slot = this.#newestOf(id)
    if (slot && slot.numbers[HEAD.firstToken] === -1) slot.numbers[HEAD.firstToken] = after
  }

  /** The newest attempt of a call ended. Twice is harmless. */
  ended(id: string, outcome: Outcome, now: number): void {
    const slot = this.#newestOf(id)
    // A router settles what was refused as well.
    if (slot?.outcome === null && slot.refusal === null) endSlot(slot, outcome, now)
  }

  /** The pool gave no worker, or no further one. */
  refused(id: string, refusal: RefusalValue): void {
    const slot = this.#newestOf(id)
    if (slot) slot.refusal = refusal
  }

  /** A call that the router sent to those workers, and decided without the pool; it may have begun with the pool. */
  alone(id: string, workers: readonly string[], now: number): void {
    if (this.#limit === 0) return
    const known = this.find(id).length
    if (known > 0) this.ended(id, { kind: 'failed' }, now)
    for (let attempt = known + 1; attempt <= workers.length; attempt++) {
      const worker = workers[attempt - 1] as string
      const slot = this.#begin({ ...UNKNOWN, id }, attempt, now)
      slot.isDegraded = true
      slot.chosen = worker
    }
  }

  /** The attempts of a call that are still there, oldest first; empty when none is. */
  find(id: string): readonly Slot[] {
    const found: Slot[] = []
    for (let serial = this.#newest.get(id) ?? -1; serial >= 0;) {
      const slot = this.#slots[serial % this.#limit] as Slot
      if (slot.serial !== serial || !this.#rows.has(slot.numbers[HEAD.firstRow] as number)) break
      found.unshift(slot)
      serial = slot.prior
    }
    return found
  }

  /** The workers of an attempt: calls `each` with their names and a reader of their numbers. */
  workersOf(slot: Slot, each: (worker: Named, number: (field: number) => number) => void): void {
    const first = slot.numbers[HEAD.firstRow] as number
    const { data } = this.#rows
    for (const [index, worker] of slot.workers.entries()) {
      const at = this.#rows.at(first + index)
      each(worker, (field) => data[at + field] as number)
    }
  }

  #begin(ask: Ask, attempt: number, now: number): Slot {
    const serial = this.#serial++
    let slot = this.#slots[serial % this.#limit]
    if (!slot) this.#slots.push((slot = emptySlot()))
    else if (this.#newest.get(slot.id) === slot.serial) this.#newest.delete(slot.id)
    beginSlot(slot, ask, { serial, attempt, now })
    if (attempt > 1) slot.prior = this.#newest.get(ask.id) ?? -1
    slot.numbers[HEAD.firstRow] = this.#rows.end
    this.#newest.set(ask.id, serial)
    return slot
  }

  #copyRows({ serial, numbers }: Slot, decided: Decided): void {
    const { ask, serving, candidates, sense } = decided
    const oldest = this.#slots[(serial + 1) % this.#limit]
    const kept = oldest && oldest.serial < serial ? (oldest.numbers[HEAD.firstRow] as number) : 0
    const first = this.#rows.take(serving.length, serial < this.#limit ? 0 : kept)
    numbers[HEAD.firstRow] = first
    const { data } = this.#rows
    let next = 0
    for (let i = 0; i < serving.length; i++) {
      const seat = serving[i] as Candidate
      const isCandidate = candidates[next] === seat
      if (isCandidate) next++
      const at = this.#rows.at(first + i)
      data[at + ROW.reason] = isCandidate ? 0 : 1 + REASONS.indexOf(decided.why(seat, decided))
      data[at + ROW.isLoaded] = ask.model === null || seat.hasLoaded(ask.model) ? 1 : 0
      copySeat(data, at, seat, sense)
    }
  }

  #namesOf(serving: readonly Candidate[]): readonly Named[] {
    let names = this.#names.get(serving)
    if (!names) {
      names = serving.map(({ id, url, role, engine }) => ({ id, url, role, engine }))
      this.#names.set(serving, names)
    }
    return names
  }

  #newestOf(id: string): Slot | undefined {
    const serial = this.#newest.get(id)
    return serial === undefined ? undefined : this.#slots[serial % this.#limit]
  }
}

/** Reason of a row that is no candidate's. */
export const reasonOf = (code: number): Passed => REASONS[code - 1] as Passed

const UNKNOWN: Ask = {
  id: '',
  model: null,
  prefix: null,
  promptBytes: 0,
  tokens: 0,
  session: null,
  priority: 0,
  tenant: '',
  stream: false,
  queueUntil: 0,
  engines: null,
  pin: null,
  makesState: false,
}
