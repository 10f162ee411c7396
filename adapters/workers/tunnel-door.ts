// Workers that dial in, as every isolate and object reaches them: requests to the object of each worker.
import { UpstreamFailure, type FailureKind, type HeaderList, type Host } from '../../src/host.ts'
import type { Outgoing, Signal, TunnelDoor, WorkerRef } from '../../src/host.ts'
import { Refusal } from '../../src/openai/errors.ts'
import { TUNNEL } from '../../src/tunnel/name.ts'
import { protocolsOf } from '../../src/tunnel/socket.ts'
import type { Config } from '../../src/config/schema.ts'
import { refusedResponse } from '../web/refused.ts'
import { bodyOf, WebUpstream } from '../web/upstream.ts'
import type { Env } from './env.ts'
import { joined } from './upgrade.ts'

/** The path by which a worker's handshake comes to its object. */
export const DIAL = '/dial'
/** Headers between a router and the object: what does not survive as headers of a fetch, such as their order. */
export const CALL = 'x-fetchway-call'
export const ANSWER = 'x-fetchway-answer'

/** A request for a dialled-in worker. */
export interface TunnelCall {
  readonly id: string
  readonly method: string
  readonly path: string
  readonly headers: HeaderList
  /** Bytes of the body; null: there is none; -1: nobody knows yet. */
  readonly length: number | null
  readonly connectTimeout: number
  readonly isOnce: boolean
  /** A WebSocket is wanted. */
  readonly protocols?: readonly string[]
}

/** The head of an engine's answer. */
export interface TunnelHead {
  readonly status: number
  readonly headers: HeaderList
}

/** What came of it. */
export type TunnelAnswer = TunnelHead | { readonly failure: FailureKind; readonly message: string }

/** The object of a worker, by its URL. */
const objectOf = ({ TUNNEL: objects }: Env, url: string) => objects.getByName(url.slice(TUNNEL.length))

/** Leads each worker that dials in to the object of its name. `accept` throws a `Refusal` (403) for one that nobody may have. */
export function createTunnelDoor(config: Config, env: Env, after: Host['after']): TunnelDoor {
  return {
    async accept(request) {
      const name = new URL(request.url).searchParams.get('name') ?? ''
      // An object is made only for a worker that may come.
      const isWanted = config.tunnelTokens.some((one) => one.name === undefined || one.name === name)
      if (name === '' || !isWanted)
        throw new Refusal(403, 'tunnels_closed', `No worker may dial in by the name "${name}".`)
      return objectOf(env, TUNNEL + name).fetch(`http://tunnel${DIAL}`, { headers: { upgrade: 'websocket' } })
    },
    drop(workerId, url) {
      if (url.startsWith(TUNNEL)) after(Promise.resolve(objectOf(env, url).drop(workerId)))
    },
    // It changes by a deployment, which ends the objects.
    configure: () => undefined,
  }
}

/** `Host.fetch` for workers that have dialled in. */
export async function fetchTunnel(env: Env, worker: WorkerRef, outgoing: Outgoing): Promise<WebUpstream> {
  const { body, signal } = outgoing
  if (signal.aborted) throw aborted(signal)
  const controller = new AbortController()
  const abort = () => controller.abort()
  const release = () => signal.removeEventListener('abort', abort)
  signal.addEventListener('abort', abort)
  try {
    const { response, head } = await ask(env, worker, outgoing, { controller, init: bodyOf(body) })
    return new WebUpstream({ ...head, body: response.body }, { controller, signal, release })
  } catch (error) {
    release()
    if (signal.aborted) throw aborted(signal)
    throw error instanceof UpstreamFailure ? error : new UpstreamFailure('connect', String(error))
  }
}

/** `Host.upgrade` for workers that have dialled in. */
export async function upgradeTunnel(
  env: Env,
  worker: WorkerRef,
  { request, outgoing }: { request: Request; outgoing: Outgoing },
  closed: () => void,
): Promise<Response> {
  const controller = new AbortController()
  outgoing.signal.addEventListener('abort', () => controller.abort())
  const protocols = protocolsOf(request)
  const init = { headers: { upgrade: 'websocket' } }
  const { response, head } = await ask(env, worker, outgoing, { controller, init, protocols })
  if (response.webSocket) return joined(response, closed)
  closed()
  return refusedResponse({ ...head, body: new Uint8Array(await response.arrayBuffer()) })
}

interface Asking {
  /** Aborts the call, in the object too: that does not hear of a fetch that is given up. */
  readonly controller: AbortController
  readonly init: { readonly body?: BodyInit; readonly headers?: Readonly<Record<string, string>> }
  readonly protocols?: readonly string[]
}

async function ask(env: Env, worker: WorkerRef, outgoing: Outgoing, asking: Asking) {
  const { method, path, headers, body, connectTimeout, isOnce = false } = outgoing
  const { controller, init, protocols } = asking
  const id = crypto.randomUUID()
  let length: number | null = null
  if (body !== null) length = 'getReader' in body ? -1 : body.reduce((sum, one) => sum + one.byteLength, 0)
  const call: TunnelCall = {
    id,
    method,
    path,
    headers,
    length,
    connectTimeout,
    isOnce,
    ...(protocols && { protocols }),
  }
  const object = objectOf(env, worker.url)
  const cancel = () => void Promise.resolve(object.cancel(id)).catch(() => undefined) // gone: so is the call
  controller.signal.addEventListener('abort', cancel)
  const lost = new Promise<never>((_, reject) => {
    controller.signal.addEventListener('abort', () =>
      reject(new UpstreamFailure('aborted', 'the call was ended by the router')),
    )
  })
  lost.catch(() => undefined) // an abort when nobody waits any more
  const response = await Promise.race([
    object.fetch('http://tunnel/', {
      method: body === null ? 'GET' : 'POST',
      ...init,
      headers: { ...init.headers, [CALL]: JSON.stringify(call) },
    } as RequestInit),
    lost,
  ])
  if (response.webSocket) return { response, head: { status: 101, headers: [] } }
  const head = JSON.parse(response.headers.get(ANSWER) ?? '') as TunnelAnswer
  if ('failure' in head) throw new UpstreamFailure(head.failure, head.message)
  return { response, head }
}

function aborted({ reason }: Signal): UpstreamFailure {
  return reason instanceof UpstreamFailure
    ? reason
    : new UpstreamFailure('aborted', 'the call was ended by the router')
}
