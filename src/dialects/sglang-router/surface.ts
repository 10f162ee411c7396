// The SGLang router's endpoints, as they answer.
import type { Core } from '../../core.ts'
import { endpoints } from '../../openai/endpoints.ts'
import { pathname, pathOf } from '../../openai/call.ts'
import { json, text } from '../../routes/reply.ts'
import type { Surface } from '../dialect.ts'
import { empty, plain, wrongMethod } from '../gateway/answers.ts'
import { throughDoor } from '../gateway/doors.ts'
import { askAll, flushAll, isGood, loadsOf, mergeMetrics } from '../gateway/fan-out.ts'
import { fleetOf, type Backend } from '../gateway/fleet.ts'
import { ID_NAME, PREFIXES, requestIdFor, withId } from '../gateway/ids.ts'
import { Joining, joiningRules } from '../gateway/joining.ts'
import { addByUrl, listUrls, removeByUrl } from '../gateway/legacy.ts'
import { askFirst } from '../gateway/proxy.ts'
import { rerank } from '../gateway/rerank.ts'
import { checkBody, checkMessages } from '../gateway/typed.ts'
import { affine } from './affinity.ts'
import { createTap } from './metrics.ts'
import { failure, refuse } from './refusals.ts'
import { change, create, list, remove, show } from './workers.ts'

type Options = Readonly<Record<string, unknown>>
type Handler = (core: Core, request: Request) => Response | Promise<Response>

const IDS = [...PREFIXES, ['/responses', 'resp-']] as const
const TYPED: ReadonlySet<string> = new Set([
  '/v1/chat/completions',
  '/v1/completions',
  '/v1/embeddings',
  '/v1/classify',
  '/v1/responses',
  '/generate',
])
/** Native pages that are not on its port. */
const ELSEWHERE: ReadonlySet<string> = new Set(['/metrics'])

/** Its surface by the options of its translation. */
export function surface(options: Options): Surface {
  const joining = new Joining(joiningRules(options))
  const open = openRoutes(options)
  const guarded = guardedRoutes(joining)
  const bare = new WeakSet<Response>()
  const tap = createTap(options)
  const nowhere = (): Response => {
    const response = empty(404)
    bare.add(response)
    return response
  }

  return {
    idName: ID_NAME,
    answer: (core, request, path) => {
      const name = `${request.method === 'HEAD' ? 'GET' : request.method} ${path}`
      const handler = open.get(name)
      if (handler) return handler(core, request)
      const admin = guarded.get(name) ?? byId(request.method, path, joining)
      if (admin) return throughDoor(core, request, true, () => admin(core, request))
      if (path.startsWith('/ha/')) return throughDoor(core, request, true, noMesh)
      return ELSEWHERE.has(path) ? nowhere() : undefined
    },
    fallback: async (_core, request, path) =>
      endpoints.has(path) && request.method !== 'POST' ? wrongMethod('POST') : nowhere(),
    refuse,
    hear: async (call, request, core) => {
      const id = requestIdFor(core, request.headers, call.path, IDS)
      checkBody(call, request.headers, TYPED)
      if (pathname(call.path) === '/v1/chat/completions') checkMessages(call)
      return affine(withId(call, id), request.headers, core, options['policy'])
    },
    finish: (response, request, core) => {
      if (!response.headers.has(ID_NAME) && !bare.has(response) && response.status !== 101)
        response.headers.set(ID_NAME, requestIdFor(core, request.headers, pathOf(request.url), IDS))
      tap.answered(request, response)
      return response
    },
    count: tap.count,
    read: tap.read,
  }
}

const noMesh = (): Response => json({ error: 'mesh not enabled' }, 503)

function openRoutes(options: Options): ReadonlyMap<string, Handler> {
  const ok: Handler = () => plain(200, 'OK')
  return new Map<string, Handler>([
    ['GET /health', ok],
    ['GET /liveness', ok],
    ['GET /readiness', (core) => readiness(core, options['isPaired'] === true)],
    ['GET /health_generate', healthGenerate],
    ['GET /get_server_info', serverInfo],
    ['GET /server_info', serverInfo],
    ['GET /v1/models', models],
    ['GET /get_model_info', modelInfo],
    ['GET /model_info', modelInfo],
    ['GET /engine_metrics', engineMetrics],
    ['POST /rerank', (core, request) => rerank(core, request, badRerank)],
    ['POST /v1/rerank', (core, request) => rerank(core, request, badRerank)],
  ])
}

function guardedRoutes(joining: Joining): ReadonlyMap<string, Handler> {
  return new Map<string, Handler>([
    ['POST /flush_cache', flushCache],
    ['GET /get_loads', getLoads],
    ['POST /add_worker', (core, request) => addByUrl(core, request, joining)],
    [
      'POST /remove_worker',
      (core, request) => removeByUrl(core, request, { joining, isLenient: core.config.strictCompat }),
    ],
    ['GET /list_workers', listUrls],
    ['POST /workers', (core, request) => create(core, request, joining)],
    ['GET /workers', list],
  ])
}

