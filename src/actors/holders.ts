// Which worker holds which stored response or conversation: a bounded map, least recently used out first.

const MAX_HELD = 100_000
/** No engine makes longer ids; what else a worker calls one is not worth the memory. */
const LONGEST_ID = 256

export class Holders {
  readonly #workers = new Map<string, string>()

  get(state: string): string | null {
    const worker = this.#workers.get(state)
    if (worker === undefined) return null
    this.set(state, worker)
    return worker
  }

  set(state: string, worker: string): void {
    if (state.length > LONGEST_ID) return
    this.#workers.delete(state)
    this.#workers.set(state, worker)
    if (this.#workers.size <= MAX_HELD) return
    for (const oldest of this.#workers.keys()) {
      this.#workers.delete(oldest)
      return
    }
  }
}
