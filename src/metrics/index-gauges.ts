// Gauges of what the pools believe of their workers' KV caches and speeds.
import type { Meter } from './prometheus.ts'

interface Indexed {
  readonly workers: readonly {
    readonly id: string
    /** Prompt tokens that it is believed to hold. */
    readonly indexTokens?: number
    /** KV tokens in use by running calls. */
    readonly heldTokens?: number
    /** Prompt tokens a second; 0: unknown. */
    readonly speed?: number
  }[]
  readonly indexBytes?: number
  readonly indexLimitBytes?: number
}

/** Defines the gauges and returns what fills them from all pools. */
export function indexMetrics({ gauge }: Meter): (pools: readonly Indexed[]) => void {
  const worker = ['worker'] as const
  const bytes = gauge('fetchway_index_bytes', 'Memory of what is known of the KV caches.', []).with()
  const limit = gauge('fetchway_index_limit_bytes', 'The most that this memory may be.', []).with()
  const index = gauge(
    'fetchway_worker_index_tokens',
    'Prompt tokens that a worker is believed to hold.',
    worker,
  )
  const held = gauge('fetchway_worker_held_tokens', 'KV cache tokens in use by running calls.', worker)
  const speed = gauge(
    'fetchway_worker_prefill_tokens_per_second',
    'Prompt tokens that a worker reads a second, learned from first tokens.',
    worker,
  )
  return (pools) => {
    for (const metric of [index, held, speed]) metric.clear()
    bytes.set(pools.reduce((sum, pool) => sum + (pool.indexBytes ?? 0), 0))
    limit.set(pools.reduce((sum, pool) => sum + (pool.indexLimitBytes ?? 0), 0))
    for (const one of pools.flatMap((pool) => pool.workers)) {
      index.with(one.id).set(one.indexTokens ?? 0)
      held.with(one.id).set(one.heldTokens ?? 0)
      if (one.speed) speed.with(one.id).set(one.speed)
    }
  }
}
