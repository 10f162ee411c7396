// How long an engine takes to read a prompt before its first token, learned from how far apart first tokens came.

/** Seconds: per prompt, per token (in units of the rate), per token and context. */
export type Features = readonly [number, number, number]

/** Context at which the third feature is as large as the second. */
const CONTEXT = 30_000
/** What is believed at first, and as how many seconds' worth of samples it counts. */
const PRIOR: Features = [0.01, 1, 0]
const PRIOR_WEIGHT = 5
/** What a sample counts for once another came. */
const KEEP = 0.999
/** Samples between two fits. */
const REFIT = 20
/** A single sample counts as if it were off by this factor at most. */
const MOST_OFF = 4
/** Least of each coefficient: a prompt takes time whatever was learned. */
const LEAST: Features = [0.001, 0.02, 0]

/**
 * p₀ + p₁·u/R + p₂·u·(mean context)/(R·30,000) for u tokens read: least squares with a prior (ridge), older samples fading,
 * weighted so that short prompts count by their share. R is but a unit.
 */
export class ServiceTimes {
  readonly #rate: number
  #p: Features = PRIOR
  readonly #squares = [PRIOR_WEIGHT, 0, 0, 0, PRIOR_WEIGHT, 0, 0, 0, PRIOR_WEIGHT]
  readonly #sums = PRIOR.map((p) => p * PRIOR_WEIGHT)
  #samples = 0

  /** `rate`: prompt tokens a second of a worker that nothing is known of. */
  constructor(rate: number) {
    this.#rate = rate
  }

  /** Of a prompt of `to` tokens whose first `from` are cached. */
  features(from: number, to: number): Features {
    const read = (to - from) / this.#rate
    return [1, read, (read * (from + to)) / 2 / CONTEXT]
  }

  /** Seconds of a worker of the pool's mean speed. */
  seconds([x0, x1, x2]: Features): number {
    const [p0, p1, p2] = this.#p
    return p0 * x0 + p1 * x1 + p2 * x2
  }

  /** Prompts of these features took so many seconds together (on a worker of mean speed). */
  learn(x: Features, seconds: number): void {
    const predicted = this.seconds(x)
    const y = Math.min(predicted * MOST_OFF, Math.max(predicted / MOST_OFF, seconds))
    const weight = 1 / (0.02 + predicted)
    for (let i = 0; i < 3; i++) {
      for (let j = 0; j < 3; j++)
        this.#squares[3 * i + j] = faded(this.#squares, 3 * i + j) + weight * x[i]! * x[j]!
      this.#sums[i] = faded(this.#sums, i) + weight * x[i]! * y
    }
    if (++this.#samples % REFIT === 0) this.#p = bounded(solve(this.#squares, this.#sums))
  }
}

const faded = (values: readonly number[], i: number): number => (values[i] as number) * KEEP

const bounded = (p: Features): Features => [
  Math.max(LEAST[0], p[0]),
  Math.max(LEAST[1], p[1]),
  Math.max(LEAST[2], p[2]),
]

/** Cramer's rule for a symmetric positive 3×3 matrix. */
function solve(m: readonly number[], v: readonly number[]): Features {
  const whole = determinant(m)
  const of = (column: number) =>
    determinant(m.map((x, i) => (i % 3 === column ? v[(i - column) / 3]! : x))) / whole
  return [of(0), of(1), of(2)]
}

const determinant = (m: readonly number[]): number =>
  m[0]! * (m[4]! * m[8]! - m[5]! * m[7]!) -
  m[1]! * (m[3]! * m[8]! - m[5]! * m[6]!) +
  m[2]! * (m[3]! * m[7]! - m[4]! * m[6]!)
