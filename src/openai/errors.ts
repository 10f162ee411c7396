// Errors of our own, in the words of the API that the client speaks.
import type { RefusalValue } from '../actors/ask.ts'

/** An error that the client should see. Callers branch on `code`, never on the text. `retryAfter` is in seconds. */
export class Refusal extends Error implements RefusalValue {
  readonly status: number
  readonly code: string
  declare readonly retryAfter?: number
  /** The decision that it came of, and the worker tried last. */
  declare readonly decision?: string
  declare readonly worker?: string
  /** The methods that are possible, of a 405. */
  declare readonly allow?: string
  constructor(status: number, code: string, message: string, retryAfter?: number) {
    super(message)
    this.name = 'Refusal'
    this.status = status
    this.code = code
    if (retryAfter !== undefined) this.retryAfter = retryAfter
  }

  /** The same, of that decision, with the worker that was tried last. */
  of(decision: string, worker: string | undefined): Refusal {
    const { status, code, message, retryAfter } = this
    const refusal = new Refusal(status, code, message, retryAfter)
    return Object.assign(refusal, { decision, ...(worker !== undefined && { worker }) })
  }
}

/** A 405: `allow` names the methods that are possible, as the Allow header does. */
export function wrongMethod(message: string, allow: string): Refusal {
  return Object.assign(new Refusal(405, 'method_not_allowed', message), { allow })
}

/** What a client named, for an error's text: quoted, and cut where it is long enough to be a burden. */
export function quoted(text: string): string {
  return JSON.stringify(text.length > 200 ? `${text.slice(0, 200)}…` : text)
}

const OPENAI_TYPES: Readonly<Record<number, string>> = {
  401: 'authentication_error',
  403: 'permission_error',
  429: 'rate_limit_error',
}

const ANTHROPIC_TYPES: Readonly<Record<number, string>> = {
  401: 'authentication_error',
  403: 'permission_error',
  404: 'not_found_error',
  413: 'request_too_large',
  429: 'rate_limit_error',
  503: 'overloaded_error',
  504: 'timeout_error',
  529: 'overloaded_error',
}

/** The `type` that OpenAI's API has for errors of a status. */
export function openaiType(status: number): string {
  return OPENAI_TYPES[status] ?? (status >= 500 ? 'server_error' : 'invalid_request_error')
}

/** The `type` that Anthropic's API has for errors of a status. */
export function anthropicType(status: number): string {
  return ANTHROPIC_TYPES[status] ?? (status >= 500 ? 'api_error' : 'invalid_request_error')
}

/** Whether the same request may succeed when it is sent again later. */
export function isRetryable(status: number): boolean {
  return status === 408 || status === 429 || (status >= 500 && status !== 501 && status !== 505)
}

/** JSON text of the answer to a refused request: OpenAI's error object, or Anthropic's on /v1/messages. */
export function refusalBody(
  shape: 'openai' | 'anthropic',
  refusal: RefusalValue,
  requestId?: string,
): string {
  const { status, code, message } = refusal
  if (shape === 'anthropic') {
    const error = { type: anthropicType(status), message, code, retryable: isRetryable(status) }
    return JSON.stringify({
      type: 'error',
      error,
      ...(requestId === undefined ? {} : { request_id: requestId }),
    })
  }
  return JSON.stringify({
    error: { message, type: openaiType(status), param: null, code, retryable: isRetryable(status) },
  })
}
