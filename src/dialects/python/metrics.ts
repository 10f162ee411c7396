// GET /metrics as routers in Python answer it: for everybody, numbers as their client library writes them.
import type { Core } from '../../core.ts'
import { contentType } from '../../metrics/prometheus.ts'
import { expose, type FamilyReading } from '../../metrics/reading.ts'
import { readForPeers } from '../../routes/metrics.ts'
import { text } from '../../routes/reply.ts'
import { floatText } from './text.ts'

/** The page: a dialect's metrics and ours. */
export async function showMetrics(core: Core): Promise<Response> {
  const own = readForPeers(core, await core.host.pool('main').view())
  const all = (await core.host.peers?.metrics(own)) ?? own
  return text(expose(all, numberText), 200, contentType)
}

const numberText = (value: number): string =>
  Number.isFinite(value) ? floatText(value) : value > 0 ? '+Inf' : value < 0 ? '-Inf' : 'NaN'

/** What is known of a family before it has series. */
export interface Definition {
  readonly name: string
  readonly help: string
  readonly type: FamilyReading['type']
  readonly labels: readonly string[]
  /** Upper bounds of a histogram's buckets, ascending. */
  readonly bounds?: readonly number[]
}

interface Series {
  readonly values: readonly string[]
  readonly numbers: number[]
  /** Seconds since the epoch. */
  readonly createdAt: number
}

/** Series of one family; what comes after them is not counted. */
const MOST = 2000

/** Counters and histograms as that library shows them: each with a gauge `…_created` beside it. */
export class Counts {
  readonly #families: ReadonlyMap<string, Definition & { readonly series: Map<string, Series> }>

  constructor(definitions: readonly Definition[]) {
    this.#families = new Map(definitions.map((one) => [one.name, { ...one, series: new Map() }]))
  }

  /** Those without labels are there from the beginning, as nought. `at`: epoch ms. */
  begin(at: number): void {
    for (const { name, labels } of this.#families.values())
      if (labels.length === 0) this.#series(name, [], at)
  }

  /** `values`: of the labels, in their order. `at`: epoch ms. */
  add(name: string, values: readonly string[], { at, amount = 1 }: { at: number; amount?: number }): void {
    const series = this.#series(name, values, at)
    if (series) series.numbers[0]! += amount
  }

  observe(name: string, values: readonly string[], { at, value }: { at: number; value: number }): void {
    const bounds = this.#families.get(name)?.bounds ?? []
    const series = this.#series(name, values, at)
    if (!series) return
    const found = bounds.findIndex((bound) => value <= bound)
    series.numbers[found < 0 ? bounds.length : found]! += 1
    series.numbers[bounds.length + 1]! += value
  }

  read(): FamilyReading[] {
    return [...this.#families.values()].flatMap(({ name, help, type, labels, bounds = [], series }) => {
      const all = [...series.values()]
      const own = { name, help, type, labels, gather: 'sum' as const, bounds, series: all.map(readingOf) }
      const created: FamilyReading = {
        ...own,
        name: `${name.replace(/_total$/, '')}_created`,
        type: 'gauge',
        gather: 'first',
        bounds: [],
        series: all.map(({ values, createdAt }) => ({ values, numbers: [createdAt] })),
      }
      return all.length === 0 ? [own] : [own, created]
    })
  }

  #series(name: string, values: readonly string[], at: number): Series | null {
    const family = this.#families.get(name)
    if (!family) throw new Error(`there is no metric ${name}`)
    const key = values.join('\0')
    const known = family.series.get(key)
    if (known) return known
    if (family.series.size >= MOST) return null
    const length = family.type === 'histogram' ? (family.bounds ?? []).length + 2 : 1
    const series = { values: [...values], numbers: Array.from({ length }, () => 0), createdAt: at / 1000 }
    family.series.set(key, series)
    return series
  }
}

const readingOf = ({ values, numbers }: Series) => ({ values, numbers: [...numbers] })

/** A gauge as it is now. */
export function gaugeOf(
  { name, help, labels }: Omit<Definition, 'type' | 'bounds'>,
  series: readonly (readonly [values: readonly string[], value: number])[],
): FamilyReading {
  return {
    name,
    help,
    type: 'gauge',
    labels,
    gather: 'first',
    bounds: [],
    series: series.map(([values, value]) => ({ values, numbers: [value] })),
  }
}
