// What Deno gives of its own: its WebSockets under `deno serve`, and its key-value store where that is switched on.
import type { Config } from '../../src/config/schema.ts'
import { UpstreamFailure, type Host, type LogEvent } from '../../src/host.ts'
import type { FarSocket, Message } from '../../src/tunnel/socket.ts'
import type { Handler, Platform } from '../web/serve.ts'
import { createSocketHost, type SocketHost } from '../web/socket-host.ts'
import { relay as relayQueued } from '../web/socket-relay.ts'
import { filesOf, keyValueStorage } from '../web/storage.ts'
import type { TakeSocket } from '../web/tunnel-hall.ts'
import { nearOf } from '../web/websocket.ts'
import { serve } from '../node/http.ts'
import { relay } from '../node/relay.ts'
import { NodeRequest } from '../node/request.ts'
import { openTables } from '../node/tables.ts'
import { runtime, type DenoAddress, type DenoHandler } from './deno-types.ts'

/** Where its node:http listens, a worker's bytes go to the client's socket by one call for each read. */
export const denoPlatform: Platform = {
  host: (config, log) => hostOf(config, { log, relay }),

  /**
   * By Deno's node:http, for its own server does not tell of a client that leaves before the response head, once the request
   * has a body of some hundred bytes.
   */
  listen(handler, { onError, ...options }) {
    return serve(handler, {
      ...options,
      // Its parser looks like Node's and passes the trial, but does not give handshakes back.
      lanes: false,
      onError(error) {
        // Bodies that break with their worker come here, too, and are told of already.
        if (!(error instanceof UpstreamFailure)) onError(error)
      },
    })
  },
}

/** Under `deno serve` responses have to be Deno's own, with a stream that it reads. */
export const servePlatform: Platform = {
  ...denoPlatform,
  host: (config, log) => hostOf(config, { log, relay: relayQueued }),
}

interface Own {
  readonly log: (event: LogEvent) => void
  readonly relay: Host['relay']
}

function hostOf(config: Config, { log, relay }: Own): SocketHost {
  const storage = usesKeyValueStore(config) ? keyValueOf(config) : filesOf(config, log)
  return createSocketHost(config, { log, storage, tables: () => openTables(config), take, relay })
}

/** A handler that counts the responses that are not wholly sent. */
export function countLive(handler: Handler): { handle: DenoHandler; live: () => number } {
  let live = 0
  const handle: DenoHandler = (request, { completed }) => {
    live++
    // It rejects for a client that left.
    completed.catch(() => undefined).finally(() => live--)
    return handler(request)
  }
  return { handle, live: () => live }
}

const STORE = 'kv:'

/** `kv:NAME` names a part of the store that several routers share. A file that was asked for by name stays a file. */
function usesKeyValueStore({ state, port }: Config): boolean {
  return runtime.openKv !== undefined && (state?.startsWith(STORE) ?? port > 0)
}

function keyValueOf({ state, port }: Config) {
  const store = runtime.openKv!()
  const part = state?.slice(STORE.length) ?? String(port)
  return (name: string) => keyValueStorage(store, ['fetchway', part, name])
}

/** Where a listener is reached: `http://127.0.0.1:8000`, or `unix:/path`. */
export function urlOf(address: DenoAddress, scheme: string): string {
  if (address.transport === 'unix') return `unix:${address.path}`
  const name = address.hostname.includes(':') ? `[${address.hostname}]` : address.hostname
  return `${scheme}://${name}:${address.port}`
}

/** Under `deno serve` the request is Deno's own. The package that takes the others reads variables, and is not loaded before. */
const take: TakeSocket = async (request, far, maxMessage) => {
  if (!(request instanceof NodeRequest)) return takeByDeno(request, far)
  const { take: takeByHand } = await import('../node/take.ts')
  return takeByHand(request, far, maxMessage)
}

function takeByDeno(request: Request, far: FarSocket): Response {
  // A client that thinks is not dead: no idle limit.
  const { socket, response } = runtime.upgradeWebSocket(request, { idleTimeout: 0 })
  // Not by Deno's own option: it refuses lists that are written without blanks.
  if (far.protocol !== '') response.headers.set('sec-websocket-protocol', far.protocol)
  socket.binaryType = 'arraybuffer'
  socket.onopen = () => far.join(nearOf(socket))
  socket.onmessage = ({ data }) => far.send(data as Message)
  socket.onclose = ({ code, reason }) => far.close(code, reason)
  return response
}
