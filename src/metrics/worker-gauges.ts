// Gauges of workers and pools, filled from a view of the pools just before each render.
import { indexMetrics } from './index-gauges.ts'
import { kvEventMetrics, type KvEventsReading } from './kv-gauges.ts'
import type { Meter } from './prometheus.ts'

/** `starting`: has not said yet what it is. */
export type WorkerState = 'starting' | 'ready' | 'unhealthy' | 'draining'
const STATES: readonly WorkerState[] = ['starting', 'ready', 'unhealthy', 'draining']
const BREAKER: Readonly<Record<WorkerReading['breaker'], number>> = { closed: 0, open: 1, half_open: 2 }

export interface WorkerReading {
  readonly id: string
  readonly url: string
  readonly engine: string
  readonly role: string
  readonly state: WorkerState
  /** May be chosen now. */
  readonly isUp: boolean
  /** Its probes pass. */
  readonly isHealthy: boolean
  readonly inFlight: number
  readonly backlogTokens: number
  readonly indexTokens?: number
  readonly heldTokens?: number
  readonly speed?: number
  readonly breaker: 'closed' | 'open' | 'half_open'
  /** How often its breaker changed since the pool began. */
  readonly breakerTransitions: number
  /** 0 to 1, as the engine told last. */
  readonly kvUsage?: number
  /** Calls that run and wait in the engine, as it told last. */
  readonly engineRunning?: number
  readonly engineWaiting?: number
  /** Questions for its load that it did not answer. */
  readonly loadFailures?: number
  /** Calls wait here until it has nearly read what it was sent; absent: that is not configured. */
  readonly isLate?: boolean
  /** Absent: its KV events are not followed. */
  readonly kvEvents?: KvEventsReading
  /** Prompt tokens of answers that told what was cached: those expected to be, those that were, and how far apart they were. */
  readonly predictedCachedTokens?: number
  readonly cachedTokens?: number
  readonly predictionErrorTokens?: number
}

/** What one of two policies decided for one worker. */
export interface ShareReading {
  readonly side: 'first' | 'shadow'
  readonly policy: string
  readonly worker: string
  readonly calls: number
  readonly promptTokens: number
  readonly predictedCachedTokens: number
}

export interface PoolReading {
  /** Calls that wait for room. */
  readonly queueDepth: number
  readonly inFlight: number
  readonly leases: number
  readonly indexBytes?: number
  readonly indexLimitBytes?: number
  readonly workers: readonly WorkerReading[]
  /** Empty without a shadow policy. */
  readonly shares?: readonly ShareReading[]
  /** Calls that the shadow would have sent to the same worker. */
  readonly agreed?: number
}

/** A worker that is missing this many times in a row is gone: once may be a pool that just starts. */
const GONE_AFTER = 2
/** Streams that outlive their worker's removal still count things; so long is what they wrote swept away. */
const SWEPT_UNTIL = 20

/**
 * Defines the gauges and returns `showPools`, which fills them from the readings of all pools. Gauges of a worker that
 * is gone vanish at once, what was counted for it when it is missing again, so that coming and going fills no metric.
 * `forget` drops the counts of a worker right away. `forgotten` hears of each whose counts were dropped.
 */
export function workerGauges(meter: Meter, forgotten: (worker: string) => void) {
  const perWorker = workerMetrics(meter)
  const showKnowledge = knowledgeMetrics(meter)
  const queueDepth = meter.gauge('fetchway_queue_depth', 'Calls that wait for room.', []).with()
  const inFlight = meter.gauge('fetchway_in_flight', 'Calls that workers answer now.', []).with()
  const leases = meter.gauge('fetchway_leases', 'Leases on workers that are not settled.', []).with()
  const workers = meter.gauge('fetchway_workers', 'Workers by state.', ['state'])
  for (const state of STATES) workers.with(state)

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

  const showPools = (pools: readonly PoolReading[]): void => {
    for (const metric of Object.values(perWorker)) metric.clear()
    const counts = new Map<WorkerState, number>()
    const shown = new Set<string>()
    for (const worker of pools.flatMap((pool) => pool.workers)) {
      counts.set(worker.state, (counts.get(worker.state) ?? 0) + 1)
      showWorker(perWorker, worker)
      shown.add(worker.id)
    }
    showKnowledge(pools)
    for (const state of STATES) workers.with(state).set(counts.get(state) ?? 0)
    queueDepth.set(total(pools, 'queueDepth'))
    inFlight.set(total(pools, 'inFlight'))
    leases.set(total(pools, 'leases'))
    sweep(shown)
  }
  return { showPools, forget }
}

/** What pools know beyond who does what: caches, speeds, KV events, and what a shadow policy would do. */
function knowledgeMetrics(meter: Meter): (pools: readonly PoolReading[]) => void {
  const showShadow = shadowMetrics(meter)
  const showKvEvents = kvEventMetrics(meter)
  const showIndex = indexMetrics(meter)
  return (pools) => {
    for (const pool of pools) showShadow(pool)
    showIndex(pools)
    showKvEvents(pools.flatMap((pool) => pool.workers))
  }
}

