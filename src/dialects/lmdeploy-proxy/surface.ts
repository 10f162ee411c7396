// The endpoints of LMDeploy's proxy, as they answer.
import type { RefusalValue } from '../../actors/ask.ts'
import { authenticate } from '../../admission/auth.ts'
import type { Core } from '../../core.ts'
import { Refusal } from '../../openai/errors.ts'
import type { Call } from '../../openai/call.ts'
import type { RefusedAt, Step, Surface } from '../dialect.ts'
import { cards } from '../nodes/cards.ts'
import {
  addNode,
  connectAll,
  isKnown,
  nodes,
  removeNode,
  terminateAll,
  terminateNode,
} from '../nodes/manage.ts'
import { readNode } from '../nodes/read.ts'
import { answer, detail, methodNotAllowed, unknownTo, unprocessable } from '../python/fastapi.ts'
import { checkRequest, isInferencePath } from '../python/requests.ts'
import { forwarded } from './forwarded.ts'

/** Its surface. */
export function surface({ isPaired }: Readonly<Record<string, unknown>>): Surface {
  return {
    answer: route,
    fallback: async (core, request, path) =>
      POSTS.has(path) || isInferencePath(path) ? methodNotAllowed('POST') : unknownTo(core, request, path),
    refuse,
    hear: (call, request) => {
      checkRequest(call)
      return forwarded(isPaired === true ? single(call) : { ...call, isWhole: true }, request)
    },
    follow: (step, core) => {
      if (step.kind === 'sent') logSent(step, core)
    },
  }
}

/** Its line of each attempt; of a pair, one for either half. */
function logSent({ plan }: Step & { readonly kind: 'sent' }, { host }: Core): void {
  const say = (what: string, url: string) =>
    host.log({ level: 'info', message: `A ${what} is dispatched to ${url}` })
  if (plan.kind !== 'pair') return say('request', plan.worker.url)
  say('Prefill request', plan.prefill.url)
  say('Decode request', plan.worker.url)
}

type Handler = (core: Core, request: Request) => Promise<Response> | Response

const GETS: ReadonlyMap<string, Handler> = new Map<string, Handler>([
  ['/v1/models', models],
  ['/nodes/status', status],
  ['/nodes/terminate_all', endAll],
])

const POSTS: ReadonlyMap<string, Handler> = new Map<string, Handler>([
  ['/nodes/add', add],
  ['/nodes/remove', remove],
  ['/nodes/terminate', terminate],
  ['/nodes/terminate_all', endAll],
  ['/distserve/connection_warmup', warmUp],
  ['/distserve/gc', () => detail('Not Implemented', 501)],
])

async function route(core: Core, request: Request, path: string): Promise<Response | undefined> {
  const { method } = request
  const isRead = method === 'GET' || method === 'HEAD'
  const handler = isRead ? GETS.get(path) : method === 'POST' ? POSTS.get(path) : undefined
  if (handler) return handler(core, request)
  if (!GETS.has(path) && !POSTS.has(path)) return undefined
  return methodNotAllowed(POSTS.has(path) ? 'POST' : 'GET')
}

/** Bodies must say that they are JSON; a URL in the query needs no body. */
function refuseType({ headers, url }: Request): Response | null {
  const [type = ''] = (headers.get('content-type') ?? '').split(';')
  const hasQuery = new URL(url).searchParams.has('node_url')
  if (hasQuery || type.trim().toLowerCase() === 'application/json') return null
  return detail(["Unsupported Media Type: Only 'application/json' is allowed"], 422)
}

async function models(core: Core, { headers }: Request): Promise<Response> {
  authenticate(core.config, headers)
  return answer(await cards(core, 'lmdeploy'))
}

/** Speeds are whole numbers there, and nobody tells a second address. */
async function status(core: Core): Promise<Response> {
  const shown = Object.entries(await nodes(core)).map(([url, { zmq_address: _zmq, speed, ...rest }]) => [
    url,
    { ...rest, speed: speed === null ? null : Number.isInteger(speed.value) ? speed.value : speed },
  ])
  return answer(Object.fromEntries(shown))
}

