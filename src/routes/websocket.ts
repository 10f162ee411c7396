// WebSocket pass-through (/v1/realtime and the like): chosen like any call, then the two sockets are joined.
import { admit } from '../admission/admit.ts'
import { authenticate } from '../admission/auth.ts'
import type { Plan } from '../actors/ask.ts'
import type { Core } from '../core.ts'
import { headersFor } from '../forward/headers.ts'
import { ClientLeft } from '../forward/left.ts'
import { UpstreamFailure } from '../host.ts'
import { readCall, type Call } from '../openai/call.ts'
import type { Endpoint } from '../openai/endpoints.ts'
import { Refusal } from '../openai/errors.ts'

const REALTIME: Endpoint = { name: 'websocket', body: 'none', engines: null }

/** Joins a client's WebSocket with a worker's. Throws a `Refusal` when no worker takes it. */
export async function websocket(core: Core, request: Request): Promise<Response> {
  const { host } = core
  const caller = authenticate(core.config, request.headers)
  const call = await readCall(core, request, REALTIME, caller)
  const { ask } = await admit(core, call, caller)
  const pool = host.pool('main')
  let pick = await pool.pick(ask)
  for (;;) {
    if (call.signal.aborted) throw new ClientLeft()
    if ('refusal' in pick)
      throw new Refusal(pick.refusal.status, pick.refusal.code, pick.refusal.message, pick.refusal.retryAfter)
    try {
      return await join(core, { request, call, plan: pick.plan })
    } catch (error) {
      if (!(error instanceof UpstreamFailure)) throw error
      const next = await pool.repick({ kind: error.kind }, ask)
      if ('refusal' in next)
        throw new Refusal(502, 'worker_unreachable', 'No worker could be reached for this WebSocket.')
      pick = next
    }
  }
}

async function join(
  core: Core,
  { request, call, plan }: { request: Request; call: Call; plan: Plan },
): Promise<Response> {
  const { host, notes } = core
  if (!host.upgrade) throw new Refusal(501, 'no_websockets', 'This runtime cannot pass WebSockets through.')
  const outgoing = {
    method: 'GET',
    path: call.path,
    headers: headersFor(plan.worker, call.headers, call.ids),
    body: null,
    connectTimeout: core.config.connectTimeout,
    signal: call.signal,
  }
  const response = await host.upgrade(plan.worker, request, outgoing, () => {
    core.live--
    notes.ended(call.id)
    const status = String(response?.status ?? 101)
    core.instruments.requests.with(call.model ?? '', 'websocket', status, 'ok').add()
    host.after(Promise.resolve(host.pool('main').settle(call.id, { kind: 'done', status: 101 })))
  })
  core.live++
  notes.began(call.id)
  return response
}
