// What Bun gives of its own: its server and its WebSockets.
import http from 'node:http'
import { UpstreamFailure } from '../../src/host.ts'
import { refuse } from '../../src/routes/reply.ts'
import { freeSocketFile } from '../node/socket-file.ts'
import type { Listener, ListenOptions, Platform } from '../web/serve.ts'
import { createSocketHost } from '../web/socket-host.ts'
import { filesOf } from '../web/storage.ts'
import type { TakeSocket } from '../web/tunnel-hall.ts'
import { nearOf } from '../web/websocket.ts'
import { runtime, type BunServeOptions, type BunServer } from './bun-types.ts'
import { relay } from './relay.ts'
import { openBunTables } from './tables.ts'

/** Connections that bring no whole request in this time are closed, seconds. */
const IDLE = 75
/** The server that took a request which asks for an upgrade: only it can do that. */
const upgrading = new WeakMap<Request, BunServer>()
/** Stands for a response where Bun has answered the handshake itself. */
const switched = new Response(null, { status: 101 })

export const bunPlatform: Platform = {
  host: (config, log) => {
    const tables = () => openBunTables(config)
    return createSocketHost(config, { log, storage: filesOf(config, log), tables, take, relay })
  },

  async listen(handler, options) {
    const { host, port, socket, tls } = options
    if (socket !== undefined) await freeSocketFile(socket)
    // One for the whole process: Bun's servers have no option of their own for it.
    ;(http as { maxHeaderSize: number }).maxHeaderSize = options.maxHeader
    const server = runtime.serve({
      ...(socket === undefined ? { hostname: host, port } : { unix: socket }),
      ...(tls && { tls }),
      idleTimeout: IDLE,
      // The app refuses what is too large, in its own words.
      maxRequestBodySize: Number.MAX_SAFE_INTEGER,
      development: false,
      // Bun's default outside of development: a second router would take half of the first one's calls, and nobody would be told.
      reusePort: false,
      websocket,
      ...answering(handler, options),
    })
    const name = server.hostname?.includes(':') ? `[${server.hostname}]` : server.hostname
    return {
      url: socket === undefined ? `${tls ? 'https' : 'http'}://${name}:${server.port}` : `unix:${socket}`,
      async close(graceMs) {
        const timer = setTimeout(() => void server.stop(true), graceMs)
        await server.stop(false)
        clearTimeout(timer)
      },
    } satisfies Listener
  },
}

/** What the last URL that was looked at begins with, path excepted: most clients name the same host. A blank begins none. */
let known = ' '

/** The same with a whole URL: Bun gives the path alone, or no URL, where no Host came, as HTTP/1.0 allows, or none that could be one. */
function placed(request: Request): Request {
  const { url } = request
  if (url.startsWith(known)) return request
  const path = url.startsWith('/') ? 0 : url.indexOf('/', 'https://'.length)
  if (path <= 0 || !URL.canParse(url))
    return new Request(`http://localhost${path < 0 ? '/' : url.slice(path)}`, request)
  known = url.slice(0, path + 1)
  return request
}

/** Whether several hosts are named, as no request may (RFC 9112, 3.2): Bun joins them by a comma and a blank, which is in no host. */
function hasHosts({ headers }: Request): boolean {
  return headers.get('host')?.includes(' ') === true
}

function refuseRequest(): Response {
  const refused = refuse({ status: 400, code: 'bad_request', message: 'The request is not valid HTTP/1.1.' })
  refused.headers.set('connection', 'close')
  return refused
}

function answering(
  handler: (request: Request) => Promise<Response>,
  { onError }: ListenOptions,
): Pick<BunServeOptions, 'fetch' | 'error'> {
  return {
    async fetch(request, server) {
      if (hasHosts(request)) return refuseRequest()
      // A call may think for minutes; the app's own limits end it.
      server.timeout(request, 0)
      const asked = placed(request)
      if (request.headers.has('upgrade')) upgrading.set(request, server)
      const response = await handler(asked)
      return response === switched ? undefined : response
    },
    error(error) {
      onError(error)
      return new Response(null, { status: 500 })
    },
  }
}

const take: TakeSocket = (request, far) => {
  const { protocol } = far
  const headers = protocol === '' ? {} : { headers: { 'sec-websocket-protocol': protocol } }
  if (upgrading.get(request)?.upgrade(request, { data: { far }, ...headers })) return switched
  far.close()
  throw new UpstreamFailure('aborted', 'the client left in the handshake')
}

const websocket: BunServeOptions['websocket'] = {
  idleTimeout: 0, // a client that thinks is not dead
  maxPayloadLength: 64 * 1024 * 1024,
  open: (socket) => socket.data.far.join(nearOf(socket)),
  message: (socket, message) => socket.data.far.send(message),
  close: (socket, code, reason) => socket.data.far.close(code, reason),
}
