// A decode worker's error as the SGLang router words it: its message in its own error object, with a code of its own.
import { parsed } from '../gateway/fan-out.ts'
import { phraseOf } from '../gateway/answers.ts'

const CODES: Readonly<Record<number, string>> = {
  400: 'decode_bad_request',
  404: 'decode_not_found',
  500: 'decode_internal_error',
  502: 'decode_bad_gateway',
  503: 'decode_unavailable',
}
/** Whose errors are the worker's: where the router itself refuses, it says so by this header. */
const OWN = 'x-smg-error-code'

/** The answer of a pair as its client gets it. Statuses that it has no code for become 500. */
export function reworded(response: Response): Response {
  const { status, headers } = response
  if (
    status < 400 ||
    headers.has(OWN) ||
    !headers.has('x-fetchway-worker') ||
    headers.has('x-fetchway-error')
  )
    return response
  const code = CODES[status] ?? 'decode_error'
  const final = Object.hasOwn(CODES, status) ? status : 500
  const type = phraseOf(final) ?? 'Internal Server Error'
  const kept = new Headers(headers)
  kept.delete('content-length')
  kept.set('content-type', 'application/json')
  kept.set(OWN, code)
  const body = new ReadableStream<Uint8Array>({
    async start(controller) {
      const message = messageOf(await response.text())
      controller.enqueue(new TextEncoder().encode(JSON.stringify({ error: { type, code, message } })))
      controller.close()
    },
  })
  return new Response(body, { status: final, headers: kept })
}

/** What the worker said, in one sentence where it has one. */
function messageOf(text: string): string {
  const told = parsed(text) as { message?: unknown; error?: { message?: unknown } } | null
  const message = told?.error?.message ?? told?.message
  return typeof message === 'string' ? message : text
}
