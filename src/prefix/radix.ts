// What the workers of a pool hold of the prompts they were sent: one radix tree over block hashes, shared by all of them.
import { HOLDING_BYTES, type Holder } from './holdings.ts'
import { NODE_BLOCKS, NODE_BYTES } from './nodes.ts'
import { TREE_BYTES, bytesAt } from './sizes.ts'
import { pathsOf, takeSnapshot, type TreeSnapshot } from './snapshot.ts'
import { Tree } from './tree.ts'

/** How fast the popularity of a prefix fades, ms. */
const TAU = 30_000
/** The share of the budget up to which the arrays grow by doubling. */
const DOUBLING_SHARE = 1 / 16
const HOLDINGS_PER_NODE = 2

/**
 * The pool's view of its workers' KV caches. Workers are numbers from `add`; a path is what `hashBlocks` returned, and is not written
 * to after it was given here. A worker holds
 * a block only together with all blocks before it. Each worker forgets its least recently used blocks when it holds more than
 * its capacity; when the whole tree would outgrow its budget, the least recently used run of blocks of any worker goes.
 */
export class RadixTree {
  readonly #tree = new Tree()
  readonly #budget: number
  readonly #tau: number
  #tick = 0
  /** The arrays have got all that the budget allows. */
  #isWhole = false

  /** `budget`: bytes that its arrays may take (some 70 KB are the least); `tau`: ms in which popularity falls to 1/e. */
  constructor(budget: number = TREE_BYTES, tau: number = TAU) {
    this.#budget = budget
    this.#tau = tau
  }

  /** Bytes in use. */
  get bytes(): number {
    return this.#tree.nodes.used * NODE_BYTES + this.#tree.holdings.used * HOLDING_BYTES
  }

  /**
   * Bytes of the arrays, free places included: at most the budget. They grow as needed and do not shrink; places that were
   * never used are no resident memory yet.
   */
  get reserved(): number {
    return this.#tree.nodes.capacity * NODE_BYTES + this.#tree.holdings.capacity * HOLDING_BYTES
  }

  /** Every worker's number is below this: the length that `match` needs. */
  get width(): number {
    return this.#tree.holders.length
  }

  /** Makes a worker known; `capacity` in canonical prompt bytes (KV tokens × bytes a token). Numbers of removed ones return. */
  add(capacity: number): number {
    const holder: Holder = { oldest: 0, newest: 0, used: 0, capacity }
    const free = this.#tree.holders.indexOf(null)
    if (free < 0) return this.#tree.holders.push(holder) - 1
    this.#tree.holders[free] = holder
    return free
  }

  /** Forgets a worker and frees its share. */
  remove(worker: number): void {
    this.clear(worker)
    this.#tree.holders[worker] = null
  }

  /** Forgets all that a worker holds: its cache was flushed, or it restarted. */
  clear(worker: number): void {
    const holder = this.#tree.holder(worker)
    while (holder.oldest !== 0) this.#tree.drop(holder.oldest)
  }

  /** Sets a worker's capacity in canonical prompt bytes, and forgets what is too much. */
  resize(worker: number, capacity: number): void {
    const holder = this.#tree.holder(worker)
    holder.capacity = capacity
    this.#shrink(holder)
  }

  /** Canonical prompt bytes that a worker holds. */
  held(worker: number): number {
    return this.#tree.holder(worker).used
  }

