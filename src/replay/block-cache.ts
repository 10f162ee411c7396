// The KV cache of a simulated engine: blocks that running requests hold are pinned, the others go least recently used first.

const NONE = -1

/** Blocks are numbers that stand for equal prompts up to their ends. Output and unhashed blocks have no number: they are only counted. */
export class BlockCache {
  readonly capacity: number
  /** Blocks that running requests hold, with and without a number. */
  pinned = 0
  /** Blocks with a number that nobody holds. */
  evictable = 0
  readonly #slots = new Map<number, number>()
  readonly #free: number[] = []
  readonly #block: number[] = []
  readonly #holders: number[] = []
  readonly #older: number[] = []
  readonly #newer: number[] = []
  #oldest = NONE
  #newest = NONE

  /** `capacity` in blocks. */
  constructor(capacity: number) {
    this.capacity = capacity
  }

  has(block: number): boolean {
    return this.#slots.has(block)
  }

  /** How many of these blocks are there, from the first on without a gap. */
  matched(blocks: Int32Array): number {
    let count = 0
    while (count < blocks.length && this.#slots.has(blocks[count] as number)) count++
    return count
  }

  /** Blocks that a new request could get. */
  get available(): number {
    return Math.max(0, this.capacity - this.pinned)
  }

  /** Holds a block, putting it in when it is not there. */
  pin(block: number): void {
    let slot = this.#slots.get(block)
    if (slot === undefined) {
      this.#makeRoom(1)
      slot = this.#free.pop() ?? this.#block.length
      this.#block[slot] = block
      this.#holders[slot] = 0
      this.#slots.set(block, slot)
      this.pinned++
    } else if (this.#holders[slot] === 0) {
      this.#unlink(slot)
      this.pinned++
    }
    this.#holders[slot] = (this.#holders[slot] as number) + 1
  }

  /** Lets a block go; with its last holder it becomes the newest of those that may be evicted. */
  unpin(block: number): void {
    const slot = this.#slots.get(block)
    if (slot === undefined || this.#holders[slot] === 0) return
    const holders = (this.#holders[slot] as number) - 1
    this.#holders[slot] = holders
    if (holders > 0) return
    this.pinned--
    this.#append(slot)
  }

  /** Takes blocks that have no number. */
  pinUnnamed(count: number): void {
    this.#makeRoom(count)
    this.pinned += count
  }

  unpinUnnamed(count: number): void {
    this.pinned = Math.max(0, this.pinned - count)
  }

  /** Forgets all that no running request holds: the engine restarted, or its cache was flushed. */
  clear(): void {
    while (this.#evict());
  }

  #makeRoom(count: number): void {
    while (this.pinned + this.evictable + count > this.capacity && this.#evict());
  }

  #evict(): boolean {
    const slot = this.#oldest
    if (slot === NONE) return false
    this.#unlink(slot)
    this.#slots.delete(this.#block[slot] as number)
    this.#free.push(slot)
    return true
  }

  #append(slot: number): void {
    this.#older[slot] = this.#newest
    this.#newer[slot] = NONE
    if (this.#newest === NONE) this.#oldest = slot
    else this.#newer[this.#newest] = slot
    this.#newest = slot
    this.evictable++
  }

  #unlink(slot: number): void {
    const older = this.#older[slot] as number
    const newer = this.#newer[slot] as number
    if (older === NONE) this.#oldest = newer
    else this.#newer[older] = newer
    if (newer === NONE) this.#newest = older
    else this.#older[newer] = older
    this.evictable--
  }
}
