// The tree's nodes in one buffer: each is a run of up to sixteen blocks that all prompts coming that far share.

/** Blocks in a node at most. */
export const NODE_BLOCKS = 16
/** Bytes of one node with its two places in the table. */
export const NODE_BYTES = (NODE_BLOCKS + 4) * 8 + 2 * 8

// A node's numbers lie side by side, for a call meets nodes that were not touched for long: first its popularity (see `warm`),
// then six integers, then its blocks.
const DOUBLES = NODE_BLOCKS + 4
const BLOCKS = 4
const INTS = DOUBLES * 2
const PARENT = 2
const DEPTH = 3
const FILL = 4
const CHILDREN = 5
const FIRST = 6
const HOLDERS = 7

/**
 * A node is a number from 1 on; 0 is the root, which holds no blocks. Children are found through one hash table by parent and
 * first block (open addressing with linear probing; removal shifts back, so there are no tombstones). A place in it has a node and
 * its mark, the 32 bits that its key was mixed to: so neither a search nor a removal touches nodes that are not meant.
 */
export class Nodes {
  #doubles = new Float64Array(0)
  /** The same memory. */
  #ints = new Int32Array(0)
  /** Places by twos. */
  #table = new Int32Array(0)
  #capacity = 0
  /** The next number that was never used, and the list of those given back. */
  #fresh = 1
  #free = 0
  #used = 0

  constructor(capacity: number) {
    this.resize(capacity)
  }

  get used(): number {
    return this.#used
  }

  get capacity(): number {
    return this.#capacity
  }

  /** Number 0 is never given out. */
  get room(): number {
    return this.#capacity - 1 - this.#used
  }

