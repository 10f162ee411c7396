// The engine's KV cache: fixed blocks, found by chained hashes of their tokens, the least recently used evicted first.

/** Chained hashes (52 bits) of the full blocks of `tokens`; `root` keeps adapters and salts apart. */
export function blockHashes(tokens: Uint32Array, blockTokens: number, root: number): Float64Array {
  const hashes = new Float64Array(Math.floor(tokens.length / blockTokens))
  let parent = root
  for (let block = 0; block < hashes.length; block++) {
    parent = blockHash(parent, tokens, block * blockTokens, blockTokens)
    hashes[block] = parent
  }
  return hashes
}

/** The hash of one block behind its parent's. */
export function blockHash(parent: number, tokens: ArrayLike<number>, start: number, length: number): number {
  let low = (parent >>> 0) ^ 0x9e3779b9
  let high = Math.floor(parent / 4294967296) ^ 0x85ebca6b
  for (let i = start; i < start + length; i++) {
    const token = tokens[i] as number
    low = Math.imul(low ^ token, 0x01000193)
    low ^= low >>> 15
    high = Math.imul(high ^ token, 0x5bd1e995)
    high ^= high >>> 13
  }
  return ((high >>> 0) % 0x100000) * 4294967296 + (low >>> 0)
}

/** Hears of blocks that can be found no more. */
export interface CacheHearer {
  evicted(hash: number): void
  /** Nothing is left. */
  cleared(): void
}

/** Counts blocks only: who holds how many, and which hashes can be found. */
export class KvCache {
  readonly capacity: number
  hearer: CacheHearer | null = null
  /** Resident hashes with the number of sequences that hold each. */
  readonly #resident = new Map<number, number>()
  /** Resident hashes that nobody holds, oldest first. */
  readonly #idle = new Set<number>()
  #held = 0

  constructor(capacity: number) {
    this.capacity = capacity
  }

  /** Blocks held by sequences. */
  get held(): number {
    return this.#held
  }

  /** Blocks that a new sequence can have, by eviction if need be. */
  get available(): number {
    return this.capacity - this.#held
  }

  /** How many of the first `limit` hashes are resident without a gap. */
  match(hashes: Float64Array, limit: number): number {
    let count = 0
    while (count < limit && count < hashes.length && this.#resident.has(hashes[count] as number)) count++
    return count
  }

  /** Blocks among the first `count` that nobody holds yet: holding them takes room from others. */
  idleAmong(hashes: Float64Array, count: number): number {
    let idle = 0
    for (let i = 0; i < count; i++) if (this.#idle.has(hashes[i] as number)) idle++
    return idle
  }

  /** Holds a resident block once more. */
  hold(hash: number): void {
    const holders = this.#resident.get(hash) ?? 0
    if (this.#idle.delete(hash)) this.#held++
    this.#resident.set(hash, holders + 1)
  }

  /** Takes `count` empty blocks, evicting idle ones; false (and nothing taken) when there is no room. */
  allocate(count: number): boolean {
    if (this.available < count) return false
    this.#held += count
    while (this.#held + this.#idle.size > this.capacity) {
      const [oldest] = this.#idle
      if (oldest === undefined) break
      this.#idle.delete(oldest)
      this.#resident.delete(oldest)
      this.hearer?.evicted(oldest)
    }
    return true
  }

  /** A block taken by `allocate` is full now and can be found by its hash; the caller goes on holding it. False: so could another. */
  publish(hash: number): boolean {
    if (!this.#resident.has(hash)) {
      this.#resident.set(hash, 1)
      return true
    }
    // Another sequence filled the same block first: share that one and give ours back.
    this.#held--
    this.hold(hash)
    return false
  }

  /** Gives back held hashes and `empty` blocks without one. The deepest blocks become the oldest. */
  release(hashes: readonly number[], empty: number): void {
    this.#held -= empty
    for (let i = hashes.length - 1; i >= 0; i--) {
      const hash = hashes[i] as number
      const holders = (this.#resident.get(hash) ?? 1) - 1
      this.#resident.set(hash, holders)
      if (holders > 0) continue
      this.#held--
      this.#idle.add(hash)
    }
  }

  /** Forgets every block that nobody holds. */
  clear(): void {
    for (const hash of this.#idle) this.#resident.delete(hash)
    const gone = [...this.#idle]
    this.#idle.clear()
    if (this.#resident.size === 0) this.hearer?.cleared()
    else for (const hash of gone) this.hearer?.evicted(hash)
  }
}
