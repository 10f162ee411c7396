// The newest decisions of a pool, as the numbers they were made from. What they come to is worked out when somebody asks.
import type { Candidate, PoolSense, Weigh } from '../policies/policy.ts'
import type { Ask, Outcome, Plan, RefusalValue } from './ask.ts'
import { codeOf, copySeat, ROW, ROW_WIDTH, Rows, type Passed } from './decision-rows.ts'
import {
  beginSlot,
  emptySlot,
  endSlot,
  HEAD,
  HEAD_WIDTH,
  isOf,
  packId,
  type Named,
  UNKNOWN,
  type Slot,
} from './decision-slot.ts'

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

/** Names an attempt: a lease does. */
export interface Recorded {
  /** Of its call. */
  readonly id: string
  /** The serial that `decided` returned. */
  readonly record: number
}

/** The most that rows may take: some 4,000 decisions over 58 workers. */
const ROW_BYTES = 32 * 2 ** 20

const SLOTS_AT_FIRST = 64

/** A ring of the newest attempts. Bounded in number by `limit` and in bytes by its rows; older ones are not found any more. */
export class DecisionLog {
  readonly #limit: number
  readonly #slots: Slot[] = []
  /** Numbers of the slots, side by side: of a slot that was not touched for thousands of calls, a few lines of memory. */
  #heads = new Float64Array(0)
  /** The same memory. */
  #bytes = new Uint8Array(0)
  /**
   * The newest attempts of calls of which another may follow, for they failed. Leases know their serials, so that most calls join
   * no list; all others are looked for one by one, which people can wait for.
   */
  readonly #failed = new Map<string, number>()
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

