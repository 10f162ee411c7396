// The requests that an engine decodes, the one that ends first on top: a binary heap over (last step, request).

interface Decode<T> {
  /** Number of the step in which its last token comes. */
  readonly until: number
  /** Breaks ties, so that a run is the same each time. */
  readonly order: number
  readonly what: T
}

export class Decoding<T> {
  readonly #heap: Decode<T>[] = []

  get size(): number {
    return this.#heap.length
  }

  /** The step in which the next one ends; Infinity when there is none. */
  get nextEnd(): number {
    return this.#heap[0]?.until ?? Infinity
  }

  add(decode: Decode<T>): void {
    const heap = this.#heap
    let at = heap.push(decode) - 1
    while (at > 0) {
      const up = (at - 1) >> 1
      if (!isBefore(decode, heap[up] as Decode<T>)) break
      heap[at] = heap[up] as Decode<T>
      at = up
    }
    heap[at] = decode
  }

  /** Takes out the one that ends next, if its last step is `step` or earlier. */
  take(step: number): T | null {
    const heap = this.#heap
    const top = heap[0]
    if (!top || top.until > step) return null
    const last = heap.pop() as Decode<T>
    if (heap.length > 0) this.#sink(last)
    return top.what
  }

  #sink(decode: Decode<T>): void {
    const heap = this.#heap
    let at = 0
    for (;;) {
      let down = 2 * at + 1
      if (down >= heap.length) break
      if (down + 1 < heap.length && isBefore(heap[down + 1] as Decode<T>, heap[down] as Decode<T>)) down++
      if (!isBefore(heap[down] as Decode<T>, decode)) break
      heap[at] = heap[down] as Decode<T>
      at = down
    }
    heap[at] = decode
  }
}

const isBefore = <T>(a: Decode<T>, b: Decode<T>): boolean =>
  a.until < b.until || (a.until === b.until && a.order < b.order)
