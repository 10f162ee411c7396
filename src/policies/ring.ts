// Hash rings that place keys where other routers place them: each worker has points on a circle, and a key goes to the next one.
import type { Candidate } from './policy.ts'

/** Workers whose points are kept; computing them takes a millisecond or more. */
const MAX_WORKERS = 1024

export interface RingRules {
  /** Points of each worker. */
  readonly points: number
  /** What is hashed for a worker's point `index`. */
  readonly label: (url: string, index: number) => string
  /** Place of a label or key on the circle, 0 ≤ place < 2^52. */
  readonly place: (text: string) => number
}

/**
 * Finds the owner of a key among candidates: the first point at or after the key's place. There is no ring of all workers to build
 * anew when they change: each candidate's next point is looked for, and the nearest wins (of equal ones, the candidate listed first).
 * So a worker that is out leaves its keys to the next points, one by one, and gets the same ones back.
 */
export class Ring {
  readonly #rules: RingRules
  /** Sorted points by URL, in the order in which they were made. */
  readonly #points = new Map<string, Float64Array>()

  constructor(rules: RingRules) {
    this.#rules = rules
  }

  /** Index of the candidate that owns the key. */
  owner(key: string, candidates: readonly Candidate[]): number {
    const place = this.#rules.place(key)
    let best = 0
    let shortest = Infinity
    for (let i = 0; i < candidates.length; i++) {
      const distance = distanceTo(this.#pointsOf((candidates[i] as Candidate).url), place)
      if (distance >= shortest) continue
      best = i
      shortest = distance
    }
    return best
  }

  #pointsOf(url: string): Float64Array {
    const known = this.#points.get(url)
    if (known) return known
    const { points, label, place } = this.#rules
    const made = Float64Array.from({ length: points }, (_, index) => place(label(url, index))).sort()
    if (this.#points.size >= MAX_WORKERS) this.#points.delete(this.#points.keys().next().value as string)
    this.#points.set(url, made)
    return made
  }
}

/** How far it is from a place to the next of sorted points, around the circle when need be. */
function distanceTo(points: Float64Array, place: number): number {
  let low = 0
  let high = points.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (points[middle]! < place) low = middle + 1
    else high = middle
  }
  return low < points.length ? points[low]! - place : points[0]! + 2 ** 52 - place
}
