// The vLLM router's endpoints, as they answer.
import type { Core } from '../../core.ts'
import { endpoints, type Endpoint } from '../../openai/endpoints.ts'
import { pathOf } from '../../openai/call.ts'
import { inference } from '../../routes/inference.ts'
import { json } from '../../routes/reply.ts'
import type { Surface } from '../dialect.ts'
import { coded, missingField, missingQuery, objectOf, plain, wrongMethod } from '../gateway/answers.ts'
import { throughDoor } from '../gateway/doors.ts'
import { flushAll, isGood, loadsOf } from '../gateway/fan-out.ts'
import { fleetOf, type Backend } from '../gateway/fleet.ts'
import { ID_NAME, PREFIXES, requestIdFor, withId } from '../gateway/ids.ts'
import { Joining, joiningRules, specOf } from '../gateway/joining.ts'
import { added, addByUrl, listUrls, normalized, removeByUrl, removed } from '../gateway/legacy.ts'
import { askFirst } from '../gateway/proxy.ts'
import { rerank } from '../gateway/rerank.ts'
import { checkBody } from '../gateway/typed.ts'
import { affine } from './affinity.ts'
import { createTap } from './metrics.ts'
import { refuse } from './refusals.ts'

type Options = Readonly<Record<string, unknown>>
type Handler = (core: Core, request: Request) => Response | Promise<Response>

/** Paths of its own; every other one is passed on to a worker as it is. */
const TYPED: ReadonlySet<string> = new Set([
  '/v1/chat/completions',
  '/v1/completions',
  '/v1/embeddings',
  '/v1/rerank',
  '/rerank',
  '/v1/responses',
  '/generate',
  '/inference/v1/generate',
])
/** Native pages that are the workers' there. */
const PASSED: ReadonlySet<string> = new Set(['/livez', '/readyz', '/version', '/metrics'])
const PROXY: Endpoint = { name: 'other', body: 'json', engines: null }

/** Its surface by the options of its translation. */
export function surface(options: Options): Surface {
  const joining = new Joining(joiningRules(options))
  const routes = routesOf(options, joining)
  const admin = adminRoutes(joining)
  const tap = createTap(options)
  return {
    idName: ID_NAME,
    answer: (core, request, path) => {
      const name = `${request.method === 'HEAD' ? 'GET' : request.method} ${path}`
      const handler = routes.get(name)
      if (handler) return handler(core, request)
      const guarded = admin.get(name) ?? byUrl(request.method, path, joining)
      if (guarded) return throughDoor(core, request, false, () => guarded(core, request))
      return PASSED.has(path) ? inference(core, request, PROXY) : undefined
    },
    fallback: async (core, request, path) =>
      TYPED.has(path) && request.method !== 'POST' ? wrongMethod('POST') : passOn(core, request, path),
    refuse: (refusal, at) => refuse(refusal, at, (path) => TYPED.has(path)),
    hear: (call, request, core) => {
      checkBody(call, request.headers, TYPED)
      const id = requestIdFor(core, request.headers, call.path, PREFIXES)
      return affine(withId(call, id), request.headers, options['policy'], core.config.strictCompat)
    },
    finish: (response, request, core) => {
      if (!response.headers.has(ID_NAME) && response.status !== 101)
        response.headers.set(ID_NAME, requestIdFor(core, request.headers, pathOf(request.url), PREFIXES))
      return response
    },
    count: tap.count,
    read: tap.read,
  }
}

const passOn = (core: Core, request: Request, path: string): Promise<Response> =>
  inference(core, request, endpoints.get(path) ?? PROXY)

function routesOf(options: Options, joining: Joining): ReadonlyMap<string, Handler> {
  const isPaired = options['isPaired'] === true
  const first = (...paths: string[]): Handler => {
    return async (core) => {
      const answer = await askFirst(core, paths)
      if (answer === null) return plain(503, 'No available workers')
      return answer === 'unreachable' ? plain(500, 'Request failed: the worker could not be reached') : answer
    }
  }
  return new Map<string, Handler>([
    ['GET /health', (core) => health(core, joining, options['discovery'] !== undefined)],
    ['GET /liveness', () => plain(200, 'OK')],
    ['GET /readiness', (core) => readiness(core, isPaired)],
    ['GET /health_generate', first('/health_generate')],
    ['GET /get_server_info', first('/get_server_info', '/server_info')],
    ['GET /get_model_info', first('/get_model_info', '/model_info')],
    ['GET /v1/models', first('/v1/models')],
    ['POST /rerank', (core, request) => rerank(core, request, badRerank)],
    ['POST /v1/rerank', (core, request) => rerank(core, request, badRerank)],
    [
      'GET /scheduling/diagnostics',
      () => json({ enabled: false, error: 'This Router does not own Program scheduling' }, 404),
    ],
  ])
}

function adminRoutes(joining: Joining): ReadonlyMap<string, Handler> {
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
    ['POST /finish_session', finishSession],
  ])
}

function byUrl(method: string, path: string, joining: Joining): Handler | undefined {
  const coded = /^\/workers\/(.+)$/.exec(path)?.[1]
  if (coded === undefined) return undefined
  const url = decoded(coded)
  if (method === 'GET') return (core) => show(core, url)
  return method === 'DELETE' ? (core) => remove(core, url, joining) : undefined
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    // Broken encoding names nobody.
    return text
  }
}

