// Totals over workers that come and go: what a pool counts of each of its workers goes with it, a counter must not fall.
export class Totals {
  readonly #last = new Map<string, number>()
  readonly #sums = new Map<string, number>()

  /** A worker's own count under that key now; returns the total of all that had the key. */
  add(key: string, worker: string, count: number): number {
    const place = `${key}\0${worker}`
    const before = this.#last.get(place) ?? 0
    this.#last.set(place, count)
    // One that came back counts from nothing.
    const sum = (this.#sums.get(key) ?? 0) + (count >= before ? count - before : count)
    this.#sums.set(key, sum)
    return sum
  }
}
