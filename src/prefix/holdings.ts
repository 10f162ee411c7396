// Who holds what: one record for each worker and node, in the worker's order of last use and under the worker's record of the node before.
import { grown } from './nodes.ts'

/** Bytes of one record. */
export const HOLDING_BYTES = 11 * 4

const FIELDS = 11
const NODE = 0
/** Worker times 32 plus the blocks held of the node. */
const WHAT = 1
const OLDER = 2
const NEWER = 3
/** The next and the previous record of the same node. */
const NEXT = 4
const BEFORE = 5
const PARENT = 6
const TICK = 7
/** A list of the same worker's records of child nodes, linked both ways: a shared beginning may have thousands. */
const CHILD = 8
const SIBLING = 9
const ELDER = 10

/** A worker's end points of its order of use, and how much it holds of how much it can. */
export interface Holder {
  oldest: number
  newest: number
  /** Canonical prompt bytes. */
  used: number
  capacity: number
}

/**
 * A holding is a number from 1 on. In the order of use a record is newer than those under it: the oldest of a worker is always
 * a leaf of what it holds.
 */
export class Holdings {
  #fields = new Int32Array(0)
  #capacity = 0
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

  get room(): number {
    return this.#capacity - 1 - this.#used
  }

  resize(capacity: number): void {
    this.#capacity = capacity
    this.#fields = grown(this.#fields, new Int32Array(capacity * FIELDS))
  }

  make(node: number, worker: number, blocks: number): number {
    this.#used++
    let holding = this.#free
    if (holding === 0) holding = this.#fresh++
    else this.#free = this.#fields[holding * FIELDS + NEXT]!
    const field = holding * FIELDS
    const fields = this.#fields
    for (let at = field; at < field + FIELDS; at++) fields[at] = 0
    fields[field + NODE] = node
    fields[field + WHAT] = (worker << 5) | blocks
    return holding
  }

  free(holding: number): void {
    this.#fields[holding * FIELDS + NEXT] = this.#free
    this.#free = holding
    this.#used--
  }

  node(holding: number): number {
    return this.#fields[holding * FIELDS + NODE]!
  }

  worker(holding: number): number {
    return this.#fields[holding * FIELDS + WHAT]! >>> 5
  }

  /** How many of the node's blocks, from its first on: 1 to 16. */
  blocks(holding: number): number {
    return this.#fields[holding * FIELDS + WHAT]! & 31
  }

  setBlocks(holding: number, blocks: number): void {
    const field = holding * FIELDS + WHAT
    this.#fields[field] = (this.#fields[field]! & ~31) | blocks
  }

  next(holding: number): number {
    return this.#fields[holding * FIELDS + NEXT]!
  }

  /** The same worker's record of the node before, or 0. */
  parent(holding: number): number {
    return this.#fields[holding * FIELDS + PARENT]!
  }

  child(holding: number): number {
    return this.#fields[holding * FIELDS + CHILD]!
  }

  older(holding: number): number {
    return this.#fields[holding * FIELDS + OLDER]!
  }

  newer(holding: number): number {
    return this.#fields[holding * FIELDS + NEWER]!
  }

  /** When it was used last: a counter that wraps at 2³². */
  tick(holding: number): number {
    return this.#fields[holding * FIELDS + TICK]!
  }

  setTick(holding: number, tick: number): void {
    this.#fields[holding * FIELDS + TICK] = tick
  }

  /** Puts it before `first` in the list of a node; it is the first then. */
  enlist(holding: number, node: number, first: number): void {
    const fields = this.#fields
    fields[holding * FIELDS + NODE] = node
    fields[holding * FIELDS + NEXT] = first
    fields[holding * FIELDS + BEFORE] = 0
    if (first !== 0) fields[first * FIELDS + BEFORE] = holding
  }

  /** Takes it out of its node's list; true when it was the first there. */
  delist(holding: number): boolean {
    const fields = this.#fields
    const next = fields[holding * FIELDS + NEXT]!
    const before = fields[holding * FIELDS + BEFORE]!
    if (next !== 0) fields[next * FIELDS + BEFORE] = before
    if (before !== 0) fields[before * FIELDS + NEXT] = next
    return before === 0
  }

  /** Hangs it under the worker's record of the node before. */
  adopt(parent: number, holding: number): void {
    const fields = this.#fields
    fields[holding * FIELDS + PARENT] = parent
    if (parent === 0) return
    const sibling = fields[parent * FIELDS + CHILD]!
    fields[holding * FIELDS + SIBLING] = sibling
    fields[holding * FIELDS + ELDER] = 0
    if (sibling !== 0) fields[sibling * FIELDS + ELDER] = holding
    fields[parent * FIELDS + CHILD] = holding
  }

  /** Takes it from under that record. */
  disown(holding: number): void {
    const fields = this.#fields
    const parent = fields[holding * FIELDS + PARENT]!
    if (parent === 0) return
    const sibling = fields[holding * FIELDS + SIBLING]!
    const elder = fields[holding * FIELDS + ELDER]!
    if (sibling !== 0) fields[sibling * FIELDS + ELDER] = elder
    if (elder === 0) fields[parent * FIELDS + CHILD] = sibling
    else fields[elder * FIELDS + SIBLING] = sibling
    fields[holding * FIELDS + SIBLING] = 0
    fields[holding * FIELDS + PARENT] = 0
  }

  /** Puts it into the order of use just before `newer`; 0: at the newest end. It must be in no order. */
  rank(holder: Holder, holding: number, newer: number): void {
    const fields = this.#fields
    const older = newer === 0 ? holder.newest : fields[newer * FIELDS + OLDER]!
    fields[holding * FIELDS + OLDER] = older
    fields[holding * FIELDS + NEWER] = newer
    if (older === 0) holder.oldest = holding
    else fields[older * FIELDS + NEWER] = holding
    if (newer === 0) holder.newest = holding
    else fields[newer * FIELDS + OLDER] = holding
  }

  unrank(holder: Holder, holding: number): void {
    const fields = this.#fields
    const older = fields[holding * FIELDS + OLDER]!
    const newer = fields[holding * FIELDS + NEWER]!
    if (older === 0) holder.oldest = newer
    else fields[older * FIELDS + NEWER] = newer
    if (newer === 0) holder.newest = older
    else fields[newer * FIELDS + OLDER] = older
  }
}