const TIMEOUT = { error_code: 10402, text: 'Failed to get response after a period of time' }
const UNAVAILABLE = { error_code: 10401, text: 'The service is unavailable now. May retry later.' }

/** As Python writes it, with its line break. */
const coded = ({ error_code, text }: typeof TIMEOUT): string =>
  `{"error_code": ${error_code}, "text": ${JSON.stringify(text)}}\n`

async function add(core: Core, request: Request): Promise<Response> {
  const refused = refuseType(request)
  if (refused) return refused
  const { url, status: given } = await readNode(request)
  if (!(await addNode(core, url, { status: given, engine: 'lmdeploy' })))
    return answer('Failed to add, please check the input url.')
  if (await isKnown(core, url)) return answer('Added successfully')
  // It told no models: it registers again when it is up.
  await removeNode(core, url)
  return answer(coded(TIMEOUT))
}

async function remove(core: Core, request: Request): Promise<Response> {
  const refused = refuseType(request)
  if (refused) return refused
  await removeNode(core, (await readNode(request)).url)
  return answer('Deleted successfully')
}

async function terminate(core: Core, request: Request): Promise<Response> {
  const refused = refuseType(request)
  if (refused) return refused
  const { url } = await readNode(request)
  return answer(
    (await terminateNode(core, url)) ? 'Terminated successfully' : `Failed to terminate node ${url}`,
  )
}

async function endAll(core: Core): Promise<Response> {
  return answer(
    (await terminateAll(core)) ? 'All nodes terminated successfully' : 'Failed to terminate all nodes',
  )
}

async function warmUp(core: Core): Promise<Response> {
  try {
    await connectAll(core)
    return answer({ SUCCESS: true })
  } catch (error) {
    core.host.log({ level: 'warn', message: 'engines could not be introduced', error: String(error) })
    return answer({ SUCCESS: false }, 502)
  }
}

const SINGLE = 'n > 1 is not supported with the DistServe serving strategy.'

/** What is handed over is one sequence. */
function single(call: Call): Call {
  const count = call.body.kind === 'json' ? call.body.top.number('n') : null
  if (count !== null && count > 1) throw new Refusal(400, 'invalid_request', SINGLE)
  return call
}

/** LMDeploy's flat errors. */
function flat(message: string, type: string, code: number): Response {
  return answer({ message, type, code, param: null, object: 'error' }, code)
}

function refuse(refusal: RefusalValue, { model = null, requestId }: RefusedAt, core: Core): Response {
  // A model of no node does not exist there, whether nodes are there or not.
  const isUnknown = refusal.code === 'no_workers' && core.models.known(model) === ''
  const known = isUnknown ? { ...refusal, code: 'model_not_found' } : refusal
  const response = unprocessable(refusal) ?? told(known, model)
  response.headers.set('x-fetchway-error', refusal.code)
  if (requestId !== undefined) response.headers.set('x-request-id', requestId)
  if (refusal.retryAfter !== undefined)
    response.headers.set('retry-after', String(Math.ceil(refusal.retryAfter)))
  return response
}

function told({ code, status: given, message }: RefusalValue, model: string | null | undefined): Response {
  if (code === 'model_not_found')
    return flat(`The model '${model ?? ''}' does not exist.`, 'not_found_error', 404)
  if (code === 'missing_api_key' || code === 'invalid_api_key')
    return flat(message, 'authentication_error', 401)
  if (code === 'no_workers') return answer(UNAVAILABLE, 503)
  if (code.endsWith('_timeout')) return answer(TIMEOUT, 504)
  if (code.startsWith('worker_')) return answer(TIMEOUT, 502)
  return flat(message, given >= 500 ? 'server_error' : 'invalid_request_error', given)
}
