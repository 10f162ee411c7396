// Our refusals in the SGLang router's words: no body for limits and keys, its own error object for the rest.
import type { RefusalValue } from '../../actors/ask.ts'
import type { Config } from '../../config/schema.ts'
import type { Core } from '../../core.ts'
import { json } from '../../routes/reply.ts'
import type { RefusedAt } from '../dialect.ts'
import { empty, parseMessage, phraseOf, plain } from '../gateway/answers.ts'

/** Its names for what goes wrong on the way to a worker, and their statuses. */
const UPSTREAM: Readonly<Record<string, readonly [status: number, code: string]>> = {
  worker_unreachable: [500, 'call_upstream_request_error'],
  worker_died: [500, 'call_upstream_request_error'],
  worker_protocol_error: [500, 'call_upstream_request_error'],
  connect_timeout: [504, 'call_upstream_timeout'],
  first_token_timeout: [504, 'call_upstream_timeout'],
  idle_timeout: [504, 'call_upstream_timeout'],
  total_timeout: [504, 'call_upstream_timeout'],
}

/** The status and code of an attempt that brought no answer. */
export const upstreamError = (failure: string): readonly [status: number, code: string] =>
  failure.endsWith('_timeout') ? [504, 'call_upstream_timeout'] : [500, 'call_upstream_request_error']

/** Code of a refusal of what it does not do with prefill and decode workers. */
export const UNPAIRED = 'not_with_pairs'

/** Paths whose bodies it reads itself, and tells of them in JSON. */
const VALIDATED: ReadonlySet<string> = new Set(['/v1/chat/completions', '/v1/responses', '/rerank'])
const OF_BODY: ReadonlySet<string> = new Set([
  'invalid_json',
  'empty_body',
  'missing_field',
  'empty_field',
  'unsupported_media_type',
])

/** A refusal as this router words it. */
export function refuse(refusal: RefusalValue, { path }: RefusedAt, core: Core): Response | undefined {
  const { status, code, message } = refusal
  if (status === 401) return hasRoles(core.config) ? unknownRole(code) : empty(401)
  if (code === 'admin_role_required') return plain(403, 'Admin role required for control plane access')
  if (code === 'queue_timeout') return empty(408)
  if (code === 'queue_full' || code === 'rate_limited') return empty(429)
  if (code === 'not_found') return empty(404)
  if (code === 'method_not_allowed') return empty(405, { allow: 'POST' })
  if (code === 'body_too_large') return plain(413, 'length limit exceeded')
  if (OF_BODY.has(code)) return ofBody({ ...refusal, message: parseMessage(refusal) }, path)
  if (code === UNPAIRED) return plain(status, message)
  if (code === 'state_not_found') return notStored(message)
  if (code === 'no_workers')
    return failure(503, 'no_available_workers', 'No available workers (all circuits open or unhealthy)')
  const upstream = Object.hasOwn(UPSTREAM, code) ? UPSTREAM[code] : undefined
  return upstream ? failure(upstream[0], upstream[1], message) : failure(status, code, message)
}

/** Keys with roles, or an issuer's tokens, open its control plane. */
const hasRoles = ({ controlKeys, jwtIssuer }: Config): boolean =>
  controlKeys.length > 0 || jwtIssuer !== undefined

function unknownRole(code: string): Response {
  const isBad = code === 'invalid_admin_key'
  const told = plain(401, isBad ? 'Invalid authentication token' : 'Missing or invalid Authorization header')
  told.headers.set('www-authenticate', 'Bearer realm="control-plane"')
  return told
}

/** As SGLang says it of a response that it does not have. */
const notStored = (message: string): Response =>
  json({ object: 'error', message, type: 'invalid_request_error', param: 'response_id', code: 404 }, 404)

/** Its error object, with the code in a header too. */
export function failure(status: number, code: string, message: string): Response {
  const type = phraseOf(status) ?? 'Internal Server Error'
  return json({ error: { type, code, message } }, status, { 'x-smg-error-code': code })
}

function ofBody({ status, code, message }: RefusalValue, path: string): Response {
  if (!VALIDATED.has(path)) return plain(status, message)
  if (code === 'empty_field') return invalid(message, 400)
  if (code === 'unsupported_media_type') return invalid(NO_TYPE, PARSE_CODE)
  const kind = code === 'missing_field' ? 'Invalid JSON data' : 'JSON syntax error'
  return invalid(`${kind}: ${message}`, PARSE_CODE)
}

export const NO_TYPE = 'Missing Content-Type: application/json header'
export const PARSE_CODE = 'json_parse_error'

/** Its error of a body that it reads itself. The code of a validation error is the number, as there. */
export const invalid = (message: string, code: string | number): Response =>
  json({ error: { message, type: 'invalid_request_error', code } }, 400)
