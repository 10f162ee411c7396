// Medians and the uncertainty of their ratios.

/** The middle value (of an even count: the mean of the two middle ones). NaN of nothing. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2
}

/** The value below which `share` (0 to 1) of the values lie. NaN of nothing. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN
}

export interface Ratio {
  readonly value: number
  /** The middle 90 % of the bootstrap. */
  readonly low: number
  readonly high: number
}

/**
 * The ratio of the medians of two rows that were measured in the same rounds, with a 90 % bootstrap interval.
 * Whole rounds are drawn, so what disturbed both rows alike cancels out (Efron & Tibshirani, 1993, §8).
 */
export function ratioOfMedians(
  rows: readonly number[],
  references: readonly number[],
  random = seeded(1),
): Ratio {
  const rounds = Math.min(rows.length, references.length)
  const draws: number[] = []
  for (let draw = 0; draw < 2000; draw++) {
    const picked = Array.from({ length: rounds }, () => Math.floor(random() * rounds))
    draws.push(
      median(picked.map((at) => rows[at] ?? Number.NaN)) /
        median(picked.map((at) => references[at] ?? Number.NaN)),
    )
  }
  return {
    value: median(rows.slice(0, rounds)) / median(references.slice(0, rounds)),
    low: quantile(draws, 0.05),
    high: quantile(draws, 0.95),
  }
}

/** Uniform numbers that are the same in every run (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** The same values in a random order. */
export function shuffled<T>(values: readonly T[], random: () => number): T[] {
  return values
    .map((value) => ({ value, key: random() }))
    .sort((a, b) => a.key - b.key)
    .map(({ value }) => value)
}
