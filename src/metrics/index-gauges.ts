// Gauges of what the pool believes of its workers' KV caches and speeds.
import type { PoolView } from '../actors/pool-view.ts'
import type { SeatView } from '../actors/seat.ts'
import type { Meter } from './prometheus.ts'
import { showing, type Row } from './showing.ts'

const INDEX: readonly Row<PoolView>[] = [
  ['fetchway_index_bytes', 'Memory of what is known of the KV caches.', (pool) => pool.index_bytes],
  ['fetchway_index_limit_bytes', 'The most that this memory may be.', (pool) => pool.index_limit_bytes],
]

const WORKER: readonly Row<SeatView>[] = [
  [
    'fetchway_worker_index_tokens',
    'Prompt tokens that a worker is believed to hold.',
    (seat) => seat.index_tokens,
  ],
  ['fetchway_worker_held_tokens', 'KV cache tokens in use by running calls.', (seat) => seat.held_tokens],
  [
    'fetchway_worker_prefill_tokens_per_second',
    'Prompt tokens that a worker reads a second, learned from first tokens.',
    ({ speed }) => (speed === 0 ? null : speed),
  ],
]

/** Defines the gauges and returns what fills them. */
export function indexMetrics(meter: Meter): (pool: PoolView) => void {
  const showIndex = showing(meter, [], INDEX, () => [])
  const showWorkers = showing(meter, ['worker'], WORKER, ({ id }) => [id])
  return (pool) => {
    showIndex([pool])
    showWorkers(pool.workers)
  }
}
