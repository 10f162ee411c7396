// A sliding window over measurements, in memory that does not grow with their number.

/** Parts that a window is made of: it slides by one of them at a time. */
const PARTS = 120

/** How many values came in the last `length` milliseconds, and their mean. */
export class Window {
  readonly #part: number
  readonly #counts = new Float64Array(PARTS)
  readonly #sums = new Float64Array(PARTS)
  /** The newest part, counted from the epoch. */
  #newest = -Infinity

  constructor(length: number) {
    this.#part = length / PARTS
  }

  add(at: number, value = 0): void {
    this.#slide(at)
    // Clocks of several kinds may differ by a little: what is older than the newest part counts as new.
    const slot = this.#newest % PARTS
    this.#counts[slot]! += 1
    this.#sums[slot]! += value
  }

  count(at: number): number {
    this.#slide(at)
    return this.#counts.reduce((sum, count) => sum + count, 0)
  }

  /** -1: there are none. */
  mean(at: number): number {
    const count = this.count(at)
    return count === 0 ? -1 : this.#sums.reduce((sum, one) => sum + one, 0) / count
  }

  #slide(at: number): void {
    const now = Math.floor(at / this.#part)
    if (now <= this.#newest) return
    const stale = Math.min(PARTS, now - this.#newest)
    for (let part = now - stale + 1; part <= now; part++) {
      this.#counts[part % PARTS] = 0
      this.#sums[part % PARTS] = 0
    }
    this.#newest = now
  }
}