/** Its health is that of its workers. */
async function health(core: Core, joining: Joining, isDiscovering: boolean): Promise<Response> {
  const backends = await fleetOf(core)
  const count = (role: Backend['role']) => backends.filter((one) => one.role === role).length
  const [prefill, decode] = [count('prefill'), count('decode')]
  const ill = backends.filter(({ isHealthy }) => !isHealthy).map(({ url }) => url)
  if (core.isDraining) return plain(503, 'Shutting down')
  if (isDiscovering && (prefill === 0 || decode === 0))
    return plain(503, `Waiting for discovered workers: ${prefill} prefill, ${decode} decode`)
  const waiting = joining.jobs(core.host.now()).filter(({ status }) => status !== 'failed')
  if (backends.length === 0 && waiting.length > 0) return plain(503, 'Waiting for workers')
  return ill.length === 0
    ? plain(200, 'All servers healthy')
    : plain(503, `Unhealthy servers: ${JSON.stringify(ill)}`)
}

async function readiness(core: Core, isPaired: boolean): Promise<Response> {
  const backends = await fleetOf(core)
  const healthy = backends.filter(({ isHealthy }) => isHealthy)
  const of = (role: Backend['role']) => ({
    healthy: healthy.filter((one) => one.role === role).length,
    total: backends.filter((one) => one.role === role).length,
  })
  const [prefill, decode] = [of('prefill'), of('decode')]
  const isReady = healthy.length > 0 && (!isPaired || (prefill.healthy > 0 && decode.healthy > 0))
  const total_workers = backends.length
  if (!isReady || core.isDraining)
    return json({ status: 'not_ready', reason: 'no healthy workers available', total_workers }, 503)
  return isPaired
    ? json({ status: 'ready', prefill, decode })
    : json({ status: 'ready', healthy_workers: healthy.length, total_workers })
}

async function flushCache(core: Core): Promise<Response> {
  const answers = await flushAll(core, await fleetOf(core))
  return answers.every(isGood)
    ? plain(200, 'Cache flushed on all servers')
    : plain(500, 'Cache flush failed on one or more servers')
}

async function getLoads(core: Core): Promise<Response> {
  const backends = await fleetOf(core)
  const loads = await loadsOf(core, backends)
  return json({ workers: backends.map(({ url }, at) => ({ worker: url, load: loads[at] ?? -1 })) })
}

async function create(core: Core, request: Request, joining: Joining): Promise<Response> {
  const body = await objectOf(request)
  if (body instanceof Response) return body
  const { url, api_key: apiKey, model_id: model } = body
  if (typeof url !== 'string') return plain(422, missingField('url'))
  const spec = specOf({
    url,
    ...(typeof apiKey === 'string' && { apiKey }),
    ...(typeof model === 'string' && { models: [model] }),
  })
  const problem = typeof spec === 'string' ? spec : await added(core, request, spec, joining)
  if (problem !== null) return coded(400, problem, 'ADD_WORKER_FAILED')
  return json({ success: true, message: `Worker ${url} added successfully` })
}

async function list(core: Core): Promise<Response> {
  const backends = await fleetOf(core)
  const count = (role: Backend['role']) => backends.filter((backend) => backend.role === role).length
  return json({
    workers: backends.map(({ url, role, isHealthy, load, ref }) => ({
      url,
      model_id: 'unknown',
      worker_type: role,
      is_healthy: isHealthy,
      load,
      connection_mode: 'Http',
      priority: 50,
      cost: 1,
      ...(typeof ref.bootstrapPort === 'number' && { bootstrap_port: ref.bootstrapPort }),
    })),
    total: backends.length,
    stats: {
      prefill_count: count('prefill'),
      decode_count: count('decode'),
      regular_count: count('regular'),
    },
  })
}

const notThere = (url: string): Response => coded(404, `Worker ${url} not found`, 'WORKER_NOT_FOUND')

async function show(core: Core, url: string): Promise<Response> {
  const backends = await fleetOf(core)
  const found =
    backends.find((backend) => backend.url === url) ??
    backends.find((backend) => normalized(backend.url) === normalized(url))
  if (!found) return notThere(url)
  const isHealthy = found.isHealthy || core.config.strictCompat
  return json({ url: found.url, model_id: 'unknown', is_healthy: isHealthy })
}

async function remove(core: Core, url: string, joining: Joining): Promise<Response> {
  const isGone = await removed(core, url, joining)
  if (!isGone && !core.config.strictCompat) return notThere(url)
  return json({ success: true, message: `Worker ${url} removed successfully` })
}

/** A session ends: its worker has one fewer. */
async function finishSession(core: Core, request: Request): Promise<Response> {
  const session = new URL(request.url).searchParams.get('session_id')
  if (session === null) return missingQuery('session_id')
  await core.host.pool('main').release(session)
  return json({ status: 'ok', session_id: session })
}

function badRerank(body: Readonly<Record<string, unknown>>): string | null {
  if (body['query'] === '') return 'Query cannot be empty'
  const documents = body['documents']
  return Array.isArray(documents) && documents.length === 0 ? 'Documents list cannot be empty' : null
}