function byId(method: string, path: string, joining: Joining): Handler | undefined {
  const id = /^\/workers\/([^/]+)$/.exec(path)?.[1]
  if (id === undefined) return undefined
  if (method === 'GET') return (core) => show(core, id, joining)
  if (method === 'PUT' || method === 'PATCH') return (core, request) => change(core, request, id)
  return method === 'DELETE' ? (core) => remove(core, id, joining) : undefined
}

async function readiness(core: Core, isPaired: boolean): Promise<Response> {
  const backends = await fleetOf(core)
  const healthy = backends.filter(({ isHealthy }) => isHealthy)
  const has = (role: Backend['role']) => healthy.some((backend) => backend.role === role)
  const isReady = healthy.length > 0 && (!isPaired || (has('prefill') && has('decode')))
  if (isReady && !core.isDraining)
    return json({ status: 'ready', healthy_workers: healthy.length, total_workers: backends.length })
  return json({ status: 'not ready', reason: 'insufficient healthy workers' }, 503)
}

async function healthGenerate(core: Core): Promise<Response> {
  const isStrict = core.config.strictCompat
  const answer = isStrict ? await anyHealthy(core) : await askFirst(core, ['/health_generate', '/health'])
  if (answer === null) return plain(503, 'No routers with healthy workers available')
  if (answer === 'unreachable') return unreachable()
  return answer
}

async function anyHealthy(core: Core): Promise<Response | null> {
  const isHealthy = (await fleetOf(core)).some((backend) => backend.isHealthy)
  return isHealthy ? plain(200, 'At least one router has healthy workers') : null
}

async function serverInfo(core: Core): Promise<Response> {
  const count = (await fleetOf(core)).length
  if (core.config.strictCompat)
    return text(JSON.stringify({ router_manager: true, routers_count: 1, workers_count: count }))
  return proxied(core, ['/server_info', '/get_server_info'])
}

const modelInfo: Handler = (core) => proxied(core, ['/get_model_info', '/model_info'])

async function proxied(core: Core, paths: readonly string[]): Promise<Response> {
  const answer = await askFirst(core, paths)
  if (answer === null) return failure(503, 'no_workers', 'No workers are available')
  return answer === 'unreachable' ? unreachable() : answer
}

const unreachable = (): Response =>
  failure(500, 'call_upstream_request_error', 'The worker could not be reached.')

async function models(core: Core): Promise<Response> {
  const known = (await fleetOf(core)).filter(({ isHealthy, model }) => isHealthy && model !== 'unknown')
  const ids = [...new Set(known.map(({ model }) => model))]
  if (ids.length === 0) return plain(503, 'No models available')
  return json({
    object: 'list',
    data: ids.map((id) => ({ id, object: 'model', owned_by: 'local' })),
  })
}

async function engineMetrics(core: Core): Promise<Response> {
  const backends = (await fleetOf(core)).filter(({ isKnown }) => isKnown)
  if (backends.length === 0) return plain(500, 'No available workers')
  const answers = (await askAll(core, backends, { method: 'GET', path: '/metrics' })).filter(isGood)
  return answers.length === 0 ? plain(500, 'All backend requests failed') : plain(200, mergeMetrics(answers))
}

async function flushCache(core: Core): Promise<Response> {
  const backends = (await fleetOf(core)).filter(({ isKnown }) => isKnown)
  const answers = await flushAll(core, backends)
  const failed = answers.filter((answer) => !isGood(answer))
  const counts = {
    workers_flushed: answers.length - failed.length,
    total_http_workers: answers.length,
    total_workers: answers.length,
  }
  if (failed.length === 0) {
    const message =
      answers.length === 0
        ? 'No HTTP workers available for cache flush'
        : `Successfully flushed cache on all ${answers.length} HTTP workers`
    return json({ status: 'success', message, ...counts })
  }
  const message = `Cache flush: ${counts.workers_flushed} succeeded, ${failed.length} failed`
  const successful = answers.filter(isGood).map(({ backend }) => backend.url)
  const told = failed.map(({ backend, status }) => ({
    worker: backend.url,
    error: status === 0 ? 'could not be reached' : `HTTP ${status}`,
  }))
  return json({ status: 'partial_success', message, ...counts, successful, failed: told }, 206)
}

async function getLoads(core: Core): Promise<Response> {
  const backends = (await fleetOf(core)).filter(({ isKnown }) => isKnown)
  const loads = await loadsOf(core, backends)
  return json({ workers: backends.map(({ url }, at) => ({ worker: url, load: loads[at] ?? -1 })) })
}

/** It validates /rerank alone. */
function badRerank(body: Readonly<Record<string, unknown>>, path: string): string | null {
  if (path !== '/rerank') return null
  if (body['query'] === '') return 'query: Query cannot be empty'
  const documents = body['documents']
  return Array.isArray(documents) && documents.length === 0
    ? 'documents: Documents list cannot be empty'
    : null
}
