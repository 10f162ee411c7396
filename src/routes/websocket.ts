// WebSocket pass-through (/v1/realtime and the like): chosen like any call, then the two sockets are joined.
import { admit } from '../admission/admit.ts'
import { authenticate } from '../admission/auth.ts'
import type { Plan, RefusalValue } from '../actors/ask.ts'
import type { Core } from '../core.ts'
import { inTime } from '../forward/attempt.ts'
import { Life } from '../forward/notes.ts'
import { headersFor } from '../forward/headers.ts'
import { ClientLeft } from '../forward/left.ts'
import { UpstreamFailure } from '../host.ts'
import { readCall, type Call } from '../openai/call.ts'
import { pathname, pathOf } from '../openai/target.ts'
import type { Endpoint } from '../openai/endpoints.ts'
import { Refusal } from '../openai/errors.ts'

const REALTIME: Endpoint = { name: 'websocket', body: 'none', engines: null }

/** Joins a client's WebSocket with a worker's. Throws a `Refusal` when no worker takes it. */
export async function websocket(core: Core, request: Request): Promise<Response> {
  const { host } = core
  // Only what makes up the API: an engine has more doors than that.
  const path = pathname(pathOf(request.url))
  if (request.method !== 'GET' || !path.startsWith('/v1/'))
    throw new Refusal(404, 'not_found', 'WebSockets are opened by GET of a path under /v1.')
  const caller = authenticate(core.config, request.headers)
  const call = await readCall(core, request, REALTIME, { caller, signal: request.signal })
  // A handshake has no body, whatever its head says.
  call.release()
  const { ask } = await admit(core, call, caller)
  const pool = host.pool('main')
  const leave = () => host.after(Promise.resolve(pool.settle(ask.id, { kind: 'left' })))
  call.signal.addEventListener('abort', leave, { once: true })
  try {
    let pick = await inTime(core, ask, pool.pick(ask))
    const tried: string[] = []
    for (;;) {
      if (call.signal.aborted) throw new ClientLeft()
      if ('refusal' in pick) throw refusalOf(pick.refusal)
      tried.push(pick.plan.worker.id)
      const joined = await join(core, { request, call, plan: pick.plan })
      if (!(joined instanceof UpstreamFailure)) return joined
      pick = await inTime(core, ask, pool.repick({ kind: joined.kind }, ask, tried))
    }
  } catch (error) {
    leave()
    throw error
  }
}

function refusalOf({ status, code, message, retryAfter }: RefusalValue): Refusal {
  if (code !== 'no_retry') return new Refusal(status, code, message, retryAfter)
  return new Refusal(502, 'worker_unreachable', 'No worker could be reached for this WebSocket.')
}

/** The joined sockets as a Response, or why the worker could not be reached. */
async function join(
  core: Core,
  { request, call, plan }: { request: Request; call: Call; plan: Plan },
): Promise<Response | UpstreamFailure> {
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
  const life = new Life(call)
  let status: number | null = null
  let isClosed = false
  const end = (final: number) => {
    core.live--
    notes.ended(life)
    core.instruments.ended({
      model: core.models.known(call.model),
      endpoint: 'websocket',
      status: final,
      outcome: final < 400 ? 'ok' : final < 500 ? 'client_error' : 'upstream_error',
    })
    host.after(Promise.resolve(host.pool('main').settle(call.id, { kind: 'done', status: final })))
  }
  // The end of a refusal may be told before the refusal is here.
  const closed = () => {
    isClosed = true
    if (status !== null) end(status)
  }
  core.live++
  life.worker = plan.worker.id
  notes.began(life)
  try {
    const response = await host.upgrade(plan.worker, request, outgoing, closed)
    status = response.status
    if (isClosed) end(status)
    return response
  } catch (error) {
    core.live--
    notes.ended(life)
    if (error instanceof UpstreamFailure) return error
    throw error
  }
}
