// Which worker was sent which beginning of a prompt, known by chained hashes of its chunks; the older half is forgotten.

/** Chained hashes stand for their whole path: a trie of them is a table. */
export class ChunkTrie {
  #young = new Map<number, Set<string>>()
  #old = new Map<number, Set<string>>()
  readonly #most: number

  /** `most`: chunks that are remembered. */
  constructor(most: number) {
    this.#most = Math.max(2, most)
  }

  /** Of the workers given those that were sent the longest part, and how many chunks that is; all of them where nobody was sent any. */
  find(
    chunks: Float64Array,
    workers: readonly string[],
  ): { readonly workers: readonly string[]; readonly depth: number } {
    let left = workers
    for (let depth = 0; depth < chunks.length; depth++) {
      const hash = chunks[depth] as number
      const [young, old] = [this.#young.get(hash), this.#old.get(hash)]
      const next = young || old ? left.filter((id) => young?.has(id) || old?.has(id)) : []
      if (next.length === 0) return { workers: left, depth }
      left = next
    }
    return { workers: left, depth: chunks.length }
  }

  /** A prompt goes to a worker. */
  add(chunks: Float64Array, worker: string): void {
    for (const hash of chunks) {
      if (this.#young.size >= this.#most / 2) {
        this.#old = this.#young
        this.#young = new Map()
      }
      const known = this.#young.get(hash)
      if (known) known.add(worker)
      else this.#young.set(hash, new Set([worker]))
    }
  }
}
