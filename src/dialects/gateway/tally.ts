// Counters, gauges, histograms and summaries under names and labels of others, as plain readings; as many labels as they have.
import type { FamilyReading } from '../../metrics/reading.ts'

/** Series of one name; what comes after them is not counted. */
const MOST = 2000

type Type = FamilyReading['type']

interface Family {
  readonly type: Type
  readonly gather: FamilyReading['gather']
  readonly labels: readonly string[]
  readonly bounds: readonly number[]
  readonly series: Map<string, { readonly values: readonly string[]; readonly numbers: number[] }>
}

export type Labels = Readonly<Record<string, string>>

export class Tally {
  readonly #families = new Map<string, Family>()
  readonly #bounds: readonly number[]

  /** `bounds`: upper bounds of the histograms, ascending. */
  constructor(bounds: readonly number[] = []) {
    this.#bounds = bounds
  }

  add(name: string, labels: Labels = {}, amount = 1): void {
    const numbers = this.#numbers(name, 'counter', labels)
    if (numbers) numbers[0] = (numbers[0] ?? 0) + amount
  }

  set(name: string, labels: Labels, value: number): void {
    const numbers = this.#numbers(name, 'gauge', labels)
    if (numbers) numbers[0] = value
  }

  /** A gauge of this app alone: those of several that serve side by side add up. */
  setOwn(name: string, labels: Labels, value: number): void {
    const numbers = this.#numbers(name, 'gauge', labels, 'sum')
    if (numbers) numbers[0] = value
  }

  /** A counter that is kept elsewhere, and the same for all apps of a router. */
  count(name: string, labels: Labels, value: number): void {
    const numbers = this.#numbers(name, 'counter', labels, 'first')
    if (numbers) numbers[0] = value
  }

  observe(name: string, labels: Labels, value: number): void {
    const numbers = this.#numbers(name, 'histogram', labels)
    if (!numbers) return
    const found = this.#bounds.findIndex((bound) => value <= bound)
    const at = found < 0 ? this.#bounds.length : found
    numbers[at] = (numbers[at] ?? 0) + 1
    const last = this.#bounds.length + 1
    numbers[last] = (numbers[last] ?? 0) + value
  }

  /** Into a summary, of which count and sum are told. */
  summarize(name: string, labels: Labels, value: number): void {
    const numbers = this.#numbers(name, 'summary', labels)
    if (!numbers) return
    numbers[0] = (numbers[0] ?? 0) + 1
    numbers[1] = (numbers[1] ?? 0) + value
  }

  /** Drops the series of a gauge before it is filled again. */
  clear(name: string): void {
    this.#families.get(name)?.series.clear()
  }

  read(): FamilyReading[] {
    return [...this.#families].map(([name, { type, gather, labels, bounds, series }]) => ({
      name,
      help: '',
      type,
      labels,
      gather,
      bounds,
      series: [...series.values()].map(({ values, numbers }) => ({ values, numbers: [...numbers] })),
    }))
  }

  /** Gauges are of the pool, which all apps of a router share, unless they are said to be otherwise. */
  #numbers(
    name: string,
    type: Type,
    labels: Labels,
    gather: FamilyReading['gather'] = type === 'gauge' ? 'first' : 'sum',
  ): number[] | null {
    let family = this.#families.get(name)
    if (!family) {
      const bounds = type === 'histogram' ? this.#bounds : []
      family = { type, gather, labels: Object.keys(labels), bounds, series: new Map() }
      this.#families.set(name, family)
    }
    const values = family.labels.map((label) => labels[label] ?? '')
    const key = values.join('\0')
    const known = family.series.get(key)
    if (known) return known.numbers
    if (family.series.size >= MOST) return null
    const length = type === 'histogram' ? this.#bounds.length + 2 : type === 'summary' ? 2 : 1
    const numbers = Array.from({ length }, () => 0)
    family.series.set(key, { values, numbers })
    return numbers
  }
}

/** Their buckets of durations, seconds. */
export const DURATIONS = [
  0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30, 45, 60, 90, 120, 180, 240,
] as const
