// Gauges of workers and their pool, filled from a view of the pool just before each render.
import type { PoolView } from '../actors/pool-view.ts'
import type { SeatView } from '../actors/seat.ts'
import type { ShareView } from '../actors/shadow.ts'
import { indexMetrics } from './index-gauges.ts'
import { kvEventMetrics } from './kv-gauges.ts'
import type { Meter } from './prometheus.ts'
import { showing, type Row } from './showing.ts'

/** `starting`: has not said yet what it is. */
const STATES = ['starting', 'ready', 'unhealthy', 'draining'] as const
const STATE: Readonly<Record<SeatView['state'], (typeof STATES)[number]>> = {
  up: 'ready',
  busy: 'ready',
  suspect: 'unhealthy',
  down: 'unhealthy',
  draining: 'draining',
}
const BREAKER: Readonly<Record<SeatView['breaker'], number>> = { closed: 0, open: 1, half_open: 2 }

/** A worker that is missing this many times in a row is gone: once may be a pool that just starts. */
const GONE_AFTER = 2
/** Streams that outlive their worker's removal still count things; so long is what they wrote swept away. */
const SWEPT_UNTIL = 20

const WORKER: readonly Row<SeatView>[] = [
  [
    'fetchway_worker_up',
    'Whether the worker may be chosen now.',
    ({ state, breaker }) => (state === 'up' || state === 'busy') && breaker !== 'open',
  ],
  [
    'fetchway_worker_healthy',
    "Whether the worker's probes pass.",
    ({ state }) => state !== 'down' && state !== 'suspect',
  ],
  ['fetchway_worker_in_flight', 'Calls that the worker answers now.', (seat) => seat.in_flight],
  [
    'fetchway_worker_backlog_tokens',
    'Uncached prompt tokens whose first token has not come.',
    (seat) => seat.backlog_tokens,
  ],
  ['fetchway_worker_breaker_state', '0 closed, 1 open, 2 half-open.', (seat) => BREAKER[seat.breaker]],
  ['fetchway_worker_breaker_transitions_total', 'Changes of the breaker.', (seat) => seat.breaker_trips],
  [
    'fetchway_worker_kv_usage_ratio',
    'Share of the KV cache in use, told by the engine.',
    (seat) => seat.load?.kv_usage,
  ],
  [
    'fetchway_worker_engine_running',
    'Calls that the engine computes, whoever sent them, told by the engine.',
    (seat) => seat.load?.running,
  ],
  [
    'fetchway_worker_engine_waiting',
    'Calls that wait in the engine, whoever sent them, told by the engine.',
    (seat) => seat.load?.waiting,
  ],
  [
    'fetchway_worker_late_binding',
    'Whether calls wait for this worker; 0: it is watched still, or shares its steps between prompts.',
    ({ binding }) => (binding === 'early' ? null : binding === 'late'),
  ],
  [
    'fetchway_worker_load_failures_total',
    'Questions for its load that the engine did not answer.',
    (seat) => seat.load_failures,
  ],
  [
    'fetchway_worker_predicted_cached_tokens_total',
    'Prompt tokens that were expected to be cached, over the answers that told how many were.',
    (seat) => seat.predicted_cached_tokens,
  ],
  [
    'fetchway_worker_cached_tokens_total',
    'Prompt tokens that were cached, over the same answers.',
    (seat) => seat.cached_tokens,
  ],
  [
    'fetchway_worker_prediction_error_tokens_total',
    'How far both were apart, answer by answer.',
    (seat) => seat.prediction_error_tokens,
  ],
]

/** What one of two policies decided for one worker. */
type Share = ShareView & { readonly side: 'first' | 'shadow'; readonly policy: string }

const SHARE: readonly Row<Share>[] = [
  [
    'fetchway_shadow_calls_total',
    'Calls that the policy in force (first) and the shadow policy decided.',
    (share) => share.calls,
  ],
  ['fetchway_shadow_prompt_tokens_total', 'Prompt tokens of those calls.', (share) => share.prompt_tokens],
  [
    'fetchway_shadow_predicted_cached_tokens_total',
    'Those of them that were expected to be cached.',
    (share) => share.predicted_cached_tokens,
  ],
]

