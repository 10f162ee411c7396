// The vLLM router's endpoints, as they answer.
import type { Core } from '../../core.ts'
import { endpoints, type Endpoint } from '../../openai/endpoints.ts'
import { pathOf } from '../../openai/target.ts'
import { inference } from '../../routes/inference.ts'
import { json } from '../../routes/reply.ts'
import type { Surface } from '../dialect.ts'
import {
  coded,
  methodsOf,
  missingField,
  noText,
  missingQuery,
  objectOf,
  plain,
  wrongMethod,
} from '../gateway/answers.ts'
import { throughDoor } from '../gateway/doors.ts'
import { fleetOf } from '../gateway/fleet.ts'
import { ID_NAME, PREFIXES, requestIdFor, withId } from '../gateway/ids.ts'
import { Joining, joiningRules, specOf } from '../gateway/joining.ts'
import { added, addByUrl, listUrls, normalized, removeByUrl, removed } from '../gateway/legacy.ts'
import { createLines } from '../gateway/lines.ts'
import { pairGenerates } from '../gateway/pairs.ts'
import { askFirst } from '../gateway/proxy.ts'
import { isBelowOne, missingOf, rerank, type RerankHabits } from '../gateway/rerank.ts'
import { told, tracesOf } from '../gateway/traces.ts'
import { checkBody, foundFirst, WANTS } from '../gateway/typed.ts'
import { affine } from './affinity.ts'
import { encodersOf } from './encode.ts'
import { Tap } from './metrics.ts'
import * as reads from './reads.ts'
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
/** Those of them whose model it reads. */
const MODELLED: ReadonlySet<string> = new Set(['/v1/chat/completions', '/v1/completions', '/v1/embeddings'])
/** Native pages that are the workers' there. */
const PASSED: ReadonlySet<string> = new Set(['/livez', '/readyz', '/version', '/metrics'])
const PROXY: Endpoint = { name: 'other', body: 'json', engines: null }

/** Its surface by the options of its translation. */
export function surface(options: Options): Surface {
  const joining = new Joining(joiningRules(options))
  const routes = routesOf(options, joining)
  const isPaired = options['isPaired'] === true
  const admin = adminRoutes(joining, isPaired)
  const pass = (core: Core, request: Request, endpoint: Endpoint = PROXY) =>
    passOn(core, request, { endpoint, isPaired })
  const tap = new Tap(options, (path) => TYPED.has(path))
  const traces = tracesOf(options)
  const encoders = encodersOf(options)
  const lines = createLines('debug')
  return {
    idName: ID_NAME,
    answer: (core, request, path) => {
      lines.began(core, request)
      const name = `${request.method === 'HEAD' ? 'GET' : request.method} ${path}`
      const handler = routes.get(name)
      if (handler) return handler(core, request)
      const guarded = admin.get(name) ?? byUrl(request.method, path, joining)
      if (guarded) return throughDoor(core, request, false, () => guarded(core, request))
      const unstored = unstoredOf(request.method, path)
      if (unstored) return unstored
      const methods = methodsOf(path, [routes, admin])
      if (methods.length > 0) return wrongMethod(methods.join(','))
      // None of its paths ends in a slash, so these are the workers'.
      const isPassed = PASSED.has(path) || (path.length > 1 && path.endsWith('/'))
      return isPassed ? pass(core, request) : undefined
    },
    fallback: async (core, request, path) =>
      TYPED.has(path) && request.method !== 'POST'
        ? wrongMethod('POST')
        : pass(core, request, endpoints.get(path)),
    refuse: (refusal, at, core) => {
      tap.refused(refusal, at)
      traces?.refused(refusal.status, at.requestId, core)
      const found = foundFirst(refusal, at, TYPED.has(at.path), MODELLED.has(at.path))
      return refuse(found, at, (path) => TYPED.has(path), core.config.strictCompat)
    },
    hear: async (call, request, core) => {
      checkBody(call, request.headers, { typed: TYPED, wants: WANTS })
      await encoders?.encode(call, core)
      const id = requestIdFor(core, request.headers, call.path, PREFIXES)
      const { strictCompat } = core.config
      const found = affine(withId(call, id), request.headers, options, strictCompat)
      return traces?.began(found, core) ?? found
    },
    finish: (response, request, core) => {
      if (!response.headers.has(ID_NAME) && response.status !== 101)
        response.headers.set(ID_NAME, requestIdFor(core, request.headers, pathOf(request.url), PREFIXES))
      lines.ended(core, request, response)
      return response
    },
    ...told(tap, traces),
    read: (_core, view, withUrls, sources) => tap.read(view, { withUrls, sources }),
  }
}

