// GET /metrics: Prometheus text. URLs of workers are only in it for those who may see the control plane.
import { authorizeAdmin } from '../admission/auth.ts'
import type { PoolView } from '../actors/pool-view.ts'
import type { LoadView } from '../actors/load-view.ts'
import type { SeatView } from '../actors/seat.ts'
import type { ShadowView } from '../actors/shadow.ts'
import type { Core } from '../core.ts'
import type { SourceStatus } from '../discovery/source.ts'
import { contentType } from '../metrics/prometheus.ts'
import { expose, merge, type Reading } from '../metrics/reading.ts'
import type { PoolReading, ShareReading, WorkerReading, WorkerState } from '../metrics/worker-gauges.ts'
import { Refusal } from '../openai/errors.ts'
import { text } from './reply.ts'

export async function metrics(core: Core, request: Request): Promise<Response> {
  if (!core.config.metrics)
    throw new Refusal(404, 'metrics_off', 'Metrics are switched off here (--no-metrics).')
  const view = await core.host.pool('main').view()
  return page(core, maySeeUrls(core, request), view)
}

/** The same for a listener of its own: whoever reaches that may see where workers are. */
export async function metricsAlone(core: Core): Promise<Response> {
  return page(core, true, await core.host.pool('main').view())
}

async function page(core: Core, withUrls: boolean, view: PoolView): Promise<Response> {
  showPool(core, view, withUrls)
  const sources = core.config.discover.length > 0 ? await core.host.registry('main').sources() : []
  if (sources.length > 0) core.instruments.showSources(sources)
  const own = readAll(core, view, withUrls, sources)
  const others = (await core.host.peers?.metrics(own)) ?? []
  return text(expose(merge(own, others)), 200, contentType)
}

/** All metrics of this app for another one beside it, those under a dialect's names too. */
export function readForPeers(core: Core, view: PoolView): Reading {
  showPool(core, view, false)
  return readAll(core, view, true)
}

function readAll(
  core: Core,
  view: PoolView,
  withUrls: boolean,
  sources: readonly SourceStatus[] = [],
): Reading {
  return [...core.meter.read(), ...(core.surface?.read?.(core, view, withUrls, sources) ?? [])]
}

/** Fills the gauges from the pool as it is now; what was counted for workers that are gone is dropped. */
function showPool(core: Core, view: PoolView, withUrls: boolean): void {
  core.instruments.bufferedBytes.with().set(core.buffers.used)
  core.instruments.showPools([readingOf(view, withUrls)])
}

function maySeeUrls(core: Core, request: Request): boolean {
  try {
    // This page is on every listener: who may see URLs is judged by the most open one.
    authorizeAdmin({ ...core.config, adminListen: undefined }, request.headers)
    return true
  } catch {
    // The rest of the page is for everybody.
    return false
  }
}

function readingOf(view: PoolView, withUrls: boolean): PoolReading {
  return {
    queueDepth: view.queued,
    inFlight: view.in_flight,
    leases: view.leases,
    indexBytes: view.index_bytes,
    indexLimitBytes: view.index_limit_bytes,
    workers: view.workers.map((worker) => workerOf(worker, withUrls)),
    ...(view.shadow && { agreed: view.shadow.agreed, shares: sharesOf(view.shadow) }),
  }
}

function sharesOf(shadow: ShadowView): ShareReading[] {
  return (['first', 'shadow'] as const).flatMap((side) =>
    shadow[side].workers.map((share) => ({
      side,
      policy: shadow[side].policy,
      worker: share.worker,
      calls: share.calls,
      promptTokens: share.prompt_tokens,
      predictedCachedTokens: share.predicted_cached_tokens,
    })),
  )
}

const STATES: Readonly<Record<SeatView['state'], WorkerState>> = {
  up: 'ready',
  busy: 'ready',
  suspect: 'unhealthy',
  down: 'unhealthy',
  draining: 'draining',
}

function workerOf(worker: SeatView, withUrls: boolean): WorkerReading {
  return {
    id: worker.id,
    url: withUrls ? worker.url : '',
    engine: worker.engine,
    role: worker.role,
    state: STATES[worker.state],
    isUp: (worker.state === 'up' || worker.state === 'busy') && worker.breaker !== 'open',
    isHealthy: worker.state !== 'down' && worker.state !== 'suspect',
    inFlight: worker.in_flight,
    backlogTokens: worker.backlog_tokens,
    indexTokens: worker.index_tokens,
    heldTokens: worker.held_tokens,
    speed: worker.speed,
    breaker: worker.breaker,
    breakerTransitions: worker.breaker_trips,
    predictedCachedTokens: worker.predicted_cached_tokens,
    cachedTokens: worker.cached_tokens,
    predictionErrorTokens: worker.prediction_error_tokens,
    loadFailures: worker.load_failures,
    ...(worker.binding !== 'early' && { isLate: worker.binding === 'late' }),
    ...(worker.kv_events && { kvEvents: worker.kv_events }),
    ...(worker.load && loadOf(worker.load)),
  }
}

function loadOf({ running, waiting, kv_usage }: LoadView): Partial<WorkerReading> {
  return {
    ...(running !== null && { engineRunning: running }),
    ...(waiting !== null && { engineWaiting: waiting }),
    ...(kv_usage !== null && { kvUsage: kv_usage }),
  }
}
