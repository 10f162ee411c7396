// Metrics that are read off what there is now, as tables: a row is a name, what it is, and where its value stands.
import type { Meter } from './prometheus.ts'

/** A counter where the name ends in `_total`, else a gauge. What has no such value now has no series. */
export type Row<T> = readonly [
  name: string,
  help: string,
  value: (of: T) => number | boolean | null | undefined,
]

/** Defines the metrics of a table and returns what fills them anew from all that there is. `valuesOf`: its label values. */
export function showing<T>(
  { gauge, counter }: Meter,
  labels: readonly string[],
  rows: readonly Row<T>[],
  valuesOf: (of: T) => readonly string[],
): (all: readonly T[]) => void {
  const metrics = rows.map(([name, help, value]) => ({
    metric: name.endsWith('_total') ? counter(name, help, labels, 'first') : gauge(name, help, labels),
    value,
  }))
  return (all) => {
    for (const { metric, value } of metrics) {
      metric.clear()
      for (const one of all) {
        const now = value(one) ?? null
        if (now !== null) metric.with(...valuesOf(one)).set(Number(now))
      }
    }
  }
}
