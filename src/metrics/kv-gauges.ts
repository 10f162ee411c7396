// Metrics of KV events: whether what workers hold is known or guessed, and how much was heard of it.
import type { SeatView } from '../actors/seat.ts'
import type { Meter } from './prometheus.ts'
import { showing, type Row } from './showing.ts'

type Followed = Pick<SeatView, 'id' | 'kv_events'>

const WORKER: readonly Row<Followed>[] = [
  [
    'fetchway_kv_events_degraded',
    'Whether what the worker holds is a guess, though it publishes KV events: 1 when they are lost, late or of no use.',
    ({ kv_events: events }) => events && events.state === 'degraded',
  ],
  [
    'fetchway_kv_events_blocks',
    'KV cache blocks that the worker said it has.',
    (seat) => seat.kv_events?.blocks,
  ],
  ['fetchway_kv_events_batches_total', 'Batches of KV events that came.', (seat) => seat.kv_events?.batches],
  ['fetchway_kv_events_total', 'KV events that came.', (seat) => seat.kv_events?.events],
  [
    'fetchway_kv_events_gaps_total',
    'Times that KV events were lost for good.',
    (seat) => seat.kv_events?.gaps,
  ],
]

/** Defines the metrics and returns what fills them from all workers that there are. */
export function kvEventMetrics(meter: Meter): (workers: readonly Followed[]) => void {
  const showWorkers = showing(meter, ['worker'], WORKER, ({ id }) => [id])
  const calls = meter.counter(
    'fetchway_kv_events_calls_total',
    'Calls whose blocks were looked for among the KV events.',
    ['worker', 'outcome'],
    'first',
  )
  return (workers) => {
    showWorkers(workers)
    calls.clear()
    for (const { id, kv_events: events } of workers) {
      if (!events) continue
      calls.with(id, 'found').set(events.attributed)
      calls.with(id, 'missed').set(events.unattributed)
    }
  }
}
