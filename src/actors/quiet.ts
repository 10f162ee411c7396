// The calls of a worker whose answers have no first token, in the order in which their prompts should have been read.

const PLACES_AT_FIRST = 16
/** Of a call that left the line. */
const NOBODY = -1

/** A line of calls, told by their places among the leases, and when they are due. Nothing is made for a call that joins. */
export class Quiet {
  #dueAt = new Float64Array(PLACES_AT_FIRST)
  #calls = new Int32Array(PLACES_AT_FIRST)
  /** Those in line have the numbers from here on. */
  #first = 0
  #next = 0
  /** When the last one that joined is due. */
  #lastDue = 0

  /** Joins at the end: due at `dueAt`, ms, or with the one before where that is later. Returns its number. */
  add(call: number, dueAt: number): number {
    if (this.#next - this.#first === this.#calls.length) this.#grow()
    this.#lastDue = Math.max(this.#lastDue, dueAt)
    const at = this.#at(this.#next)
    this.#dueAt[at] = this.#lastDue
    this.#calls[at] = call
    return this.#next++
  }

  /** Leaves before it is due. Harmless for one that was taken. */
  leave(number: number): void {
    if (number >= this.#first) this.#calls[this.#at(number)] = NOBODY
    while (this.#first < this.#next && this.#calls[this.#at(this.#first)] === NOBODY) this.#first++
  }

  /** Takes out the first, if it is due; null: it is not. */
  take(now: number): number | null {
    while (this.#first < this.#next && this.#dueAt[this.#at(this.#first)]! <= now) {
      const call = this.#calls[this.#at(this.#first++)]!
      if (this.#first === this.#next) this.#lastDue = 0
      if (call !== NOBODY) return call
    }
    return null
  }

  #at(number: number): number {
    return number & (this.#calls.length - 1)
  }

  #grow(): void {
    const { length } = this.#calls
    const [calls, dueAt] = [new Int32Array(length * 2), new Float64Array(length * 2)]
    for (let number = this.#first; number < this.#next; number++) {
      calls[number & (2 * length - 1)] = this.#calls[this.#at(number)]!
      dueAt[number & (2 * length - 1)] = this.#dueAt[this.#at(number)]!
    }
    this.#calls = calls
    this.#dueAt = dueAt
  }
}
