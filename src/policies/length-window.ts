// How long the prompts of late were, and who got how much of them: the memory of `bucket`.

/** Prompts that are remembered at most. */
const MAX_GIVEN = 10_000
/** Bytes that the classes part before any prompt has come. */
const FIRST_SPAN = 4096
/** The classes are made anew when the bytes of a period have changed by this factor. */
const CHANGE = 2

interface Given {
  readonly ask: string
  readonly worker: string
  readonly bytes: number
  readonly at: number
}

/** A window of time over prompt lengths, in bytes; `interval` ms long, and classes are looked at as often. */
export class LengthWindow {
  readonly #interval: number
  #given: Given[] = []
  readonly #sums = new Map<string, number>()
  #now = 0
  #adjustedAt = 0
  /** Lengths that the present classes were made of, in order; empty: the first ones. */
  #lengths = new Float64Array(0)
  /** Bytes of the period that they were made of. */
  #total = 0
  /** Upper ends of the classes but the last, by their number. */
  readonly #ends = new Map<number, readonly number[]>()

  constructor(interval: number) {
    this.#interval = interval
  }

  /** A call is to be placed: what is too old falls out, and what the same call was given just before. */
  begin(ask: string, now: number): void {
    this.#now = now
    const last = this.#given.at(-1)
    if (last?.ask === ask) {
      this.#given.pop()
      this.#add(last.worker, -last.bytes)
    }
    if (now - this.#adjustedAt >= this.#interval) this.#adjust()
    let old = 0
    while (old < this.#given.length && now - this.#given[old]!.at >= this.#interval) old++
    for (let i = 0; i < old; i++) this.#add(this.#given[i]!.worker, -this.#given[i]!.bytes)
    if (old > 0) this.#given = this.#given.slice(old)
  }

  /** Bytes that a worker was given within the window. */
  given(worker: string): number {
    return this.#sums.get(worker) ?? 0
  }

  give(ask: string, worker: string, bytes: number): void {
    if (this.#given.length >= MAX_GIVEN) return
    this.#given.push({ ask, worker, bytes, at: this.#now })
    this.#add(worker, bytes)
  }

  /** Which of `count` classes a length falls into, from 0. */
  classOf(bytes: number, count: number): number {
    const ends = this.#endsOf(count)
    let index = 0
    while (index < ends.length && bytes >= ends[index]!) index++
    return index
  }

  #add(worker: string, bytes: number): void {
    const sum = this.given(worker) + bytes
    if (sum > 0) this.#sums.set(worker, sum)
    else this.#sums.delete(worker)
  }

  #adjust(): void {
    this.#adjustedAt = this.#now
    let total = 0
    for (const { bytes } of this.#given) total += bytes
    if (total === 0 || (total <= this.#total * CHANGE && total * CHANGE >= this.#total)) return
    this.#total = total
    this.#lengths = Float64Array.from(this.#given, ({ bytes }) => bytes).sort()
    this.#ends.clear()
  }

  #endsOf(count: number): readonly number[] {
    let ends = this.#ends.get(count)
    if (!ends)
      this.#ends.set(count, (ends = this.#lengths.length === 0 ? firstEnds(count) : this.#cut(count)))
    return ends
  }

  /** Classes that each hold an equal part of the bytes. */
  #cut(count: number): number[] {
    const ends: number[] = []
    let sum = 0
    for (const bytes of this.#lengths) {
      sum += bytes
      while (ends.length < count - 1 && sum >= (this.#total * (ends.length + 1)) / count) ends.push(bytes + 1)
    }
    return ends
  }
}

function firstEnds(count: number): number[] {
  return Array.from({ length: count - 1 }, (_, index) => (FIRST_SPAN * (index + 1)) / count)
}
