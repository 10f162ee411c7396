// GET /fetchway/v1/tunnel: where workers without an inbound port dial in, by WebSocket.
import type { Core } from '../core.ts'
import { Refusal } from '../openai/errors.ts'

export const TUNNEL_PATH = '/fetchway/v1/tunnel'

/** Hands the handshake to the runtime; the first frame must hold a token. Throws a `Refusal` where nobody may dial in. */
export async function tunnel({ config, host }: Core, request: Request): Promise<Response> {
  if (request.method !== 'GET' || request.headers.get('upgrade')?.toLowerCase() !== 'websocket')
    throw new Refusal(
      426,
      'upgrade_required',
      'Workers dial in here by WebSocket: fetchway connect URL --engine URL --token TOKEN.',
    )
  if (!host.tunnels) throw new Refusal(501, 'no_tunnels', 'This runtime takes no workers that dial in.')
  if (config.tunnelTokens.length === 0)
    throw new Refusal(
      403,
      'tunnels_closed',
      'This router takes no workers that dial in: give it a token (--tunnel-token TOKEN).',
    )
  return host.tunnels.accept(request)
}
