// Names each call to engines that publish KV events: they stamp the name on the events of the call's blocks.
import type { Call } from '../openai/call.ts'
import type { OutgoingBody, WorkerRef } from '../host.ts'
import { headerOf } from './headers.ts'

/** vLLM's; any engine may be sent it. */
const HEADER = 'x-session-id'

/** The name that a client gave to its call itself, as engines understand it; undefined: none. */
export function clientSession({ body, headers }: Pick<Call, 'body' | 'headers'>): string | undefined {
  const inBody = body.kind === 'json' ? body.top.string('session_id') : null
  return inBody || headerOf(headers.passed, HEADER) || undefined
}

/** The headers with the call's name, where the worker takes it there and the client gave none. */
export function nameInHeaders(headers: string[], worker: WorkerRef, call: Call): string[] {
  if (worker.kvSession !== 'header' || clientSession(call) !== undefined) return headers
  headers.push(HEADER, call.id)
  return headers
}

/** The body with the call's name, where the worker takes it there, and the client gave none and no session of its own. */
export function nameInBody(body: OutgoingBody, worker: WorkerRef, call: Call): OutgoingBody {
  if (worker.kvSession !== 'body' || call.body.kind !== 'json' || !Array.isArray(body)) return body
  const { top } = call.body
  if (clientSession(call) !== undefined || top.kind('session_id') !== null) return body
  if (top.kind('session_params') !== null || top.size === 0) return body
  return withMember(body as readonly Uint8Array[], `,"session_id":${JSON.stringify(call.id)}`)
}

/** A member put before the last brace. */
function withMember(slices: readonly Uint8Array[], member: string): Uint8Array[] {
  for (let i = slices.length - 1; i >= 0; i--) {
    const slice = slices[i] as Uint8Array
    const at = slice.lastIndexOf(0x7d)
    if (at < 0) continue
    const inserted = new TextEncoder().encode(member)
    return [
      ...slices.slice(0, i),
      slice.subarray(0, at),
      inserted,
      slice.subarray(at),
      ...slices.slice(i + 1),
    ]
  }
  return [...slices]
}
