// One time series each: what a caller keeps and writes to on the hot path.

/** What every series can do: tell its numbers (see `SeriesReading`), and take in those of its like. */
export interface Series {
  numbers(): number[]
  /** Adds the numbers of the same series of another meter. */
  absorb(numbers: readonly number[]): void
}

/** Counts up. Steps that are not positive numbers are ignored: a counter never falls. */
export class CounterSeries implements Series {
  value = 0

  add(step = 1): void {
    if (step > 0) this.value += step
  }

  /** Takes over a total that somebody else counts (an actor); it may start again from 0 when that one did. */
  set(total: number): void {
    if (total >= 0) this.value = total
  }

  numbers(): number[] {
    return [this.value]
  }

  absorb([total = 0]: readonly number[]): void {
    this.add(total)
  }
}

/** Goes up and down. */
export class GaugeSeries implements Series {
  value = 0

  add(step = 1): void {
    this.value += step
  }

  set(value: number): void {
    this.value = value
  }

  numbers(): number[] {
    return [this.value]
  }

  absorb([value = 0]: readonly number[]): void {
    this.value += value
  }
}

/** Counts values into buckets. `bounds` are the buckets' upper bounds, ascending and finite; `+Inf` is implied. */
export class HistogramSeries implements Series {
  sum = 0
  readonly #bounds: Float64Array
  /** Values per bucket, not cumulative; the last one is `+Inf`. */
  readonly #counts: Float64Array

  constructor(bounds: Float64Array) {
    this.#bounds = bounds
    this.#counts = new Float64Array(bounds.length + 1)
  }

  observe(value: number): void {
    if (Number.isNaN(value)) return // one NaN would spoil the sum for good
    const bounds = this.#bounds
    let low = 0
    let high = bounds.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (value <= (bounds[middle] as number)) high = middle
      else low = middle + 1
    }
    this.#counts[low] = (this.#counts[low] as number) + 1
    this.sum += value
  }

  numbers(): number[] {
    return [...this.#counts, this.sum]
  }

  absorb(numbers: readonly number[]): void {
    for (let index = 0; index < this.#counts.length; index++)
      this.#counts[index] = (this.#counts[index] as number) + (numbers[index] ?? 0)
    this.sum += numbers[this.#counts.length] ?? 0
  }
}
