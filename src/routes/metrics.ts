// GET /metrics: Prometheus text. URLs of workers are only in it for those who may see the control plane.
import { authorizeAdmin } from '../admission/auth.ts'
import type { PoolView } from '../actors/pool-view.ts'
import type { Core } from '../core.ts'
import type { SourceStatus } from '../discovery/source.ts'
import { contentType } from '../metrics/prometheus.ts'
import { expose, type Reading } from '../metrics/reading.ts'
import { Refusal } from '../openai/errors.ts'
import { text } from './reply.ts'

/** GET /metrics. Throws a `Refusal` (404) where they are switched off. */
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
  const all = (await core.host.peers?.metrics(own)) ?? own
  return text(expose(all), 200, contentType)
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
  core.instruments.showPool(view, withUrls)
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
