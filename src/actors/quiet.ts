// The calls of a worker whose answers have no first token, in the order in which their prompts should have been read.

const PLACES_AT_FIRST = 16

/** A line of ids and when they are due. Each call joins one: nothing is made for that once the line has been as long before. */
export class Quiet {
  #dueAt = new Float64Array(PLACES_AT_FIRST)
  #ids: string[] = Array<string>(PLACES_AT_FIRST).fill('')
  #first = 0
  #size = 0

  /** Joins at the end: due at `dueAt`, ms, or with the one before where that is later. */
  add(id: string, dueAt: number): void {
    if (this.#size === this.#ids.length) this.#grow()
    const before = this.#size === 0 ? 0 : this.#dueAt[this.#at(this.#size - 1)]!
    const at = this.#at(this.#size++)
    this.#dueAt[at] = Math.max(before, dueAt)
    this.#ids[at] = id
  }

  /** Takes out the first, if it is due; null: it is not. */
  take(now: number): string | null {
    const first = this.#first
    if (this.#size === 0 || this.#dueAt[first]! > now) return null
    this.#first = this.#at(1)
    this.#size--
    return this.#ids[first]!
  }

  #at(nth: number): number {
    return (this.#first + nth) & (this.#ids.length - 1)
  }

  #grow(): void {
    const places = Array.from({ length: this.#size }, (_, nth) => this.#at(nth))
    const dueAt = new Float64Array(this.#size * 2)
    dueAt.set(places.map((at) => this.#dueAt[at]!))
    this.#ids = [...places.map((at) => this.#ids[at]!), ...Array<string>(this.#size).fill('')]
    this.#dueAt = dueAt
    this.#first = 0
  }
}