  /** Makes the arrays larger; numbers stay. */
  resize(capacity: number): void {
    this.#capacity = capacity
    this.#doubles = grown(this.#doubles, new Float64Array(capacity * DOUBLES))
    this.#ints = new Int32Array(this.#doubles.buffer)
    this.#table = new Int32Array(capacity * 4)
    for (let node = 1; node < this.#fresh; node++) if (this.fill(node) > 0) this.#enter(node)
  }

  parent(node: number): number {
    return this.#ints[node * INTS + PARENT]!
  }

  /** Blocks of the path before this node. */
  depth(node: number): number {
    return this.#ints[node * INTS + DEPTH]!
  }

  /** Its blocks; a deeper one than any worker holds may be left over. */
  fill(node: number): number {
    return this.#ints[node * INTS + FILL]!
  }

  /** The hash of one of its blocks. */
  block(node: number, at: number): number {
    return this.#doubles[node * DOUBLES + BLOCKS + at]!
  }

  isLeaf(node: number): boolean {
    return this.#ints[node * INTS + CHILDREN] === 0
  }

  /** First of the holdings of this node. */
  first(node: number): number {
    return this.#ints[node * INTS + FIRST]!
  }

  setFirst(node: number, holding: number): void {
    this.#ints[node * INTS + FIRST] = holding
  }

  holders(node: number): number {
    return this.#ints[node * INTS + HOLDERS]!
  }

  addHolders(node: number, count: number): void {
    this.#ints[node * INTS + HOLDERS]! += count
  }

  /** The child that begins with this block, or 0. */
  find(parent: number, hash: number): number {
    const table = this.#table
    const mark = markOf(parent, hash)
    for (let at = this.#home(mark); ; at = this.#after(at)) {
      const node = table[at]!
      if (node === 0) return 0
      if (table[at + 1] !== mark) continue
      if (this.#ints[node * INTS + PARENT] === parent && this.#doubles[node * DOUBLES + BLOCKS] === hash)
        return node
    }
  }

  /** How many of the node's blocks the path has from `depth` on. */
  common(node: number, path: Float64Array, depth: number): number {
    const doubles = this.#doubles
    const start = node * DOUBLES + BLOCKS
    const most = Math.min(this.fill(node), path.length - depth)
    let count = 0
    while (count < most && doubles[start + count] === path[depth + count]) count++
    return count
  }

  /** A child with the path's blocks from `depth` on, as many as fit. The caller saw to the room. */
  make(parent: number, path: Float64Array, depth: number): number {
    const node = this.#take()
    const fill = Math.min(NODE_BLOCKS, path.length - depth)
    this.#setUp(node, parent, depth, fill)
    this.#copy(path, depth, node, { from: 0, to: fill })
    this.#doubles[node * DOUBLES] = -Infinity
    if (parent !== 0) this.#ints[parent * INTS + CHILDREN]!++
    this.#enter(node)
    return node
  }

  /** Lengthens a leaf by the path's blocks from `depth`, which must be where it ends; how many fitted. */
  append(node: number, path: Float64Array, depth: number): number {
    const fill = this.fill(node)
    const count = Math.min(NODE_BLOCKS - fill, path.length - depth)
    this.#copy(path, depth, node, { from: fill, to: fill + count })
    this.#ints[node * INTS + FILL] = fill + count
    return count
  }

  /** Forgets the blocks of a leaf from the `fill`th on. */
  cut(node: number, fill: number): void {
    this.#ints[node * INTS + FILL] = fill
  }

  /** Puts a new node before this one that takes its first `count` blocks. This one keeps its number, its children, and its holdings. */
  split(node: number, count: number): number {
    const upper = this.#take()
    const at = this.#place(node)
    const doubles = this.#doubles
    const start = node * DOUBLES + BLOCKS
    const fill = this.fill(node)
    doubles.copyWithin(upper * DOUBLES + BLOCKS, start, start + count)
    this.#setUp(upper, this.parent(node), this.depth(node), count)
    this.#ints[upper * INTS + CHILDREN] = 1
    doubles[upper * DOUBLES] = doubles[node * DOUBLES]!
    this.#table[at] = upper
    doubles.copyWithin(start, start + count, start + fill)
    const field = node * INTS
    this.#ints[field + PARENT] = upper
    this.#ints[field + DEPTH]! += count
    this.#ints[field + FILL] = fill - count
    this.#enter(node)
    return upper
  }

  /** Gives back a node that has neither children nor holdings. */
  free(node: number): void {
    this.#leave(this.#place(node))
    const parent = this.parent(node)
    if (parent !== 0) this.#ints[parent * INTS + CHILDREN]!--
    this.#ints[node * INTS + FILL] = 0
    this.#ints[node * INTS + PARENT] = this.#free
    this.#free = node
    this.#used--
  }

  /**
   * Counts one request. A count that decays as e^(-t/τ) is kept as the instant at which it will have fallen to 1: one number a
   * node, and nothing to do as time passes.
   */
  warm(node: number, now: number, tau: number): void {
    const at = node * DOUBLES
    const heat = this.#doubles[at]!
    this.#doubles[at] = heat === -Infinity ? now : now + tau * Math.log1p(Math.exp((heat - now) / tau))
  }

  /** The decayed count of requests. */
  warmth(node: number, now: number, tau: number): number {
    return Math.exp((this.#doubles[node * DOUBLES]! - now) / tau)
  }

  #take(): number {
    this.#used++
    const node = this.#free
    if (node === 0) return this.#fresh++
    this.#free = this.parent(node)
    return node
  }

  #setUp(node: number, parent: number, depth: number, fill: number): void {
    const ints = this.#ints
    const at = node * INTS
    ints[at + PARENT] = parent
    ints[at + DEPTH] = depth
    ints[at + FILL] = fill
    ints[at + CHILDREN] = 0
    ints[at + FIRST] = 0
    ints[at + HOLDERS] = 0
  }

  /** So few that a loop is faster than a view of them. */
  #copy(path: Float64Array, depth: number, node: number, { from, to }: { from: number; to: number }): void {
    const doubles = this.#doubles
    const start = node * DOUBLES + BLOCKS
    for (let at = from; at < to; at++) doubles[start + at] = path[depth + at - from]!
  }

  /** Where the search begins: the mark scaled to the table, so that its size need not be a power of two. */
  #home(mark: number): number {
    return 2 * Math.floor((mark >>> 0) * (this.#table.length / 8589934592))
  }

  #after(place: number): number {
    return place + 2 === this.#table.length ? 0 : place + 2
  }

  #markOf(node: number): number {
    return markOf(this.parent(node), this.#doubles[node * DOUBLES + BLOCKS]!)
  }

  #enter(node: number): void {
    const table = this.#table
    const mark = this.#markOf(node)
    let at = this.#home(mark)
    while (table[at] !== 0) at = this.#after(at)
    table[at] = node
    table[at + 1] = mark
  }

  #place(node: number): number {
    let at = this.#home(this.#markOf(node))
    while (this.#table[at] !== node) at = this.#after(at)
    return at
  }

  /** Empties a place; what was pushed behind it moves up (Knuth 6.4, algorithm R). */
  #leave(place: number): void {
    const table = this.#table
    const size = table.length
    let hole = place
    for (let at = this.#after(place); table[at] !== 0; at = this.#after(at)) {
      const home = this.#home(table[at + 1]!)
      if ((at < home ? at + size : at) - home < (at < hole ? at + size : at) - hole) continue
      table[hole] = table[at]!
      table[hole + 1] = table[at + 1]!
      hole = at
    }
    table[hole] = 0
  }
}

/** 32 bits of a node's key. */
function markOf(parent: number, hash: number): number {
  const mixed = Math.imul((hash >>> 0) ^ Math.imul(parent, 0x9e3779b1), 0x85ebca6b)
  return mixed ^ (mixed >>> 15)
}

/** The new array with the old one's content. */
export function grown<T extends Float64Array | Int32Array>(old: T, made: T): T {
  made.set(old)
  return made
}
