// Metrics of KV events: whether what workers hold is known or guessed, and how much was heard of it.
import type { Meter } from './prometheus.ts'

/** What became of a worker's KV events since its pool began to follow them. */
export interface KvEventsReading {
  readonly state: 'connecting' | 'live' | 'degraded'
  readonly blocks: number
  readonly batches: number
  readonly events: number
  readonly gaps: number
  readonly attributed: number
  readonly unattributed: number
}

interface Followed {
  readonly id: string
  /** Absent: nobody follows its events. */
  readonly kvEvents?: KvEventsReading
}

/** Defines the metrics and returns what fills them from all workers that there are. */
export function kvEventMetrics({ gauge, counter }: Meter): (workers: readonly Followed[]) => void {
  const worker = ['worker'] as const
  const count = (name: string, help: string, labels: readonly string[] = worker) =>
    counter(`fetchway_kv_events_${name}`, help, labels, 'first')
  const degraded = gauge(
    'fetchway_kv_events_degraded',
    'Whether what the worker holds is a guess, though it publishes KV events: 1 when they are lost, late or of no use.',
    worker,
  )
  const blocks = gauge('fetchway_kv_events_blocks', 'KV cache blocks that the worker said it has.', worker)
  const batches = count('batches_total', 'Batches of KV events that came.')
  const events = count('total', 'KV events that came.')
  const gaps = count('gaps_total', 'Times that KV events were lost for good.')
  const calls = count('calls_total', 'Calls whose blocks were looked for among the KV events.', [
    'worker',
    'outcome',
  ])
  return (workers) => {
    for (const metric of [degraded, blocks, batches, events, gaps, calls]) metric.clear()
    for (const { id, kvEvents } of workers) {
      if (!kvEvents) continue
      degraded.with(id).set(Number(kvEvents.state === 'degraded'))
      blocks.with(id).set(kvEvents.blocks)
      batches.with(id).set(kvEvents.batches)
      events.with(id).set(kvEvents.events)
      gaps.with(id).set(kvEvents.gaps)
      calls.with(id, 'found').set(kvEvents.attributed)
      calls.with(id, 'missed').set(kvEvents.unattributed)
    }
  }
}
