// What a policy of other routers remembers: which prompts went where, in a tree of its own that is far larger than a KV cache.
import { RadixTree } from '../prefix/radix.ts'
import { bytesAt } from '../prefix/sizes.ts'
import type { Candidate } from './policy.ts'

/** Memory of the tree. */
const BUDGET = 64 * 2 ** 20
/** Nobody tells a policy that a worker is gone: when it remembers so many more than it sees, those go. */
const STRANGERS = 64

export class OwnTree {
  readonly #tree = new RadixTree(BUDGET)
  readonly #numbers = new Map<string, number>()
  #depths = new Int32Array(8)
  readonly #most: number
  readonly #interval: number
  #trimmedAt: number | null = null

  /** `most`: canonical bytes that are remembered of each worker; `interval`: ms between looks at that, 0: it always holds. */
  constructor(most: number, interval = 0) {
    this.#most = most
    this.#interval = interval
  }

  /** Finds who was sent how much of a prompt, for `matched`. */
  look(path: Float64Array | null): void {
    if (path === null) this.#depths.fill(0)
    else this.#tree.match(path, this.#depths)
  }

  /** Canonical bytes of the prompt that `look` was given last which this worker was sent. */
  matched(workerId: string): number {
    const number = this.#numbers.get(workerId)
    return number === undefined ? 0 : bytesAt(this.#depths[number] as number)
  }

  /** Canonical bytes of all prompts that it was sent. */
  size(workerId: string): number {
    const number = this.#numbers.get(workerId)
    return number === undefined ? 0 : this.#tree.held(number)
  }

  /** A prompt goes to one of the candidates; `now` in ms. */
  sent(path: Float64Array | null, candidates: readonly Candidate[], index: number, now: number): void {
    if (this.#interval > 0) this.#trim(now)
    if (this.#numbers.size > 2 * candidates.length + STRANGERS) this.#keep(candidates)
    if (path !== null) this.#tree.insert(path, this.#numberOf((candidates[index] as Candidate).id), null)
  }

  #numberOf(workerId: string): number {
    const known = this.#numbers.get(workerId)
    if (known !== undefined) return known
    const number = this.#tree.add(this.#interval > 0 ? Infinity : this.#most)
    this.#numbers.set(workerId, number)
    if (this.#tree.width > this.#depths.length) this.#depths = new Int32Array(this.#tree.width * 2)
    return number
  }

  /** Between two of these a worker's share may grow as it likes. */
  #trim(now: number): void {
    this.#trimmedAt ??= now
    if (now - this.#trimmedAt < this.#interval) return
    this.#trimmedAt = now
    for (const number of this.#numbers.values()) {
      this.#tree.resize(number, this.#most)
      this.#tree.resize(number, Infinity)
    }
  }

  #keep(candidates: readonly Candidate[]): void {
    const ids = new Set(candidates.map(({ id }) => id))
    for (const [id, number] of this.#numbers) {
      if (ids.has(id)) continue
      this.#numbers.delete(id)
      this.#tree.remove(number)
      this.#depths[number] = 0
    }
  }
}