  /** Takes down a decision before it is accounted. Returns its serial, by which all that follows is told; -1: none is kept. */
  decided(decided: Decided): number {
    if (this.#limit === 0) return -1
    const { ask, chosen, prefill = null, sense } = decided
    const slot = this.#begin(ask, decided.attempt, sense.now)
    slot.policy = decided.policy
    slot.weigh = decided.weigh
    slot.chosen = chosen?.id ?? null
    slot.prefill = prefill
    slot.workers = this.#namesOf(decided.serving)
    const heads = this.#heads
    const at = this.#at(slot.serial)
    heads[at + HEAD.promptTokens] = sense.promptTokens
    heads[at + HEAD.bestMatch] = sense.bestMatch
    heads[at + HEAD.popularity] = sense.popularity
    heads[at + HEAD.nominalSpeed] = sense.nominalSpeed
    heads[at + HEAD.bytesPerToken] = sense.bytesPerToken
    heads[at + HEAD.predicted] = chosen ? sense.match(prefill ?? chosen.id) : 0
    this.#copyRows(slot, decided)
    return slot.serial
  }

  /** How a decision became a plan. */
  planned(of: Recorded, { waited, delay }: Pick<Plan, 'waited' | 'delay'>, isHeld = false): void {
    if (!this.#find(of)) return
    const at = this.#at(of.record)
    this.#heads[at + HEAD.waited] = waited
    this.#heads[at + HEAD.delay] = delay
    this.#heads[at + HEAD.isHeld] = Number(isHeld)
  }

  /** The first token came after that many milliseconds. */
  first(of: Recorded, after: number): void {
    if (!this.#find(of)) return
    const at = this.#at(of.record) + HEAD.firstToken
    if (this.#heads[at] === -1) this.#heads[at] = after
  }

  /** An attempt ended. Twice is harmless. */
  ended(of: Recorded, outcome: Outcome, now: number): void {
    const slot = this.#find(of)
    if (!slot) return
    if (outcome.kind === 'failed') this.#failed.set(of.id, slot.serial)
    else if (this.#failed.size > 0) this.#failed.delete(of.id)
    // A router settles what was refused as well.
    if (slot.outcome === null && slot.refusal === null)
      endSlot(slot, outcome, { now, numbers: this.#heads, at: this.#at(slot.serial) })
    if (outcome.kind !== 'failed') packId(slot, this.#bytes, this.#idAt(slot.serial))
  }

  /** The pool gave no worker, or no further one. */
  refused(of: Recorded, refusal: RefusalValue): void {
    const slot = this.#find(of)
    if (slot) slot.refusal = refusal
  }

  /** A call that the router sent to those workers, and decided without the pool; it may have begun with the pool. */
  alone(id: string, workers: readonly string[], now: number): void {
    if (this.#limit === 0) return
    const known = this.find(id).length
    if (known > 0) this.ended(this.newest(id), { kind: 'failed' }, now)
    for (let attempt = known + 1; attempt <= workers.length; attempt++) {
      const worker = workers[attempt - 1] as string
      const slot = this.#begin({ ...UNKNOWN, id }, attempt, now)
      slot.isDegraded = true
      slot.chosen = worker
    }
  }

  /** The newest attempt of a call, for who has no lease. */
  newest(id: string): Recorded {
    return { id, record: this.#newestOf(id) }
  }

  /** The attempts of a call that are still there, oldest first; empty when none is. */
  find(id: string): readonly Slot[] {
    const found: Slot[] = []
    for (let serial = this.#newestOf(id); serial >= 0;) {
      const slot = this.#slotOf(serial)
      if (slot.serial !== serial || !this.#rows.has(this.#firstRow(serial))) break
      // Who looks at it reads the id there.
      slot.id = id
      found.unshift(slot)
      serial = slot.prior
    }
    return found
  }

  /** The numbers of an attempt, by `HEAD`, as they are now. */
  numbersOf({ serial }: Slot): Float64Array {
    const at = this.#at(serial)
    return this.#heads.slice(at, at + HEAD_WIDTH)
  }

  /** The workers of an attempt: calls `each` with their names and a reader of their numbers. */
  workersOf(slot: Slot, each: (worker: Named, number: (field: number) => number) => void): void {
    const first = this.#firstRow(slot.serial)
    const { data } = this.#rows
    for (const [index, worker] of slot.workers.entries()) {
      const at = this.#rows.at(first + index)
      each(worker, (field) => data[at + field] as number)
    }
  }

  #begin(ask: Ask, attempt: number, now: number): Slot {
    const serial = this.#serial++
    const at = this.#at(serial)
    let slot = this.#slots[serial % this.#limit]
    if (!slot) this.#slots.push((slot = emptySlot()))
    else if (slot.outcome === 'failed' && this.#failed.get(slot.id) === slot.serial)
      this.#failed.delete(slot.id)
    if (at >= this.#heads.length) this.#growHeads()
    beginSlot(slot, ask, { serial, attempt, now, numbers: this.#heads, at })
    if (attempt > 1) slot.prior = this.#newestOf(ask.id, serial)
    if (this.#failed.size > 0) this.#failed.delete(ask.id)
    this.#heads[at + HEAD.firstRow] = this.#rows.end
    return slot
  }

  #growHeads(): void {
    const slots = Math.max(SLOTS_AT_FIRST, (this.#heads.length / HEAD_WIDTH) * 2)
    const grown = new Float64Array(Math.min(slots, this.#limit) * HEAD_WIDTH)
    grown.set(this.#heads)
    this.#heads = grown
    this.#bytes = new Uint8Array(grown.buffer)
  }

  #copyRows({ serial }: Slot, decided: Decided): void {
    const { ask, serving, candidates, sense } = decided
    const oldest = this.#slots[(serial + 1) % this.#limit]
    const kept = oldest && oldest.serial < serial ? this.#firstRow(oldest.serial) : 0
    const first = this.#rows.take(serving.length, serial < this.#limit ? 0 : kept)
    this.#heads[this.#at(serial) + HEAD.firstRow] = first
    const { data } = this.#rows
    let next = 0
    for (let i = 0; i < serving.length; i++) {
      const seat = serving[i] as Candidate
      const isCandidate = candidates[next] === seat
      if (isCandidate) next++
      const at = this.#rows.at(first + i)
      data[at + ROW.reason] = isCandidate ? 0 : codeOf(decided.why(seat, decided))
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

  /** Serial of the newest attempt of a call before that one; -1: none is kept. */
  #newestOf(id: string, before = this.#serial): number {
    const failed = this.#failed.get(id)
    if (failed !== undefined) return failed
    const oldest = Math.max(0, before - this.#limit)
    for (let serial = before - 1; serial >= oldest; serial--) if (this.#isOf(serial, id)) return serial
    return -1
  }

  /** Undefined: nothing was taken down, or another attempt lies there now. */
  #find({ id, record }: Recorded): Slot | undefined {
    const slot = this.#slots[record % this.#limit]
    return slot?.serial === record && this.#isOf(record, id) ? slot : undefined
  }

  #slotOf(serial: number): Slot {
    return this.#slots[serial % this.#limit] as Slot
  }

  /** Whether the attempt that lies there is one of that call. */
  #isOf(serial: number, id: string): boolean {
    return isOf(this.#slotOf(serial), id, this.#bytes, this.#idAt(serial))
  }

  /** The byte where a slot's id begins. */
  #idAt(serial: number): number {
    return 8 * (this.#at(serial) + HEAD.id)
  }

  /** Where a slot's numbers begin. */
  #at(serial: number): number {
    return (serial % this.#limit) * HEAD_WIDTH
  }

  #firstRow(serial: number): number {
    return this.#heads[this.#at(serial) + HEAD.firstRow] as number
  }
}
