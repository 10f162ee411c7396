// A bounded map from hashes to values that forgets the least recently used.

interface Entry<V> {
  readonly key: number
  readonly value: V
  older: Entry<V> | null
  newer: Entry<V> | null
}

/**
 * A linked list beside a map: the order of a `Map` alone would do, but finding its first key passes over all that were deleted
 * before it, some 50 µs with 100,000 keys.
 */
export class Recent<V> {
  readonly #limit: number
  readonly #entries = new Map<number, Entry<V>>()
  #oldest: Entry<V> | null = null
  #newest: Entry<V> | null = null

  constructor(limit: number) {
    this.#limit = limit
  }

  get size(): number {
    return this.#entries.size
  }

  /** The least recently used. */
  get oldest(): V | undefined {
    return this.#oldest?.value
  }

  /** A value, which counts as used. */
  use(key: number): V | undefined {
    const entry = this.#entries.get(key)
    if (!entry) return undefined
    this.#unlink(entry)
    this.#link(entry)
    return entry.value
  }

  /** Keeps a value for a key that has none. Returns the one that had to go for it. */
  add(key: number, value: V): V | undefined {
    const gone = this.#entries.size >= this.#limit ? this.dropOldest() : undefined
    const entry: Entry<V> = { key, value, older: null, newer: null }
    this.#entries.set(key, entry)
    this.#link(entry)
    return gone
  }

  /** Forgets a key, and returns its value. */
  drop(key: number): V | undefined {
    return this.#drop(this.#entries.get(key))
  }

  /** Forgets the least recently used, and returns it. */
  dropOldest(): V | undefined {
    return this.#drop(this.#oldest)
  }

  #drop(entry: Entry<V> | null | undefined): V | undefined {
    if (!entry) return undefined
    this.#entries.delete(entry.key)
    this.#unlink(entry)
    return entry.value
  }

  #link(entry: Entry<V>): void {
    entry.older = this.#newest
    entry.newer = null
    if (this.#newest) this.#newest.newer = entry
    else this.#oldest = entry
    this.#newest = entry
  }

  #unlink({ older, newer }: Entry<V>): void {
    if (older) older.newer = newer
    else this.#oldest = newer
    if (newer) newer.older = older
    else this.#newest = older
  }
}
