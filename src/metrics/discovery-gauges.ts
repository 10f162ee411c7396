// How the sources are that workers are found by.
import type { SourceStatus } from '../discovery/source.ts'
import type { Meter } from './prometheus.ts'

/** Defines the gauges and returns what fills them. */
export function discoveryMetrics({ gauge, counter }: Meter): (sources: readonly SourceStatus[]) => void {
  const source = ['source'] as const
  const workers = gauge('fetchway_discovery_workers', 'Workers that a source of discovery wants now.', source)
  const synced = gauge(
    'fetchway_discovery_synced_timestamp_seconds',
    'When a source of discovery last knew for sure who is there; it stands still while it does not.',
    source,
  )
  const problem = gauge('fetchway_discovery_problem', '1 while a source does not know who is there.', source)
  const stale = counter(
    'fetchway_discovery_stale_watches_total',
    'Watches that were given up because they told nothing, or less than a list.',
    source,
    'first',
  )
  return (all) => {
    for (const metric of [workers, synced, problem, stale]) metric.clear()
    for (const one of all) {
      workers.with(one.name).set(one.workers)
      problem.with(one.name).set(one.problem === null ? 0 : 1)
      stale.with(one.name).set(one.counts['stale_watches'] ?? 0)
      if (one.synced_at !== null) synced.with(one.name).set(Date.parse(one.synced_at) / 1000)
    }
  }
}