/** The original passes nothing but POST on to pairs; kept by --strict-compat. */
function passOn(core: Core, request: Request, { endpoint, isPaired }: Passed): Promise<Response> | Response {
  if (isPaired && core.config.strictCompat && request.method !== 'POST')
    return plain(405, 'Only POST requests are supported for transparent proxy')
  return inference(core, request, endpoint)
}

interface Passed {
  readonly endpoint: Endpoint
  readonly isPaired: boolean
}

/** What no engine has of stored responses: refused in its own words. */
function unstoredOf(method: string, path: string): Response | undefined {
  if (method === 'DELETE' && /^\/v1\/responses\/[^/]+$/.test(path))
    return plain(501, 'Responses delete endpoint not implemented')
  if (method === 'GET' && /^\/v1\/responses\/[^/]+\/input$/.test(path))
    return plain(501, 'Responses list input items endpoint not implemented')
  return undefined
}

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
    ['GET /health', (core) => reads.health(core, joining, options['discovery'] !== undefined)],
    ['GET /liveness', () => plain(200, 'OK')],
    ['GET /readiness', (core) => reads.readiness(core, isPaired)],
    ['GET /health_generate', isPaired ? generates : first('/health_generate')],
    ['GET /get_server_info', first('/get_server_info', '/server_info')],
    ['GET /get_model_info', first('/get_model_info', '/model_info')],
    ['GET /v1/models', first('/v1/models')],
    ['POST /rerank', (core, request) => rerank(core, request, RERANK)],
    ['POST /v1/rerank', (core, request) => rerank(core, request, RERANK)],
    [
      'GET /scheduling/diagnostics',
      () => json({ enabled: false, error: 'This Router does not own Program scheduling' }, 404),
    ],
  ])
}

const generates: Handler = (core) => pairGenerates(core, ['/health_generate'])

function adminRoutes(joining: Joining, isPaired: boolean): ReadonlyMap<string, Handler> {
  return new Map<string, Handler>([
    ['POST /flush_cache', isPaired ? reads.flushPairs : reads.flushCache],
    ['GET /get_loads', isPaired ? reads.pairLoads : reads.getLoads],
    ['POST /add_worker', (core, request) => addByUrl(core, request, joining)],
    [
      'POST /remove_worker',
      (core, request) => removeByUrl(core, request, { joining, isLenient: core.config.strictCompat }),
    ],
    ['GET /list_workers', listUrls],
    ['POST /workers', (core, request) => create(core, request, joining)],
    ['GET /workers', reads.list],
    ['POST /finish_session', finishSession],
  ])
}

function byUrl(method: string, path: string, joining: Joining): Handler | undefined {
  const coded = /^\/workers\/(.+)$/.exec(path)?.[1]
  if (coded === undefined) return undefined
  const url = decoded(coded)
  if (method === 'GET' || method === 'HEAD') return (core) => show(core, url)
  return method === 'DELETE' ? (core) => remove(core, url, joining) : () => wrongMethod('GET,HEAD,DELETE')
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    // Broken encoding names nobody.
    return text
  }
}

async function create(core: Core, request: Request, joining: Joining): Promise<Response> {
  const body = await objectOf(request)
  if (body instanceof Response) return body
  const { url, api_key: apiKey, model_id: model } = body
  if (typeof url !== 'string') return plain(422, noText('url', url))
  const spec = specOf({
    url,
    ...(typeof apiKey === 'string' && { apiKey }),
    ...(typeof model === 'string' && { models: [model] }),
  })
  const problem = typeof spec === 'string' ? spec : await added(core, request, spec, joining)
  if (problem !== null) return coded(400, problem, 'ADD_WORKER_FAILED')
  return json({ success: true, message: `Worker ${url} added successfully` })
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

const RERANK: RerankHabits = {
  check(body, path) {
    const missing = missingOf(body)
    if (missing !== undefined) return plain(422, missingField(missing))
    const problem = badRerank(body, path)
    return problem === null ? null : plain(400, problem)
  },
  unread: (refused) => refused,
  model: 'default',
  isSorted: true,
}

function badRerank(body: Readonly<Record<string, unknown>>, path: string): string | null {
  if (body['query'] === '') return 'Query cannot be empty'
  if ((body['documents'] as unknown[]).length === 0) return 'Documents list cannot be empty'
  return path === '/rerank' && isBelowOne(body['top_k']) ? 'top_k must be greater than 0' : null
}
