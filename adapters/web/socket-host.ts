// The host of Deno and Bun: the runtime's server in front, our own connections to the workers behind.
// Their fetch costs twice as much CPU a request; besides, Deno's repeats requests that broke on a kept connection, and Bun's
// works on 256 at a time.
import type { Storage } from '../../src/actors/actor.ts'
import type { Config } from '../../src/config/schema.ts'
import { UpstreamFailure } from '../../src/host.ts'
import type { Host, LogEvent, Upstream, WorkerRef } from '../../src/host.ts'
import { Soon } from '../../src/soon.ts'
import { TUNNEL } from '../../src/tunnel/name.ts'
import { MAX_REFUSAL, protocolsOf, type FarSocket } from '../../src/tunnel/socket.ts'
import { extendHere } from '../node/extensions.ts'
import { machineReadings } from '../node/machine.ts'
import { createOutside } from '../node/outside.ts'
import { createSockets } from '../node/sockets.ts'
import { createFetch } from '../node/fetch.ts'
import { createWebHost, type WebHost } from './host.ts'
import { refusedResponse } from './refused.ts'
import { relay as relayQueued } from './socket-relay.ts'
import type { TakeSocket } from './tunnel-hall.ts'
import { createTunnels, type Tunnels } from './tunnels.ts'
import { openWorkerSocket } from './websocket.ts'

export interface SocketHostOptions {
  readonly log: (event: LogEvent) => void
  readonly storage: (name: string) => Storage
  /** Opens what files and batches are kept in. */
  readonly tables: NonNullable<Host['tables']>
  /** How the runtime's server takes WebSockets. */
  readonly take: TakeSocket
  /** What the runtime has of its own. Default: by a stream with a queue. */
  readonly relay?: Host['relay']
}

export interface SocketHost extends WebHost {
  readonly tunnels: Tunnels
}

/** Puts the host together; its `close` also closes all connections to workers. */
export function createSocketHost(
  config: Config,
  { log, storage, tables, take, relay = relayQueued }: SocketHostOptions,
): SocketHost {
  const direct = createFetch()
  const sockets = createSockets()
  const outside = createOutside()
  const tunnels = createTunnels(config, { take, seams: () => host })
  const isTunnel = ({ url }: WorkerRef) => url.startsWith(TUNNEL)
  const fetch: Host['fetch'] = (worker, outgoing) =>
    (isTunnel(worker) ? tunnels.fetch : direct)(worker, outgoing)
  const send: Host['send'] = (worker, outgoing, waiter) =>
    isTunnel(worker)
      ? Soon.of(tunnels.fetch(worker, outgoing)).tell(waiter)
      : direct.send(worker, outgoing, waiter)
  const join: NonNullable<Host['upgrade']> = async (worker, request, outgoing, closed) => {
    let far: FarSocket
    try {
      far = await openWorkerSocket(worker, protocolsOf(request), outgoing, closed)
    } catch (error) {
      const refusal = await refusalOf(error, () => direct(worker, outgoing))
      closed()
      return refusal
    }
    return take(request, far, Infinity)
  }
  const upgrade: NonNullable<Host['upgrade']> = (worker, ...call) =>
    (isTunnel(worker) ? tunnels.upgrade : join)(worker, ...call)
  const host = createWebHost(config, {
    log,
    storage,
    extra: { fetch, send, relay, upgrade, sockets, outside, tables, extend: extendHere, process: readings },
  })
  const close = () => {
    tunnels.close()
    direct.close()
    sockets.close()
    outside.close()
    host.close()
  }
  return { ...host, tunnels, close }
}

/** The runtimes do not tell a worker that takes no WebSocket from one that is not there: a plain request does. Rejects as it failed. */
async function refusalOf(error: unknown, ask: () => Promise<Upstream>): Promise<Response> {
  if (!(error instanceof UpstreamFailure) || error.kind !== 'connect') throw error
  const answer = await ask().catch(() => {
    throw error
  })
  const { status, headers } = answer
  if (status >= 400) {
    const body = new Uint8Array(await answer.bytes(MAX_REFUSAL))
    return refusedResponse({ status, headers, body })
  }
  answer.cancel()
  return new Response(null, { status: 400 })
}

/** Neither runtime measures the delay of its event loop, so that is left out. */
const readings: NonNullable<Host['process']> = {
  residentBytes: () => process.memoryUsage().rss,
  cpuSeconds: () => {
    const { user, system } = process.cpuUsage()
    return (user + system) / 1e6
  },
  machine: machineReadings(),
}
