// Memory for what decisions saw: rows of numbers in a ring that grows up to a bound and then forgets the oldest.
import type { Candidate, PoolSense } from '../policies/policy.ts'

/** Numbers of a worker at one decision, in a row. */
export const ROW = {
  /** 0: a candidate; else one more than the index of its reason. */
  reason: 0,
  match: 1,
  inFlight: 2,
  backlogTokens: 3,
  weight: 4,
  latency: 5,
  lastTurn: 6,
  speed: 7,
  heldTokens: 8,
  capacityTokens: 9,
  reportedRunning: 10,
  reportedWaiting: 11,
  foreignCalls: 12,
  foreignTokens: 13,
  joinedAt: 14,
  treeTokens: 15,
  isLoaded: 16,
} as const
export const ROW_WIDTH = 17

const REASONS = [
  'draining',
  'down',
  'breaker_open',
  'full',
  'tried',
  'suspect',
  'busy',
  'pool_full',
  'role_mixed',
] as const

/** Why a worker that serves the ask was not chosen from. */
export type Passed = (typeof REASONS)[number]

/** A reason as a number of a row. */
export const codeOf = (reason: Passed): number => 1 + REASONS.indexOf(reason)
export const reasonOf = (code: number): Passed => REASONS[code - 1] as Passed

const ROWS_AT_FIRST = 256

/**
 * Rows are told by positions that only grow; the ring has the newest of them. Nothing is allocated for a row once the ring has
 * grown to what its user keeps.
 */
export class Rows {
  data: Float64Array
  readonly #width: number
  readonly #most: number
  #capacity: number
  #end = 0

  /** `width`: numbers a row; `bytes`: the most memory that the ring may take. */
  constructor(width: number, bytes: number) {
    this.#width = width
    this.#most = Math.max(1, Math.floor(bytes / (8 * width)))
    this.#capacity = Math.min(ROWS_AT_FIRST, this.#most)
    this.data = new Float64Array(this.#capacity * width)
  }

  /** Bytes of the ring. */
  get bytes(): number {
    return this.data.byteLength
  }

  /** Position of the next row. */
  get end(): number {
    return this.#end
  }

  /**
   * Makes room for that many rows (the ring's whole length at most) and returns the position of the first. `oldest`: the first that is
   * still wanted.
   */
  take(count: number, oldest: number): number {
    const wanted = this.#end + count - oldest
    while (wanted > this.#capacity && this.#capacity < this.#most) this.#grow(oldest)
    const from = this.#end
    this.#end += count
    return from
  }

  /** False: newer rows lie there now. */
  has(position: number): boolean {
    return position >= this.#end - this.#capacity
  }

  /** Index in `data` of a row's first number. */
  at(position: number): number {
    return (position % this.#capacity) * this.#width
  }

  #grow(oldest: number): void {
    const before = this.data
    const capacity = Math.min(this.#most, this.#capacity * 2)
    const data = new Float64Array(capacity * this.#width)
    for (let row = Math.max(oldest, this.#end - this.#capacity); row < this.#end; row++) {
      const from = this.at(row)
      data.set(before.subarray(from, from + this.#width), (row % capacity) * this.#width)
    }
    this.data = data
    this.#capacity = capacity
  }
}

/** Writes what a policy may know of a worker to its row, from `at` on; `reason` and `isLoaded` are the caller's. */
export function copySeat(data: Float64Array, at: number, seat: Candidate, sense: PoolSense): void {
  data[at + ROW.match] = sense.match(seat.id)
  data[at + ROW.inFlight] = seat.inFlight
  data[at + ROW.backlogTokens] = seat.backlogTokens
  data[at + ROW.weight] = seat.weight
  data[at + ROW.latency] = seat.latency
  data[at + ROW.lastTurn] = seat.lastTurn
  data[at + ROW.speed] = seat.speed
  data[at + ROW.heldTokens] = seat.heldTokens
  data[at + ROW.capacityTokens] = seat.capacityTokens
  data[at + ROW.reportedRunning] = seat.reportedRunning
  data[at + ROW.reportedWaiting] = seat.reportedWaiting
  data[at + ROW.foreignCalls] = seat.foreignCalls
  data[at + ROW.foreignTokens] = seat.foreignTokens
  data[at + ROW.joinedAt] = seat.joinedAt
  data[at + ROW.treeTokens] = sense.treeTokens(seat.id)
}
