// DLRouter's endpoints, as they answer.
import type { RefusalValue } from '../../actors/ask.ts'
import { authenticate } from '../../admission/auth.ts'
import type { Core } from '../../core.ts'
import type { Call } from '../../openai/call.ts'
import type { RefusedAt, Step, Surface } from '../dialect.ts'
import { cards } from '../nodes/cards.ts'
import { addNode, nodes, removeNode, terminateAll, terminateNode } from '../nodes/manage.ts'
import { readNode } from '../nodes/read.ts'
import { answer, detail, methodNotAllowed, unknownTo, unprocessable } from '../python/fastapi.ts'
import { checkRequest, isInferencePath } from '../python/requests.ts'
import { reprText } from '../python/text.ts'
import { beginning, requestKey } from './request-key.ts'

/** Its surface; `strategy` as in `--routing_strategy`, `engine`: whose pairs there are, if any. */
export function surface({ strategy, engine }: Readonly<Record<string, unknown>>): Surface {
  return {
    answer: (core, request, path) => route({ core, request }, path),
    fallback: async (core, request, path) =>
      POSTS.has(path) || isInferencePath(path) ? methodNotAllowed('POST') : unknownTo(core, request, path),
    refuse: (refusal, at, core) => refuse(refusal, { ...at, core, engine }),
    // Without pairs nodes with roles are not asked to work as such.
    hear: (call, request) =>
      hear(engine === undefined ? { ...call, isWhole: true } : call, request, strategy),
    follow: (step, { host }) => {
      if (step.kind === 'sent') host.log({ level: 'info', message: sentTo(step) })
    },
  }
}

interface Asked {
  readonly core: Core
  readonly request: Request
}

type Handler = (asked: Asked) => Promise<Response> | Response

const message = (text: string) => answer({ message: text })

/** There an error comes with 200. */
const failed = ({ config }: Core, text: string, status: number) =>
  answer({ error: text }, config.strictCompat ? 200 : status)

const GETS: ReadonlyMap<string, Handler> = new Map<string, Handler>([
  ['/health', () => answer({ status: 'ok' })],
  ['/v1/models', async ({ core }) => answer(await cards(core, 'dlrouter'))],
  ['/nodes/status', async ({ core }) => answer(await nodes(core))],
  ['/nodes/terminate_all', endAll],
])

const POSTS: ReadonlyMap<string, Handler> = new Map<string, Handler>([
  ['/nodes/add', add],
  ['/nodes/remove', remove],
  ['/nodes/terminate', terminate],
  ['/nodes/terminate_all', endAll],
])

async function route(asked: Asked, path: string): Promise<Response | undefined> {
  const { core, request } = asked
  const { method } = request
  const isRead = method === 'GET' || method === 'HEAD'
  const handler = isRead ? GETS.get(path) : method === 'POST' ? POSTS.get(path) : undefined
  if (!handler) return GETS.has(path) || POSTS.has(path) ? wrongMethod(path) : undefined
  if (path !== '/health') authenticate(core.config, request.headers)
  return handler(asked)
}

const wrongMethod = (path: string) => methodNotAllowed(POSTS.has(path) ? 'POST' : 'GET')

async function add({ core, request }: Asked): Promise<Response> {
  const { url, status } = await readNode(request)
  const isAdded = await addNode(core, url, { status })
  return isAdded
    ? message('Added successfully.')
    : failed(core, 'Failed to add node. Check the URL and try again.', 400)
}

async function remove({ core, request }: Asked): Promise<Response> {
  const { url } = await readNode(request)
  await removeNode(core, url)
  return message('Removed successfully.')
}

async function terminate({ core, request }: Asked): Promise<Response> {
  const { url } = await readNode(request)
  const isGone = await terminateNode(core, url)
  return isGone ? message('Terminated successfully.') : failed(core, `Failed to terminate ${url}`, 502)
}

async function endAll({ core }: Asked): Promise<Response> {
  const areGone = await terminateAll(core)
  return areGone ? message('All nodes terminated.') : failed(core, 'Some nodes failed to terminate.', 502)
}

/** The line of each attempt. */
const sentTo = ({ admitted, plan }: Step & { readonly kind: 'sent' }): string =>
  `Dispatching to ${plan.worker.url} (model=${admitted.call.model ?? ''})`

/** Its own name for what it routes by. */
function hear(call: Call, { headers }: Request, strategy: unknown): Call {
  checkRequest(call)
  if (strategy === 'consistent_hash') return { ...call, session: requestKey(call, headers) }
  return strategy === 'prefix_cache' ? { ...call, session: beginning(call) } : call
}

const TIMEOUT = { error_code: 10402, text: 'Failed to get response within timeout.' }
const BACKEND = { error_code: 10403, text: 'Backend inference engine returned an error.' }
const UNAVAILABLE = { error_code: 10401, text: 'The service is unavailable now. May retry later.' }

/** Our codes in its words: status and body. */
const ANSWERS: Readonly<Record<string, readonly [number, object]>> = {
  missing_api_key: [401, { detail: 'API key required.' }],
  invalid_api_key: [403, { detail: 'Invalid API key.' }],
  no_workers: [503, UNAVAILABLE],
  worker_unreachable: [502, BACKEND],
  worker_died: [502, BACKEND],
  worker_protocol_error: [502, BACKEND],
  connect_timeout: [504, TIMEOUT],
  first_token_timeout: [504, TIMEOUT],
  idle_timeout: [504, TIMEOUT],
  total_timeout: [504, TIMEOUT],
}

type At = RefusedAt & { readonly core: Core; readonly engine: unknown }

function refuse(refusal: RefusalValue, at: At): Response {
  const { requestId } = at
  const response = unprocessable(refusal) ?? told(refusal, at)
  response.headers.set('x-fetchway-error', refusal.code)
  if (requestId !== undefined) response.headers.set('x-request-id', requestId)
  if (refusal.retryAfter !== undefined)
    response.headers.set('retry-after', String(Math.ceil(refusal.retryAfter)))
  return response
}

/** A vLLM pair that is not whole has words of its own. */
const UNPAIRED = { error: 'No prefill or decode instances available' }

function told({ code: given, status, message: why }: RefusalValue, { model, core, engine }: At): Response {
  // A model of no node does not exist there, whether nodes are there or not.
  const isUnknown = given === 'no_workers' && core.models.known(model ?? null) === ''
  const code = isUnknown ? 'model_not_found' : given
  if (code === 'no_workers' && engine === 'vllm') return answer(UNPAIRED, 503)
  const known = ANSWERS[code]
  if (known) return answer(known[1], known[0])
  if (code !== 'model_not_found') return detail(why, status)
  const error = { message: `Model ${reprText(model ?? '')} not found.`, type: 'invalid_request_error', code }
  return answer({ error }, 404)
}
