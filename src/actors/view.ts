// What a pool believes its workers hold in their KV caches: the radix tree, by worker ids.
import { RadixTree } from '../prefix/radix.ts'
import { bytesAt } from '../prefix/sizes.ts'
import type { TreeSnapshot } from '../prefix/snapshot.ts'

/** A worker whose capacity changes by less than this share keeps its bound: each change walks what it holds. */
const RESIZE_FROM = 0.05

interface Entry {
  readonly id: string
  /** Its number in the tree. */
  readonly number: number
  /** Canonical prompt bytes. */
  capacity: number
  /** It is no worker: what it holds is no measure for others. */
  readonly isAside: boolean
  /** Its place in the list of all. */
  at: number
}

/** A part of a view that can be stored. */
export interface SavedView extends TreeSnapshot {
  /** The workers' ids by their numbers; null for numbers that nobody has. */
  readonly workers: readonly (string | null)[]
}

/** The pool's view of its workers' prefixes. Paths are what `hashBlocks` returns, depths are blocks of it, sizes canonical prompt bytes. */
export class PrefixView {
  readonly #tree: RadixTree
  readonly #entries = new Map<string, Entry>()
  /** The same, as they came. */
  readonly #list: Entry[] = []
  /** Which was asked for last: the next question is about the same worker, or the one after it. */
  #last = 0
  #depths = new Int32Array(8)
  #place = 0
  /** `look` found nothing: all depths are 0. */
  #isClear = true
  /** Entries beside the workers'. */
  #asides = 0
  /** The most bytes of the prompt that `look` was given last that any worker holds. */
  bestBytes = 0
  readonly limit: number

  /** `limit`: bytes that the tree may take; `tau`: ms in which popularity falls to 1/e. */
  constructor(limit: number, tau: number) {
    this.limit = limit
    this.#tree = new RadixTree(limit, tau)
  }

  /** Bytes of the tree in use. */
  get bytes(): number {
    return this.#tree.bytes
  }

  /** Makes a worker known, or sets its capacity. What no longer fits is forgotten. `isAside`: something of a worker, beside it. */
  join(workerId: string, capacity: number, isAside = false): void {
    const entry = this.#entries.get(workerId)
    if (!entry) {
      const made = {
        id: workerId,
        number: this.#tree.add(capacity),
        capacity,
        isAside,
        at: this.#list.length,
      }
      this.#entries.set(workerId, made)
      this.#list.push(made)
      if (isAside) this.#asides++
      if (this.#tree.width > this.#depths.length) this.#depths = new Int32Array(this.#tree.width * 2)
      return
    }
    if (isAside || Math.abs(entry.capacity - capacity) <= RESIZE_FROM * entry.capacity) return
    entry.capacity = capacity
    this.#tree.resize(entry.number, capacity)
  }

  /** Forgets a worker. */
  leave(workerId: string): void {
    const entry = this.#entries.get(workerId)
    if (!entry) return
    this.#entries.delete(workerId)
    this.#list.splice(entry.at, 1)
    for (const [at, one] of this.#list.entries()) one.at = at
    this.#last = 0
    if (entry.isAside) this.#asides--
    this.#tree.remove(entry.number)
    this.#depths[entry.number] = 0
  }

  /** Its cache was flushed, or it restarted. */
  clear(workerId: string): void {
    const entry = this.#entries.get(workerId)
    if (entry) this.#tree.clear(entry.number)
  }

  clearAll(): void {
    for (const { number } of this.#entries.values()) this.#tree.clear(number)
  }

  /** Finds who holds how much of a prompt, for the readers below. Once per decision; null: nobody holds anything. */
  look(path: Float64Array | null): void {
    this.bestBytes = 0
    this.#place = 0
    if (path === null || path.length === 0) {
      if (!this.#isClear) this.#depths.fill(0)
      this.#isClear = true
      return
    }
    this.#place = this.#tree.match(path, this.#depths)
    this.#isClear = this.#place === 0
    if (this.#isClear) return
    let best = 0
    if (this.#asides > 0) {
      for (const { number, isAside } of this.#entries.values())
        if (!isAside) best = Math.max(best, this.#depths[number]!)
    } else for (let i = 0; i < this.#tree.width; i++) best = Math.max(best, this.#depths[i]!)
    this.bestBytes = bytesAt(best)
  }

  /** Bytes of the prompt that `look` was given last that a worker holds. */
  matchOf(workerId: string): number {
    const entry = this.#find(workerId)
    return entry ? bytesAt(this.#depths[entry.number]!) : 0
  }

  /** The same in blocks. */
  depthOf(workerId: string): number {
    const entry = this.#find(workerId)
    return entry ? this.#depths[entry.number]! : 0
  }

  /** Calls that came by the deepest block that `look` found, fading. Right after `look` only: the place moves with the tree. */
  popularity(now: number): number {
    return this.#tree.popularity(this.#place, now)
  }

  /** A worker has, or will have, this path. `now`: a call went there; null: it was only learned (a correction, an event). */
  hold(workerId: string, path: Float64Array, now: number | null): void {
    const entry = this.#find(workerId)
    if (entry) this.#tree.insert(path, entry.number, now)
  }

  /** A worker has no more than `depth` blocks of this path. */
  forget(workerId: string, path: Float64Array, depth: number): void {
    const entry = this.#entries.get(workerId)
    if (entry) this.#tree.truncate(path, entry.number, depth)
  }

  /** Bytes of prompts that a worker holds. */
  held(workerId: string): number {
    const entry = this.#find(workerId)
    return entry ? this.#tree.held(entry.number) : 0
  }

  #find(workerId: string): Entry | undefined {
    const list = this.#list
    let entry = list[this.#last]
    if (entry?.id === workerId) return entry
    entry = list[this.#last + 1 < list.length ? this.#last + 1 : 0]
    if (entry?.id !== workerId) entry = this.#entries.get(workerId)
    if (entry) this.#last = entry.at
    return entry
  }

  /** How often anything was held: unchanged means that there is nothing new to save. */
  get uses(): number {
    return this.#tree.uses
  }

  /** What was used last, in at most `limit` bytes. */
  save(limit: number): SavedView {
    const workers = Array<string | null>(this.#tree.width).fill(null)
    for (const [id, { number }] of this.#entries) workers[number] = id
    return { ...this.#tree.snapshot(limit), workers }
  }

  /** Takes up what was saved of the workers that are still there. */
  restore(saved: SavedView): void {
    this.#tree.restore(saved, (was) => this.#entries.get(saved.workers[was] ?? '')?.number)
  }
}
