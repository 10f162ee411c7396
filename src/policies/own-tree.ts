// What a policy of other routers remembers: which prompts went where, in a tree of its own that is far larger than a KV cache.
import { RadixTree } from '../prefix/radix.ts'
import { bytesAt } from '../prefix/sizes.ts'

/** Canonical bytes that are remembered of each worker, as in the release (`--max-tree-size`). */
const MOST_BYTES = 2 ** 26
/** Memory of the tree. */
const BUDGET = 64 * 2 ** 20

export class OwnTree {
  readonly #tree = new RadixTree(BUDGET)
  readonly #numbers = new Map<string, number>()
  #depths = new Int32Array(8)

  get workers(): number {
    return this.#numbers.size
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

  /** This prompt goes to that worker. */
  sent(path: Float64Array | null, workerId: string): void {
    if (path === null) return
    let number = this.#numbers.get(workerId)
    if (number === undefined) {
      number = this.#tree.add(MOST_BYTES)
      this.#numbers.set(workerId, number)
      if (this.#tree.width > this.#depths.length) this.#depths = new Int32Array(this.#tree.width * 2)
    }
    this.#tree.insert(path, number, null)
  }

  /** Forgets all workers but these. */
  keep(workerIds: ReadonlySet<string>): void {
    for (const [id, number] of this.#numbers) {
      if (workerIds.has(id)) continue
      this.#numbers.delete(id)
      this.#tree.remove(number)
      this.#depths[number] = 0
    }
  }
}
