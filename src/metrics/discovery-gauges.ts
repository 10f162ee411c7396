// How the sources are that workers are found by.
import type { SourceStatus } from '../discovery/source.ts'
import type { Meter } from './prometheus.ts'
import { showing, type Row } from './showing.ts'

const SOURCE: readonly Row<SourceStatus>[] = [
  ['fetchway_discovery_workers', 'Workers that a source of discovery wants now.', (source) => source.workers],
  [
    'fetchway_discovery_synced_timestamp_seconds',
    'When a source of discovery last knew for sure who is there; it stands still while it does not.',
    ({ synced_at: at }) => (at === null ? null : Date.parse(at) / 1000),
  ],
  [
    'fetchway_discovery_problem',
    '1 while a source does not know who is there.',
    ({ problem }) => problem !== null,
  ],
  [
    'fetchway_discovery_stale_watches_total',
    'Watches that were given up because they told nothing, or less than a list.',
    ({ counts }) => counts['stale_watches'] ?? 0,
  ],
]

/** Defines the gauges and returns what fills them. */
export const discoveryMetrics = (meter: Meter): ((sources: readonly SourceStatus[]) => void) =>
  showing(meter, ['source'], SOURCE, ({ name }) => [name])
