// Our refusals in the vLLM router's words: plain sentences.
import type { RefusalValue } from '../../actors/ask.ts'
import type { RefusedAt } from '../dialect.ts'
import { json } from '../../routes/reply.ts'
import { empty, parseMessage, plain, wrongMethod } from '../gateway/answers.ts'

const UPSTREAM: ReadonlySet<string> = new Set([
  'worker_unreachable',
  'worker_died',
  'worker_protocol_error',
  'connect_timeout',
  'first_token_timeout',
  'idle_timeout',
  'total_timeout',
])

/** `isTyped`: its paths; all others are passed on as they are, and fail in other words. */
export function refuse(
  refusal: RefusalValue,
  { path }: RefusedAt,
  isTyped: (path: string) => boolean,
  isStrict = false,
): Response {
  const { status, code, message, retryAfter } = refusal
  if (status === 401) {
    const whose = isStrict ? ' Obtain one from http://helmholtz.cloud' : ''
    const told = plain(401, `You must provide a valid API key.${whose}`)
    told.headers.set('www-authenticate', 'Bearer')
    return told
  }
  if (code === 'queue_timeout') return empty(408)
  if (code === 'queue_full' || code === 'rate_limited')
    return empty(429, { 'retry-after': String(Math.max(1, Math.ceil(retryAfter ?? 1))) })
  if (code === 'method_not_allowed') return wrongMethod('POST')
  if (code === 'body_too_large') return plain(413, 'length limit exceeded')
  if (code === 'no_workers') return plain(503, 'No available workers (all circuits open or unhealthy)')
  // Good JSON that is no object is told by the framework as fields that are missing are.
  if (code === 'invalid_json' && isTyped(path) && /expected a JSON object at/.test(message))
    return plain(422, 'Failed to deserialize the JSON body into the target type: expected a map')
  if (code === 'invalid_json')
    return plain(400, isTyped(path) ? parseMessage(refusal) : `Invalid JSON body: ${message}`)
  if (code === 'state_not_found') return notStored(message)
  if (!UPSTREAM.has(code)) return plain(status, message)
  return isTyped(path)
    ? plain(500, `Request failed: ${message}`)
    : plain(502, `Backend request failed: ${message}`)
}

/** As vLLM says it of a response that it does not have. */
const notStored = (message: string): Response =>
  json({ error: { message, type: 'invalid_request_error', param: 'response_id', code: 404 } }, 404)
