// Which worker a key was given to: the memory of sticky policies. Bounded; keys that are idle are forgotten.
import { hashText } from '../hash.ts'
import { Recent } from './recent.ts'

/** Keys that are remembered, some 200 bytes each. */
const MAX_KEYS = 100_000
/** Workers that are remembered of a key: it returns to the first when that one does. */
const MAX_WORKERS = 2

interface Assignment {
  /** Ids, the oldest first. */
  readonly workers: string[]
  usedAt: number
}

/** Keys by a 53-bit hash. A worker that left costs nothing but its id until its keys are used again. */
export class Assignments {
  readonly #idle: number
  readonly #keys: Recent<Assignment>
  /** Keys whose newest worker it is. */
  readonly #counts = new Map<string, number>()

  /** `idle`: ms after which an unused key is forgotten, 0: never; `limit`: keys at most. */
  constructor(idle: number, limit: number = MAX_KEYS) {
    this.#idle = idle
    this.#keys = new Recent(limit)
  }

  get size(): number {
    return this.#keys.size
  }

  /** Workers that the key was given to, the oldest first; the key counts as used. */
  find(key: string, now: number): readonly string[] {
    this.#expire(now)
    const found = this.#keys.use(hashText(key))
    if (!found) return []
    found.usedAt = now
    return found.workers
  }

  /** Gives the key to one more worker; of more than two the oldest is forgotten. */
  give(key: string, worker: string, now: number): void {
    const hash = hashText(key)
    const found = this.#keys.use(hash)
    if (!found) this.#uncount(this.#keys.add(hash, { workers: [worker], usedAt: now }))
    else {
      this.#uncount(found)
      found.workers.push(worker)
      if (found.workers.length > MAX_WORKERS) found.workers.shift()
      found.usedAt = now
    }
    this.#counts.set(worker, this.count(worker) + 1)
  }

  /** Forgets a key; harmless when it is not known. */
  drop(key: string): void {
    this.#uncount(this.#keys.drop(hashText(key)))
  }

  /** Keys that a worker was given last. */
  count(worker: string): number {
    return this.#counts.get(worker) ?? 0
  }

  #expire(now: number): void {
    if (this.#idle === 0) return
    while (now - (this.#keys.oldest?.usedAt ?? now) >= this.#idle) this.#uncount(this.#keys.dropOldest())
  }

  #uncount(gone: Assignment | undefined): void {
    const worker = gone?.workers.at(-1)
    if (worker === undefined) return
    const count = this.count(worker) - 1
    if (count > 0) this.#counts.set(worker, count)
    else this.#counts.delete(worker)
  }
}
