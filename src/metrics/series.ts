// One time series each: what a caller keeps and writes to on the hot path, and how it is written out.

/** What every series can do for the renderer: append its sample lines (without newlines) to `lines`. */
export interface Series {
  write(name: string, lines: string[]): void
}

/** A number as the text format wants it: `+Inf`, `-Inf`, `NaN`, else the shortest decimal. */
export function formatNumber(value: number): string {
  if (value === Infinity) return '+Inf'
  if (value === -Infinity) return '-Inf'
  return String(value)
}

/** Counts up. Steps that are not positive numbers are ignored: a counter never falls. */
export class CounterSeries implements Series {
  value = 0
  readonly #labels: string

  constructor(labels: string) {
    this.#labels = labels === '' ? '' : `{${labels}}`
  }

  add(step = 1): void {
    if (step > 0) this.value += step
  }

  /** Takes over a total that somebody else counts (an actor); it may start again from 0 when that one did. */
  set(total: number): void {
    if (total >= 0) this.value = total
  }

  write(name: string, lines: string[]): void {
    lines.push(`${name}${this.#labels} ${formatNumber(this.value)}`)
  }
}

/** Goes up and down. */
export class GaugeSeries implements Series {
  value = 0
  readonly #labels: string

  constructor(labels: string) {
    this.#labels = labels === '' ? '' : `{${labels}}`
  }

  add(step = 1): void {
    this.value += step
  }

  set(value: number): void {
    this.value = value
  }

  write(name: string, lines: string[]): void {
    lines.push(`${name}${this.#labels} ${formatNumber(this.value)}`)
  }
}

/** Counts values into buckets. `bounds` are the buckets' upper bounds, ascending and finite; `+Inf` is implied. */
export class HistogramSeries implements Series {
  sum = 0
  readonly #labels: string
  readonly #bounds: Float64Array
  /** Values per bucket, not cumulative; the last one is `+Inf`. */
  readonly #counts: Float64Array

  constructor(labels: string, bounds: Float64Array) {
    this.#labels = labels
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

  write(name: string, lines: string[]): void {
    const before = this.#labels === '' ? '' : `${this.#labels},`
    const after = this.#labels === '' ? '' : `{${this.#labels}}`
    let total = 0
    for (let index = 0; index < this.#counts.length; index++) {
      total += this.#counts[index] as number
      const bound = formatNumber(this.#bounds[index] ?? Infinity)
      lines.push(`${name}_bucket{${before}le="${bound}"} ${formatNumber(total)}`)
    }
    lines.push(
      `${name}_sum${after} ${formatNumber(this.sum)}`,
      `${name}_count${after} ${formatNumber(total)}`,
    )
  }
}
