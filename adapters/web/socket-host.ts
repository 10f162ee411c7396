// The host of Deno and Bun: the runtime's server in front, our own connections to the workers behind.
// Their fetch costs twice as much CPU a request; besides, Deno's repeats requests that broke on a kept connection, and Bun's
// works on 256 at a time.
import process from 'node:process'
import type { Storage } from '../../src/actors/actor.ts'
import type { Config } from '../../src/config/schema.ts'
import type { Host, LogEvent, Outgoing, WorkerRef } from '../../src/host.ts'
import { TUNNEL } from '../../src/tunnel/name.ts'
import { protocolsOf } from '../../src/tunnel/socket.ts'
import { createSockets } from '../node/sockets.ts'
import { createFetch } from '../node/upstream.ts'
import { createWebHost, type WebHost } from './host.ts'
import { relay } from './socket-relay.ts'
import type { TakeSocket } from './tunnel-hall.ts'
import { createTunnels, type Tunnels } from './tunnels.ts'
import { openWorkerSocket } from './websocket.ts'

export interface SocketHostOptions {
  readonly log: (event: LogEvent) => void
  readonly storage: (name: string) => Storage
  /** How the runtime's server takes WebSockets. */
  readonly take: TakeSocket
}

export interface SocketHost extends WebHost {
  readonly tunnels: Tunnels
}

/** Puts the host together; its `close` also closes all connections to workers. */
export function createSocketHost(config: Config, { log, storage, take }: SocketHostOptions): SocketHost {
  const direct = createFetch()
  const sockets = createSockets()
  const tunnels = createTunnels(config, { take, seams: () => host })
  const isTunnel = ({ url }: WorkerRef) => url.startsWith(TUNNEL)
  const fetch: Host['fetch'] = (worker, outgoing) =>
    (isTunnel(worker) ? tunnels.fetch : direct)(worker, outgoing)
  const join = async (worker: WorkerRef, request: Request, outgoing: Outgoing, closed: () => void) =>
    take(request, await openWorkerSocket(worker, protocolsOf(request), outgoing, closed), Infinity)
  const upgrade: NonNullable<Host['upgrade']> = (worker, ...call) =>
    (isTunnel(worker) ? tunnels.upgrade : join)(worker, ...call)
  const host = createWebHost(config, {
    log,
    storage,
    extra: { fetch, relay, upgrade, sockets, process: readings },
  })
  const close = () => {
    tunnels.close()
    direct.close()
    sockets.close()
    host.close()
  }
  return { ...host, tunnels, close }
}

/** Neither runtime measures the delay of its event loop, so that is left out. */
const readings: NonNullable<Host['process']> = {
  residentBytes: () => process.memoryUsage().rss,
  cpuSeconds: () => {
    const { user, system } = process.cpuUsage()
    return (user + system) / 1e6
  },
}
