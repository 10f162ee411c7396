// The route table of everything that is not plain inference. itty-router matches in order.
import type { IRequest, IttyRouterType } from 'itty-router'
import { IttyRouter } from 'itty-router/IttyRouter'
import { controlled } from '../admission/control.ts'
import type { Core } from '../core.ts'
import { decoded } from '../openai/call.ts'
import { cachePaths, tellEngines } from './caches.ts'
import { health, livez, readyz, versionRoute } from './health.ts'
import {
  addWorker,
  changeWorker,
  drainWorker,
  listWorkers,
  removeWorker,
  showDiscovery,
  showConfig,
  showWorker,
  status,
} from './control.ts'
import { explain, showDecision, showShadow } from './explain.ts'
import { takeHeartbeat } from './heartbeat.ts'
import { pushKvEvents } from './kv-events.ts'
import { metrics } from './metrics.ts'
import { listModels, showModel } from './models.ts'
import { talk } from './pool.ts'
import { storedState } from './stored.ts'

type Routes = IttyRouterType<IRequest, [Core]>
type Handler = (
  core: Core,
  request: Request,
  params: Readonly<Record<string, string>>,
) => Response | Promise<Response>

const NATIVE = '/fetchway/v1'

/** GET, and HEAD like it but for the body. */
function readable(router: Routes, path: string, handler: Handler): void {
  router.get(path, adapted(handler))
  const bare = async (...given: Parameters<Handler>) => {
    const { status, headers } = await handler(...given)
    return new Response(null, { status, headers })
  }
  router.head(path, adapted(bare))
}

/** What every listener answers. */
export function openRoutes(): Routes {
  const router = IttyRouter<IRequest, [Core]>()
  const open = (path: string, handler: Handler) => readable(router, path, handler)
  open('/livez', livez)
  open('/readyz', readyz)
  open('/health', health)
  open('/version', versionRoute)
  open('/metrics', metrics)
  return router
}

/** The data plane besides POST inference. */
export function dataRoutes(): Routes {
  const router = openRoutes()
  readable(router, '/v1/models', listModels)
  readable(router, '/v1/models/:id+', (core, request, { id = '' }) => showModel(core, request, id))
  for (const kind of ['responses', 'conversations', 'batches', 'files']) {
    const stored = adapted((core, request, { id = '' }) => storedState(core, request, kind, id))
    router.all(`/v1/${kind}/:id`, stored)
    router.all(`/v1/${kind}/:id/:rest+`, stored)
  }
  return router
}

/** The control plane, natively and by its bare aliases; those are the dialect's own where one is spoken. */
export function controlRoutes(hasAliases = true): Routes {
  const router = IttyRouter<IRequest, [Core]>()
  for (const base of hasAliases ? [NATIVE, ''] : [NATIVE]) {
    const route = (method: 'get' | 'post' | 'patch' | 'delete', path: string, handler: Handler) =>
      router[method](base + path, adapted(admin(handler)))
    route('get', '/workers', listWorkers)
    route('post', '/workers', addWorker)
    route('get', '/workers/:id', (core, _, { id = '' }) => showWorker(core, id))
    route('patch', '/workers/:id', (core, request, { id = '' }) => changeWorker(core, request, id))
    route('delete', '/workers/:id', (core, _, { id = '' }) => removeWorker(core, id))
    route('post', '/workers/:id/drain', (core, _, { id = '' }) => drainWorker(core, id, true))
    route('post', '/workers/:id/undrain', (core, _, { id = '' }) => drainWorker(core, id, false))
    route('post', '/workers/:id/kv-events', (core, request, { id = '' }) => pushKvEvents(core, request, id))
    route('get', '/decisions/:id', (core, _, { id = '' }) => showDecision(core, decoded(id)))
    route('post', '/explain', explain)
    route('get', '/shadow', showShadow)
    for (const path of cachePaths) route('post', path, tellEngines)
    route('post', '/pool', talk)
    route('get', '/status', status)
    route('get', '/discovery', showDiscovery)
    route('get', '/config', showConfig)
  }
  router.post(`${NATIVE}/heartbeat`, adapted(takeHeartbeat))
  for (const path of ['/livez', '/readyz', '/health', '/version', '/metrics'] as const) {
    const handlers = {
      '/livez': livez,
      '/readyz': readyz,
      '/health': health,
      '/version': versionRoute,
      '/metrics': metrics,
    }
    router.get(NATIVE + path, adapted(handlers[path]))
  }
  return router
}

const admin =
  (handler: Handler): Handler =>
  (core, request, params) =>
    controlled(core, request, () => handler(core, request, params))

const adapted =
  (handler: Handler) =>
  (routed: IRequest, core: Core): Response | Promise<Response> =>
    handler(core, routed['request'] as Request, routed.params)

/**
 * The answer of the first route that fits, or undefined. itty-router writes on what it is given, and reads a query in time
 * that grows with the square of its length: so it gets a stand-in without one. Handlers get the request itself.
 */
export function answer(router: Routes, request: Request, core: Core): Promise<Response | undefined> {
  const { method, url } = request
  const query = url.indexOf('?')
  return router.fetch({ method, url: query < 0 ? url : url.slice(0, query), request }, core)
}
