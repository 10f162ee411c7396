// The SGLang router's endpoints, as they answer.
import type { Core } from '../../core.ts'
import { endpoints } from '../../openai/endpoints.ts'
import { pathname, pathOf } from '../../openai/target.ts'
import { Refusal } from '../../openai/errors.ts'
import { json } from '../../routes/reply.ts'
import type { Surface } from '../dialect.ts'
import { empty, methodsOf, missingField, plain, wrongMethod } from '../gateway/answers.ts'
import { throughDoor } from '../gateway/doors.ts'
import { ID_NAME, PREFIXES, requestIdFor, withId } from '../gateway/ids.ts'
import { Joining, joiningRules } from '../gateway/joining.ts'
import { addByUrl, listUrls, removeByUrl } from '../gateway/legacy.ts'
import { createLines } from '../gateway/lines.ts'
import { isBelowOne, missingOf, rerank, type RerankHabits } from '../gateway/rerank.ts'
import { told, tracesOf } from '../gateway/traces.ts'
import { checkBody, checkInput, checkMessages, foundFirst, WANTS, type BodyRules } from '../gateway/typed.ts'
import { absent, isGuarded } from './absent.ts'
import { affine, nobody } from './affinity.ts'
import { Metadata } from './metadata.ts'
import { Tap } from './metrics.ts'
import { reworded } from './legs.ts'
import * as reads from './reads.ts'
import { invalid, NO_TYPE, PARSE_CODE, refuse, UNPAIRED } from './refusals.ts'
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
const RULES: BodyRules = {
  typed: TYPED,
  wants: {
    ...WANTS,
    '/v1/chat/completions': { ...WANTS['/v1/chat/completions'], model: 'string' },
    '/v1/completions': { ...WANTS['/v1/completions'], model: 'string' },
    '/v1/embeddings': { model: 'string' },
    '/v1/classify': { model: 'string' },
    '/v1/responses': { stream: 'boolean?', max_output_tokens: 'u32?' },
  },
  modelled: new Set(['/v1/completions', '/v1/embeddings', '/v1/classify']),
}
/** What it does not do with prefill and decode workers, and how it says so. */
const ALONE: ReadonlyMap<string, string> = new Map([
  ['/v1/embeddings', 'Embeddings not implemented'],
  ['/v1/classify', 'Classify not implemented'],
  ['/v1/responses', 'Responses endpoint not implemented'],
])
/** Native pages that are not on its port. */
const ELSEWHERE: ReadonlySet<string> = new Set(['/metrics'])

/** Its surface by the options of its translation. */
export function surface(options: Options): Surface {
  const bare = new WeakSet<Response>()
  const tap = new Tap(options)
  const traces = tracesOf(options)
  const lines = createLines('info')
  const nowhere = (): Response => {
    const response = empty(404)
    bare.add(response)
    return response
  }
  const own = ownPages(options, nowhere)

  return {
    idName: ID_NAME,
    answer: (core, request, path) => {
      tap.began(request, core)
      lines.began(core, request)
      return own(core, request, path)
    },
    fallback: async (_core, request, path) =>
      endpoints.has(path) && request.method !== 'POST' ? wrongMethod('POST') : nowhere(),
    refuse: (refusal, at, core) => {
      tap.refused(refusal, at, core)
      traces?.refused(refusal.status, at.requestId, core)
      const isTyped = TYPED.has(at.path)
      return refuse(foundFirst(refusal, at, isTyped, isTyped), at, core)
    },
    hear: async (call, request, core) => {
      const id = requestIdFor(core, request.headers, call.path, IDS)
      checkBody(call, request.headers, RULES)
      checkInput(call)
      if (options['isPaired'] === true && core.config.strictCompat) checkAlone(pathname(call.path))
      if (pathname(call.path) === '/v1/chat/completions') checkMessages(call)
      const found = await affine(withId(call, id), request.headers, core, options['policy'])
      if (found === null) tap.missed(core)
      if (found === null) return nobody(request.headers)
      return traces?.began(found, core) ?? found
    },
    finish: (given, request, core) => {
      const response = options['isPaired'] === true ? reworded(given) : given
      if (!response.headers.has(ID_NAME) && !bare.has(response) && response.status !== 101)
        response.headers.set(ID_NAME, requestIdFor(core, request.headers, pathOf(request.url), IDS))
      tap.answered(request, response, core)
      lines.ended(core, request, response)
      return response
    },
    ...told(tap, traces),
    read: (core, view, withUrls, sources) => tap.read(core, view, { withUrls, sources }),
  }
}

