// Vectors of what was asked, found by their angle: as many as fit, the least used forgotten first.

export interface Entry {
  /** What else must be the same: model, tenant, and what changes an answer. */
  readonly scope: string
  /** Of length 1. */
  readonly vector: Float32Array
  /** The answer, a JSON object. */
  readonly answer: string
}

export interface Near {
  readonly entry: Entry
  /** Cosine of the angle between them. */
  readonly similarity: number
}

/** The same direction with length 1; null: it has none. */
export function unit(vector: ArrayLike<number>): Float32Array | null {
  let sum = 0
  for (let i = 0; i < vector.length; i++) sum += vector[i]! * vector[i]!
  if (!(sum > 0) || !Number.isFinite(sum)) return null
  const length = Math.sqrt(sum)
  return Float32Array.from(vector, (value) => value / length)
}

export class Similar {
  readonly #limit: number
  /** In the order of their last use. */
  readonly #entries = new Set<Entry>()

  constructor(limit: number) {
    this.#limit = limit
  }

  get size(): number {
    return this.#entries.size
  }

  /** The most alike of that scope; null: there is none. Takes time that grows with the entries. */
  nearest(scope: string, vector: Float32Array): Near | null {
    let best: Near | null = null
    for (const entry of this.#entries) {
      if (entry.scope !== scope || entry.vector.length !== vector.length) continue
      const similarity = dot(entry.vector, vector)
      if (best === null || similarity > best.similarity) best = { entry, similarity }
    }
    return best
  }

  /** It was of use again. */
  use(entry: Entry): void {
    if (this.#entries.delete(entry)) this.#entries.add(entry)
  }

  add(entry: Entry): void {
    this.#entries.add(entry)
    for (const oldest of this.#entries) {
      if (this.#entries.size <= this.#limit) return
      this.#entries.delete(oldest)
    }
  }

  /** The least used first. */
  all(): readonly Entry[] {
    return [...this.#entries]
  }
}

function dot(a: Float32Array, b: Float32Array): number {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!
  // Rounding must not keep a text from being like itself.
  return Math.round(sum * ROUND) / ROUND
}

const ROUND = 1e6
