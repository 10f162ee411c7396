// Our refusals in production-stack's words, where `error` is a plain sentence.
import type { RefusalValue } from '../../actors/ask.ts'
import type { Core } from '../../core.ts'
import type { RefusedAt } from '../dialect.ts'
import { answer, detail } from '../python/fastapi.ts'
import { optionsOf } from './options.ts'
import { pairRefusal } from './pair-errors.ts'

const JSON_WORDS = 'Invalid request: request body must be valid JSON.'
const OBJECT_WORDS = 'Invalid request: request body must be a JSON object.'
export const MODEL_WORDS = "Invalid request: missing 'model' in request body."

/** Paths whose bodies are forms. */
export const FORMS: ReadonlySet<string> = new Set(['/v1/audio/transcriptions', '/v1/images/edits'])

/** `{"error": …}`. */
export const failure = (error: string, status: number): Response => answer({ error }, status)

/** What an answer goes by besides. */
interface By {
  readonly core: Core
  /** The model was there before. */
  readonly wasSeen: boolean
}

/** A refusal of ours in its words, with the id of the request. */
export function refuse(refusal: RefusalValue, at: RefusedAt, by: By): Response {
  const response = told(refusal, at, by)
  response.headers.set('x-fetchway-error', refusal.code)
  if (at.requestId !== undefined) response.headers.set('x-request-id', at.requestId)
  if (refusal.retryAfter !== undefined)
    response.headers.set('retry-after', String(Math.ceil(refusal.retryAfter)))
  return response
}

const INVALID: ReadonlySet<string> = new Set(['invalid_json', 'empty_body'])

function told(refusal: RefusalValue, { path, model }: RefusedAt, { core, wasSeen }: By): Response {
  const { code, status, message } = refusal
  if (code === 'provider_failed') return detail(message, 502)
  if (code === 'not_found') return detail('Not Found', 404)
  if (code === 'missing_model' || code === 'empty_body') return failure(MODEL_WORDS, 400)
  if (INVALID.has(code))
    return failure(
      /object/i.test(message) && /must be|expected/i.test(message) ? OBJECT_WORDS : JSON_WORDS,
      400,
    )
  const name = model ?? ''
  const isKnown = wasSeen || Object.hasOwn(core.config.aliases, name) || core.models.known(name) !== ''
  const isAbout = code === 'model_not_found' || code === 'no_workers'
  if (isAbout && !isKnown)
    return FORMS.has(path) && code === 'model_not_found'
      ? failure(`No backend for model ${name}`, 404)
      : notThere(name)
  if (isAbout) return unavailable(name, message, core)
  const ofPair = pairRefusal(core, refusal, path)
  if (ofPair) return ofPair
  if (FORMS.has(path) && code === 'worker_unreachable')
    return failure('Failed to connect to backend: it could not be reached', 503)
  return failure(message, status)
}

const notThere = (name: string): Response =>
  failure(`Model '${name}' not found. Available models can be listed at /v1/models.`, 404)

function unavailable(name: string, message: string, core: Core): Response {
  const role = /No (prefill|decode) worker/.exec(message)?.[1]
  if (role !== undefined && optionsOf(core).live.routing === 'disaggregated_prefill_orchestrated')
    return detail(`${role.toUpperCase()}_SERVICE_UNAVAILABLE: No ${role} endpoints discovered`, 503)
  return failure(`Model '${name}' is temporarily unavailable. Please try again later.`, 503)
}
