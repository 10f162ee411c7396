// The router's own answers: JSON, text, and refusals in the shape of the API spoken.
import type { RefusalValue } from '../actors/ask.ts'
import { refusalBody } from '../openai/errors.ts'

/** What a reply has besides its text. */
export interface ReplyInit {
  readonly status: number
  readonly headers: Record<string, string>
}

/** A setting of the thread: as an argument every route and dialect would have to hand it on, for one runtime alone. */
let make = (text: string, init: ReplyInit): Response => new Response(text, init)

/** From here on replies are made so: by something lighter that goes out as the same `Response` would. */
export function replyBy(lighter: typeof make): void {
  make = lighter
}

/** A JSON answer. */
export function json(value: unknown, status = 200, headers: Record<string, string> = {}): Response {
  const text = JSON.stringify(value)
  return make(text, { status, headers: { 'content-type': 'application/json', ...headers } })
}

/** An answer of plain text, or of the type that is named. */
export function text(body: string, status = 200, type = 'text/plain; charset=utf-8'): Response {
  return make(body, { status, headers: { 'content-type': type } })
}

/** An error of our own: OpenAI's shape, Anthropic's on /v1/messages; its code also in a header, so that clients can tell who failed. */
export function refuse(
  refusal: RefusalValue & { readonly decision?: string; readonly worker?: string; readonly allow?: string },
  path = '',
  requestId?: string,
  idName = 'x-request-id',
): Response {
  const shape = path.startsWith('/v1/messages') ? 'anthropic' : 'openai'
  const headers: Record<string, string> = {
    'content-type': 'application/json',
    'x-fetchway-error': refusal.code,
  }
  if (requestId !== undefined) headers[idName] = requestId
  if (refusal.retryAfter !== undefined) headers['retry-after'] = String(Math.ceil(refusal.retryAfter))
  if (refusal.decision !== undefined) headers['x-fetchway-decision'] = refusal.decision
  if (refusal.worker !== undefined) headers['x-fetchway-worker'] = refusal.worker
  if (refusal.allow !== undefined) headers['allow'] = refusal.allow
  if (refusal.status === 401) headers['www-authenticate'] = 'Bearer'
  return make(refusalBody(shape, refusal, requestId), { status: refusal.status, headers })
}