function workerMetrics({ gauge, counter }: Meter) {
  const worker = ['worker'] as const
  return {
    info: gauge('fetchway_worker_info', 'What a worker id stands for, always 1.', [
      'worker',
      'url',
      'engine',
      'role',
    ]),
    up: gauge('fetchway_worker_up', 'Whether the worker may be chosen now.', worker),
    healthy: gauge('fetchway_worker_healthy', "Whether the worker's probes pass.", worker),
    inFlight: gauge('fetchway_worker_in_flight', 'Calls that the worker answers now.', worker),
    backlog: gauge(
      'fetchway_worker_backlog_tokens',
      'Uncached prompt tokens whose first token has not come.',
      worker,
    ),
    breaker: gauge('fetchway_worker_breaker_state', '0 closed, 1 open, 2 half-open.', worker),
    transitions: counter(
      'fetchway_worker_breaker_transitions_total',
      'Changes of the breaker.',
      worker,
      'first',
    ),
    kvUsage: gauge(
      'fetchway_worker_kv_usage_ratio',
      'Share of the KV cache in use, told by the engine.',
      worker,
    ),
    engineRunning: gauge(
      'fetchway_worker_engine_running',
      'Calls that the engine computes, whoever sent them, told by the engine.',
      worker,
    ),
    engineWaiting: gauge(
      'fetchway_worker_engine_waiting',
      'Calls that wait in the engine, whoever sent them, told by the engine.',
      worker,
    ),
    late: gauge(
      'fetchway_worker_late_binding',
      'Whether calls wait for this worker; 0: it is watched still, or shares its steps between prompts.',
      worker,
    ),
    loadFailures: counter(
      'fetchway_worker_load_failures_total',
      'Questions for its load that the engine did not answer.',
      worker,
      'first',
    ),
    ...predictionMetrics(counter),
  }
}

/** How well a pool knows what its workers hold. */
function predictionMetrics(counter: Meter['counter']) {
  const worker = ['worker'] as const
  return {
    predicted: counter(
      'fetchway_worker_predicted_cached_tokens_total',
      'Prompt tokens that were expected to be cached, over the answers that told how many were.',
      worker,
      'first',
    ),
    cached: counter(
      'fetchway_worker_cached_tokens_total',
      'Prompt tokens that were cached, over the same answers.',
      worker,
      'first',
    ),
    error: counter(
      'fetchway_worker_prediction_error_tokens_total',
      'How far both were apart, answer by answer.',
      worker,
      'first',
    ),
  }
}

/** What a shadow policy would have done, beside what was done. */
function shadowMetrics({ counter }: Meter): (pool: PoolReading) => void {
  const labels = ['side', 'policy', 'worker'] as const
  const define = (name: string, help: string) => counter(`fetchway_shadow_${name}`, help, labels, 'first')
  const calls = define('calls_total', 'Calls that the policy in force (first) and the shadow policy decided.')
  const prompts = define('prompt_tokens_total', 'Prompt tokens of those calls.')
  const cached = define('predicted_cached_tokens_total', 'Those of them that were expected to be cached.')
  const agreed = counter('fetchway_shadow_agreed_total', 'Calls that both sent to one worker.', [], 'first')
  return (pool) => {
    for (const metric of [calls, prompts, cached]) metric.clear()
    for (const share of pool.shares ?? []) {
      const { side, policy, worker } = share
      calls.with(side, policy, worker).set(share.calls)
      prompts.with(side, policy, worker).set(share.promptTokens)
      cached.with(side, policy, worker).set(share.predictedCachedTokens)
    }
    agreed.with().set(pool.agreed ?? 0)
  }
}

function showWorker(metrics: ReturnType<typeof workerMetrics>, worker: WorkerReading): void {
  const { id } = worker
  metrics.info.with(id, withoutCredentials(worker.url), worker.engine, worker.role).set(1)
  metrics.up.with(id).set(Number(worker.isUp))
  metrics.healthy.with(id).set(Number(worker.isHealthy))
  metrics.inFlight.with(id).set(worker.inFlight)
  metrics.backlog.with(id).set(worker.backlogTokens)
  metrics.breaker.with(id).set(BREAKER[worker.breaker])
  metrics.transitions.with(id).set(worker.breakerTransitions)
  const { kvUsage, engineRunning, engineWaiting } = worker
  if (kvUsage !== undefined) metrics.kvUsage.with(id).set(kvUsage)
  if (engineRunning !== undefined) metrics.engineRunning.with(id).set(engineRunning)
  if (engineWaiting !== undefined) metrics.engineWaiting.with(id).set(engineWaiting)
  if (worker.isLate !== undefined) metrics.late.with(id).set(Number(worker.isLate))
  metrics.loadFailures.with(id).set(worker.loadFailures ?? 0)
  metrics.predicted.with(id).set(worker.predictedCachedTokens ?? 0)
  metrics.cached.with(id).set(worker.cachedTokens ?? 0)
  metrics.error.with(id).set(worker.predictionErrorTokens ?? 0)
}

function total(pools: readonly PoolReading[], key: 'queueDepth' | 'inFlight' | 'leases'): number {
  return pools.reduce((sum, pool) => sum + pool[key], 0)
}

/** `https://user:password@gpu1` becomes `https://gpu1`; a query can hold a key too. */
function withoutCredentials(url: string): string {
  return url.replace(/\/\/[^/?#]*@/, '//').replace(/[?#].*$/, '')
}