  /**
   * Writes to `depths`, at each worker's number, how many blocks of the path it holds (`bytesAt` tells the bytes), 0 where none.
   * Changes nothing and allocates nothing. Returns the place of the deepest block that any worker holds, or 0, for `popularity`;
   * it is valid until the tree changes.
   */
  match(path: Float64Array, depths: Int32Array): number {
    // A loop: there are a few, and `fill` is a call out of the compiled code.
    for (let worker = this.#tree.holders.length - 1; worker >= 0; worker--) depths[worker] = 0
    this.#tree.walk(path)
    const nodes = this.#tree.nodes
    const holdings = this.#tree.holdings
    let inside = this.#tree.inside
    let found = 0
    for (let node = this.#tree.node; node !== 0; node = nodes.parent(node)) {
      // Whoever holds a node holds those above it: where as many are listed as were found, they are the same.
      let at = nodes.holders(node) > found ? nodes.first(node) : 0
      for (; at !== 0; at = holdings.next(at)) {
        const worker = holdings.worker(at)
        if (depths[worker] !== 0) continue
        depths[worker] = nodes.depth(node) + Math.min(inside, holdings.blocks(at))
        found++
      }
      inside = NODE_BLOCKS
    }
    return this.#tree.node
  }

  /** How many requests came by a place that `match` returned, each counting e^(-age/τ). */
  popularity(place: number, now: number): number {
    return place === 0 ? 0 : this.#tree.nodes.warmth(place, now, this.#tau)
  }

  /**
   * Notes that a worker has, or will have, all blocks of the path, and has used them now. `now` counts the request for
   * popularity; null: it is none (a correction). A path that the budget cannot hold at all is left out.
   */
  insert(path: Float64Array, worker: number, now: number | null): void {
    const holder = this.#tree.holder(worker)
    if (path.length === 0 || !this.#makeRoom(path)) return
    this.#tick = (this.#tick + 1) | 0
    const node = this.#tree.lay(path, worker)
    this.#tree.hold(node, worker, this.#tick)
    if (now !== null)
      for (let at = node; at !== 0; at = this.#tree.nodes.parent(at))
        this.#tree.nodes.warm(at, now, this.#tau)
    this.#shrink(holder)
  }

  /**
   * Notes that a worker holds no more than `depth` blocks of the path, and so nothing that goes on from there either. Returns the
   * canonical bytes forgotten.
   */
  truncate(path: Float64Array, worker: number, depth: number): number {
    const holder = this.#tree.holder(worker)
    const before = holder.used
    this.#tree.walk(path)
    if (this.#tree.depth <= depth) return 0
    const nodes = this.#tree.nodes
    let node = this.#tree.node
    while (nodes.depth(node) > depth) node = nodes.parent(node)
    const holding = this.#tree.find(node, worker)
    if (holding !== 0) this.#tree.cut(holding, depth - nodes.depth(node))
    return before - holder.used
  }

  /** How often paths were inserted: unchanged means that there is nothing new to keep. */
  get uses(): number {
    return this.#tick
  }

  /** What was used last, in at most `limit` bytes. Costs as much as it is large: not for the way of a decision. */
  snapshot(limit: number): TreeSnapshot {
    return takeSnapshot(this.#tree, this.#tick, limit)
  }

  /** Takes up a snapshot; `worker` gives today's numbers of its workers, or undefined for one that is gone. */
  restore(snapshot: TreeSnapshot, worker: (was: number) => number | undefined): void {
    for (const { worker: was, path } of pathsOf(snapshot)) {
      const number = worker(was)
      if (number !== undefined) this.insert(path, number, null)
    }
  }

  /** Walks, and sees that whatever the path may need is free: by growing, else by forgetting. False when it can't be. */
  #makeRoom(path: Float64Array): boolean {
    for (;;) {
      this.#tree.walk(path)
      const made = 1 + Math.ceil((path.length - this.#tree.depth) / NODE_BLOCKS)
      const moved = this.#tree.node === 0 ? 0 : this.#tree.nodes.holders(this.#tree.node)
      const wanted = made + this.#tree.steps + moved
      if (this.#hasRoom(made, wanted)) return true
      // What is forgotten may be part of this path: walk again.
      do if (!this.#dropOldest()) return false
      while (!this.#hasRoom(made, wanted))
    }
  }

  #hasRoom(nodes: number, holdings: number): boolean {
    const tree = this.#tree
    while (tree.nodes.room < nodes || tree.holdings.room < holdings) if (!this.#grow()) return false
    return true
  }

  /**
   * Doubles the arrays while they are small, then takes the whole budget at once: memory that was never touched costs nothing,
   * while copying hundreds of megabytes later would hold up every pick for as long. False when there is no more to take.
   */
  #grow(): boolean {
    const { nodes, holdings } = this.#tree
    if (this.#isWhole) return false
    const doubled = this.reserved * 2
    this.#isWhole = doubled > this.#budget * DOUBLING_SHARE
    const bytes = this.#isWhole ? this.#budget : doubled
    if (bytes < this.reserved) return false
    // How many workers hold a node differs from fleet to fleet: what was seen so far tells, with room for more.
    const perNode = Math.max(HOLDINGS_PER_NODE, (1.25 * holdings.used) / Math.max(1, nodes.used))
    const wanted = Math.floor(bytes / (NODE_BYTES + perNode * HOLDING_BYTES))
    const most = Math.floor((bytes - holdings.capacity * HOLDING_BYTES) / NODE_BYTES)
    const count = Math.max(nodes.capacity, Math.min(wanted, most))
    nodes.resize(count)
    holdings.resize(Math.floor((bytes - count * NODE_BYTES) / HOLDING_BYTES))
    return true
  }

  /** Forgets a worker's oldest blocks until it holds no more than it can. */
  #shrink(holder: Holder): void {
    const holdings = this.#tree.holdings
    while (holder.used > holder.capacity && holder.oldest !== 0) {
      const oldest = holder.oldest
      const depth = this.#tree.nodes.depth(holdings.node(oldest))
      const end = bytesAt(depth + holdings.blocks(oldest))
      let keep = holdings.blocks(oldest) - 1
      while (keep > 0 && holder.used - (end - bytesAt(depth + keep)) > holder.capacity) keep--
      this.#tree.cut(oldest, keep)
    }
  }

  /** Forgets the run of blocks that was used least recently of all. False when there is none. */
  #dropOldest(): boolean {
    let oldest = 0
    let longest = -1
    for (const holder of this.#tree.holders) {
      if (!holder || holder.oldest === 0) continue
      const age = (this.#tick - this.#tree.holdings.tick(holder.oldest)) >>> 0
      if (age <= longest) continue
      longest = age
      oldest = holder.oldest
    }
    if (oldest !== 0) this.#tree.drop(oldest)
    return oldest !== 0
  }
}
