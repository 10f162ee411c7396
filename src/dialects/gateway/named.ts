// Metrics of workers by their URLs, as the Rust routers label them; none of them for whoever may not see where workers are.
import type { PoolView } from '../../actors/pool-view.ts'
import type { FamilyReading, Reading } from '../../metrics/reading.ts'

/** Metrics as the other router labels them: workers by URL in place of id, and not at all where URLs may not be seen. */
export function named(families: readonly FamilyReading[], view: PoolView, withUrls: boolean): Reading {
  if (!withUrls) return families.filter(({ labels }) => !labels.includes('worker'))
  const urls = new Map(view.workers.map(({ id, url }) => [id, url]))
  return families.map((family) => {
    const at = family.labels.indexOf('worker')
    if (at < 0) return family
    const series = family.series.map(({ values, numbers }) => ({
      values: values.map((value, index) => (index === at ? (urls.get(value) ?? value) : value)),
      numbers,
    }))
    return { ...family, series: joined(series) }
  })
}

/** Failures are told by URL, answers by id: of one worker they are one series. */
function joined(series: FamilyReading['series']): FamilyReading['series'] {
  const found = new Map<string, { values: readonly string[]; numbers: number[] }>()
  for (const { values, numbers } of series) {
    const key = values.join('\0')
    const known = found.get(key)
    if (!known) found.set(key, { values, numbers: [...numbers] })
    else for (const [at, number] of numbers.entries()) known.numbers[at] = (known.numbers[at] ?? 0) + number
  }
  return [...found.values()]
}