/** What answers paths of its own. `nowhere`: the answer where there is nothing. */
function ownPages(options: Options, nowhere: () => Response): NonNullable<Surface['answer']> {
  const managing = { joining: new Joining(joiningRules(options)), metadata: new Metadata() }
  const open = openRoutes(options)
  const guarded = guardedRoutes(managing)
  const storesThere = options['backend'] === 'openai'
  return (core, request, path) => {
    // No path of its own ends like this, and nothing is passed on.
    if (path.length > 1 && path.endsWith('/')) return nowhere()
    const method = request.method === 'HEAD' ? 'GET' : request.method
    const name = `${method} ${path}`
    const handler = open.get(name) ?? (storesThere ? undefined : unstored(method, path))
    if (handler) return handler(core, request)
    const admin = guarded.get(name) ?? byId(method, path, managing)
    if (admin) return throughDoor(core, request, true, () => admin(core, request))
    const missing = absent(method, path, storesThere)
    if (missing && isGuarded(path)) return throughDoor(core, request, true, () => missing(request, core))
    if (missing) return missing(request, core)
    if (path.startsWith('/ha/')) return throughDoor(core, request, true, noMesh)
    const methods = methodsOf(path, [open, guarded])
    if (methods.length > 0) return wrongMethod(methods.join(','))
    return ELSEWHERE.has(path) ? nowhere() : undefined
  }
}

const noMesh = (): Response => json({ error: 'mesh not enabled' }, 503)

function checkAlone(path: string): void {
  const words = ALONE.get(path)
  if (words !== undefined) throw new Refusal(501, UNPAIRED, words)
}

/** What no engine has of stored responses, and it has for servers of OpenAI's kind alone: refused in its own words. */
function unstored(method: string, path: string): Handler | undefined {
  if (method === 'DELETE' && /^\/v1\/responses\/[^/]+$/.test(path))
    return () => plain(501, 'responses api not yet implemented in inference gateway mode')
  if (method === 'GET' && /^\/v1\/responses\/[^/]+\/input_items$/.test(path))
    return () => plain(501, 'Responses list input items endpoint not implemented')
  return undefined
}

function openRoutes(options: Options): ReadonlyMap<string, Handler> {
  const isPaired = options['isPaired'] === true
  const ok: Handler = () => plain(200, 'OK')
  return new Map<string, Handler>([
    ['GET /health', ok],
    ['GET /liveness', ok],
    ['GET /readiness', (core) => reads.readiness(core, isPaired)],
    ['GET /health_generate', (core) => reads.healthGenerate(core, isPaired)],
    ['GET /get_server_info', reads.serverInfo],
    ['GET /server_info', reads.serverInfo],
    ['GET /v1/models', reads.models],
    ['GET /get_model_info', reads.modelInfo],
    ['GET /model_info', reads.modelInfo],
    ['GET /engine_metrics', reads.engineMetrics],
    ['POST /rerank', (core, request) => rerank(core, request, RERANK)],
    ['POST /v1/rerank', (core, request) => rerank(core, request, RERANK)],
  ])
}

interface Managing {
  readonly joining: Joining
  readonly metadata: Metadata
}

function guardedRoutes({ joining, metadata }: Managing): ReadonlyMap<string, Handler> {
  return new Map<string, Handler>([
    ['POST /flush_cache', reads.flushCache],
    ['GET /get_loads', reads.getLoads],
    ['POST /add_worker', (core, request) => addByUrl(core, request, joining)],
    [
      'POST /remove_worker',
      (core, request) => removeByUrl(core, request, { joining, isLenient: core.config.strictCompat }),
    ],
    ['GET /list_workers', listUrls],
    ['POST /workers', (core, request) => create(core, request, joining)],
    ['GET /workers', (core) => list(core, metadata)],
  ])
}

function byId(method: string, path: string, managing: Managing): Handler | undefined {
  const id = /^\/workers\/([^/]+)$/.exec(path)?.[1]
  if (id === undefined) return undefined
  if (method === 'GET') return (core) => show(core, id, managing)
  if (method === 'PUT') return (core, request) => change(core, request, id)
  if (method === 'DELETE') return (core) => remove(core, id, managing.joining)
  return () => wrongMethod('GET,HEAD,PUT,DELETE')
}

const RERANK_PATH = '/rerank'

/** It validates /rerank alone, and tells of it in JSON. */
const RERANK: RerankHabits = {
  check(body, path) {
    const missing = missingOf(body)
    if (path !== RERANK_PATH) return missing === undefined ? null : plain(422, missingField(missing))
    if (missing !== undefined) return invalid(`Invalid JSON data: ${missingField(missing)}`, PARSE_CODE)
    const problem = badRerank(body)
    return problem === null ? null : invalid(problem, 400)
  },
  unread: async (refused, path) => {
    if (path !== RERANK_PATH) return refused
    const kind = refused.status === 422 ? 'Invalid JSON data: ' : 'JSON syntax error: '
    const words = await refused.text()
    return invalid(refused.status === 415 ? NO_TYPE : kind + words, PARSE_CODE)
  },
  model: 'unknown',
  isSorted: false,
}

function badRerank(body: Readonly<Record<string, unknown>>): string | null {
  if (body['query'] === '') return 'query: Query cannot be empty'
  if ((body['documents'] as unknown[]).length === 0) return 'documents: Documents list cannot be empty'
  return isBelowOne(body['top_k']) ? 'top_k: must be at least 1' : null
}
