// An engine's refusal of a WebSocket, for the client that asked for one.
import { withoutHeader } from '../../src/forward/headers.ts'
import type { RefusedSocket } from '../../src/tunnel/socket.ts'
import { headersOf } from './relay.ts'

/** The refusal as it came; a long one is cut. */
export function refusedResponse({ status, headers, body }: RefusedSocket): Response {
  const whole = withoutHeader(headers, 'content-length')
  return new Response(body, { status, headers: headersOf({ status, headers: whole }) })
}
