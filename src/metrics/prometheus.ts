// A registry of metrics in the Prometheus text format 0.0.4: counters, gauges and histograms with bounded series.
import { Family, type FamilyShape } from './family.ts'
import { expose, type Gather, type Reading } from './reading.ts'
import { CounterSeries, GaugeSeries, HistogramSeries, type Series } from './series.ts'

/** One string a label, in the order in which the metric names its labels. */
type Values<L extends readonly string[]> = { readonly [K in keyof L]: string }

/** A metric and its series. A series may be kept by the caller: then a write is one addition. */
export interface Metric<L extends readonly string[], S> {
  /** The series of these label values; allocates only when it is new. */
  with(...values: Values<L>): S
  /** The series that has these label values; undefined: none has, and `with` may give the one for all that found no room. */
  find(...values: Values<L>): S | undefined
  /** Drops all series (before a gauge is filled again from a view). */
  clear(): void
}

export type Counter<L extends readonly string[]> = Metric<L, CounterSeries>
export type Gauge<L extends readonly string[]> = Metric<L, GaugeSeries>
export type Histogram<L extends readonly string[]> = Metric<L, HistogramSeries>

/** Its functions need no `this`. */
export interface Meter {
  /** `name` ends in `_total`. At most four labels, here and below. `gather` ('sum' when left out): over several meters. */
  readonly counter: <const L extends readonly string[]>(
    name: string,
    help: string,
    labels: L,
    gather?: Gather,
  ) => Counter<L>
  /** `gather` is 'first' when left out. */
  readonly gauge: <const L extends readonly string[]>(
    name: string,
    help: string,
    labels: L,
    gather?: Gather,
  ) => Gauge<L>
  /** `buckets`: upper bounds, ascending and finite; `+Inf` is added. */
  readonly histogram: <const L extends readonly string[]>(
    name: string,
    help: string,
    labels: L,
    buckets: readonly number[],
  ) => Histogram<L>
  /** Drops the series of all metrics that have this value of this label. Series kept by callers go on unseen. */
  readonly remove: (label: string, value: string) => void
  /** Runs `fill` at the start of each reading. */
  readonly collect: (fill: () => void) => void
  /** All metrics as plain data. */
  readonly read: () => Reading
  /** Adds what a meter that is no more has counted; only what is added up over meters counts. */
  readonly absorb: (reading: Reading) => void
  /** The whole exposition, ending in a newline; content type `contentType`. */
  readonly render: () => string
}

/** Content type of what `render` returns. */
export const contentType = 'text/plain; version=0.0.4; charset=utf-8'

type Shape<S extends Series> = Omit<FamilyShape<S>, 'limit' | 'dropped'>

const NONE = new Float64Array(0)
/** The metric that every meter has from the beginning. */
export const DROPPED = {
  name: 'fetchway_metric_series_dropped_total',
  help: 'Lookups that found a metric full and went to its series `other`.',
  labels: ['metric'],
} as const

/** What of a definition can be wrong. */
export type Definition = Pick<FamilyShape<Series>, 'type' | 'name' | 'labels' | 'bounds'>

interface MeterOptions {
  readonly seriesLimit?: number
  /** Looks at each definition before it counts: for tests, which see all that there are (check.ts). */
  readonly check?: (definition: Definition) => void
}

/**
 * Makes an empty registry. Each metric keeps at most `seriesLimit` series; what comes after that is counted in one series whose label
 * values are all `other`, and `fetchway_metric_series_dropped_total{metric}` grows.
 */
export function createMeter({ seriesLimit = 2000, check }: MeterOptions = {}): Meter {
  const families = new Map<string, Family<Series>>()
  const fills: (() => void)[] = []

  const define = <const L extends readonly string[], S extends Series>(
    shape: Shape<S> & { readonly labels: L },
  ): Metric<L, S> => {
    check?.(shape)
    if (families.has(shape.name)) throw new Error(`metric ${shape.name} is defined twice`)
    const limit = shape.name === DROPPED.name ? Infinity : seriesLimit
    const family = new Family<S>({ ...shape, limit, dropped: (name) => dropped.with(name).add() })
    families.set(shape.name, family as unknown as Family<Series>)
    return family as unknown as Metric<L, S> // `with` has defaults in place of a count checked by the compiler
  }

  const meter: Meter = {
    counter: (name, help, labels, gather = 'sum') =>
      define({ name, help, labels, gather, type: 'counter', bounds: NONE, make: () => new CounterSeries() }),
    gauge: (name, help, labels, gather = 'first') =>
      define({ name, help, labels, gather, type: 'gauge', bounds: NONE, make: () => new GaugeSeries() }),
    histogram: (name, help, labels, buckets) => {
      const bounds = Float64Array.from(buckets)
      return define({
        name,
        help,
        labels,
        gather: 'sum',
        type: 'histogram',
        bounds,
        make: () => new HistogramSeries(bounds),
      })
    },
    remove: (label, value) => {
      for (const family of families.values()) family.remove(label, value)
    },
    collect: (fill) => void fills.push(fill),
    read: () => {
      for (const fill of fills) fill()
      return [...families.values()].map((family) => family.read())
    },
    absorb: (reading) => {
      for (const { name, gather, series } of reading) if (gather === 'sum') families.get(name)?.absorb(series)
    },
    render: () => expose(meter.read()),
  }
  const dropped = meter.counter(DROPPED.name, DROPPED.help, DROPPED.labels)
  return meter
}
