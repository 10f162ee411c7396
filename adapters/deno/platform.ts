// What Deno gives of its own: its server, its WebSockets, and its key-value store where that is switched on.
import type { Config } from '../../src/config/schema.ts'
import { UpstreamFailure } from '../../src/host.ts'
import type { Message } from '../../src/tunnel/socket.ts'
import { untilIdle, type Handler, type Listener, type Platform } from '../web/serve.ts'
import { createSocketHost } from '../web/socket-host.ts'
import { filesOf, keyValueStorage } from '../web/storage.ts'
import type { TakeSocket } from '../web/tunnel-hall.ts'
import { nearOf } from '../web/websocket.ts'
import { freeSocketFile } from '../node/socket-file.ts'
import { runtime, type DenoAddress, type DenoHandler } from './deno-types.ts'

export const denoPlatform: Platform = {
  host(config, log) {
    const storage = usesKeyValueStore(config) ? keyValueOf(config) : filesOf(config, log)
    return createSocketHost(config, { log, storage, take })
  },

  async listen(handler, { host, port, socket, tls, onError }) {
    const breaker = new AbortController()
    const counted = countLive(handler)
    if (socket !== undefined) await freeSocketFile(socket)
    const server = runtime.serve(
      {
        ...(socket === undefined ? { hostname: host, port } : { path: socket }),
        ...tls,
        signal: breaker.signal,
        onListen: () => undefined, // the app says itself where it listens
        onError(error) {
          // Bodies that break with their worker come here, too, and are told of already.
          if (!(error instanceof UpstreamFailure)) onError(error)
          return new Response(null, { status: 500 })
        },
      },
      counted.handle,
    )
    return {
      url: urlOf(server.addr, tls ? 'https' : 'http'),
      async close(graceMs) {
        await untilIdle(counted.live, performance.now() + graceMs)
        // Only one of the two may be called: a server that shuts down can't be aborted any more.
        if (counted.live() > 0) breaker.abort()
        else await server.shutdown()
      },
    } satisfies Listener
  },
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

export function urlOf(address: DenoAddress, scheme: string): string {
  if (address.transport === 'unix') return `unix:${address.path}`
  const name = address.hostname.includes(':') ? `[${address.hostname}]` : address.hostname
  return `${scheme}://${name}:${address.port}`
}

const take: TakeSocket = (request, far) => {
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
