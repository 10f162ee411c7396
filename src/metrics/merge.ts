// Metrics of several apps of one router as those of one.
import type { Reading, SeriesReading } from './reading.ts'

/** One reading from several meters that define the same metrics, each gathered in its way; what `first` does not define is left out. */
export function merge(first: Reading, others: readonly Reading[]): Reading {
  const elsewhere = others.map((reading) => new Map(reading.map((family) => [family.name, family])))
  return first.map((family) => {
    if (family.gather === 'first') return family
    const like = elsewhere.map((families) => families.get(family.name)?.series ?? [])
    return { ...family, series: mergeSeries([family.series, ...like], family.gather) }
  })
}

function mergeSeries(all: readonly (readonly SeriesReading[])[], gather: 'sum' | 'max'): SeriesReading[] {
  const merged = new Map<string, { values: readonly string[]; numbers: number[] }>()
  for (const { values, numbers } of all.flat()) {
    const key = JSON.stringify(values)
    const known = merged.get(key)
    if (!known) {
      merged.set(key, { values, numbers: [...numbers] })
      continue
    }
    for (const [at, number] of numbers.entries()) {
      const before = known.numbers[at] ?? 0
      known.numbers[at] = gather === 'sum' ? before + number : Math.max(before, number)
    }
  }
  return [...merged.values()]
}