const AGREED: readonly Row<PoolView>[] = [
  [
    'fetchway_shadow_agreed_total',
    'Calls that both sent to one worker.',
    ({ shadow }) => shadow?.agreed ?? 0,
  ],
]

const POOL: readonly Row<PoolView>[] = [
  ['fetchway_queue_depth', 'Calls that wait for room.', (pool) => pool.queued],
  ['fetchway_in_flight', 'Calls that workers answer now.', (pool) => pool.in_flight],
  ['fetchway_leases', 'Leases on workers that are not settled.', (pool) => pool.leases],
]

/**
 * Defines the gauges and returns `showPool`, which fills them from a view. Gauges of a worker that is gone vanish at
 * once, what was counted for it when it is missing again, so that coming and going fills no metric.
 * `forget` drops the counts of a worker right away. `forgotten` hears of each whose counts were dropped.
 */
export function workerGauges(meter: Meter, forgotten: (worker: string) => void) {
  const showInfo = infoMetric(meter)
  const showWorkers = showing(meter, ['worker'], WORKER, ({ id }) => [id])
  const showShares = showing(meter, ['side', 'policy', 'worker'], SHARE, (share) => [
    share.side,
    share.policy,
    share.worker,
  ])
  const showAgreed = showing(meter, [], AGREED, () => [])
  const showKvEvents = kvEventMetrics(meter)
  const showIndex = indexMetrics(meter)
  const showTotals = showing(meter, [], POOL, () => [])
  const states = meter.gauge('fetchway_workers', 'Workers by state.', ['state'])
  for (const state of STATES) states.with(state)

  const forget = (id: string): void => {
    meter.remove('worker', id)
    forgotten(id)
  }
  const missed = new Map<string, number>()

  const sweep = (shown: ReadonlySet<string>): void => {
    for (const id of shown) missed.set(id, 0)
    for (const [id, times] of missed) {
      if (shown.has(id)) continue
      if (times + 1 >= GONE_AFTER) forget(id)
      if (times + 1 >= SWEPT_UNTIL) missed.delete(id)
      else missed.set(id, times + 1)
    }
  }

  /** `withUrls`: whoever reads may see where workers are. */
  const showPool = (pool: PoolView, withUrls: boolean): void => {
    const { workers } = pool
    showInfo(workers, withUrls)
    showWorkers(workers)
    showShares(sharesOf(pool))
    showAgreed([pool])
    showKvEvents(workers)
    showIndex(pool)
    showTotals([pool])
    for (const state of STATES)
      states.with(state).set(workers.filter((worker) => STATE[worker.state] === state).length)
    sweep(new Set(workers.map(({ id }) => id)))
  }
  return { showPool, forget }
}

function infoMetric(meter: Meter): (workers: readonly SeatView[], withUrls: boolean) => void {
  const labels = ['worker', 'url', 'engine', 'role'] as const
  const info = meter.gauge('fetchway_worker_info', 'What a worker id stands for, always 1.', labels)
  return (workers, withUrls) => {
    info.clear()
    for (const { id, url, engine, role } of workers)
      info.with(id, withUrls ? withoutCredentials(url) : '', engine, role).set(1)
  }
}

const sharesOf = ({ shadow }: PoolView): Share[] =>
  (['first', 'shadow'] as const).flatMap((side) => {
    const { policy = '', workers = [] } = shadow?.[side] ?? {}
    return workers.map((share) => ({ ...share, side, policy }))
  })

/** `https://user:password@gpu1` becomes `https://gpu1`; a query can hold a key too. */
function withoutCredentials(url: string): string {
  return url.replace(/\/\/[^/?#]*@/, '//').replace(/[?#].*$/, '')
}
