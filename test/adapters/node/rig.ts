// A client, a router of nothing but fetch and relay, and a scripted worker: three ends of real sockets.
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import type { AddressInfo, Server, Socket } from 'node:net'
import type { TestContext } from 'node:test'
import { serve } from '../../../adapters/node/http.ts'
import type { ServeOptions } from '../../../adapters/node/http.ts'
import { relay } from '../../../adapters/node/relay.ts'
import { createFetch } from '../../../adapters/node/fetch.ts'
import type { HeaderList, UpstreamFailure, WorkerRef } from '../../../src/host.ts'

/** What one connection of a scripted worker sees and does. */
export interface Peer {
  readonly socket: Socket
  /** Everything received on this connection so far, as latin1. */
  text: string
  /** Resolves with the text once it holds `part`. */
  until(part: string): Promise<string>
  readonly closed: Promise<void>
}

export interface Worker {
  readonly ref: WorkerRef
  readonly peers: Peer[]
}

/** A TCP (or unix socket) server that runs `script` on each connection. */
export async function worker(
  t: TestContext,
  script: (peer: Peer) => unknown,
  path?: string,
): Promise<Worker> {
  const peers: Peer[] = []
  const server = createServer((socket) => {
    const peer = peerOf(socket)
    peers.push(peer)
    // A script that still waits when its peer goes has nothing more to say.
    Promise.resolve(script(peer)).catch(() => undefined)
  })
  await listen(server, path)
  t.after(() => {
    server.close()
    for (const { socket } of peers) socket.destroy()
  })
  const url =
    path === undefined ? `http://127.0.0.1:${(server.address() as AddressInfo).port}` : `unix:${path}`
  return { ref: { id: 'w', url, engine: 'vllm' }, peers }
}

async function listen(server: Server, path?: string): Promise<void> {
  if (path === undefined) server.listen(0, '127.0.0.1')
  else server.listen(path)
  await once(server, 'listening')
}

export function peerOf(socket: Socket): Peer {
  const waiters = new Set<() => void>()
  socket.on('error', () => undefined)
  const peer: Peer = {
    socket,
    text: '',
    async until(part) {
      while (!peer.text.includes(part)) {
        if (socket.destroyed)
          throw new Error(`closed before ${JSON.stringify(part)} came; got ${JSON.stringify(peer.text)}`)
        await new Promise<void>((resolve) => waiters.add(resolve))
      }
      return peer.text
    },
    closed: new Promise((resolve) => socket.once('close', () => resolve())),
  }
  const wake = () => {
    for (const resolve of waiters) resolve()
    waiters.clear()
  }
  socket.on('data', (bytes) => {
    peer.text += bytes.toString('latin1')
    wake()
  })
  socket.once('close', wake)
  return peer
}

/** What the watch of each relayed response was told, in order. */
export type Told = string[]

export interface Router {
  readonly url: string
  readonly told: Told
  /** Resolves once the watch was told that. */
  tells(what: string): Promise<void>
  readonly close: (graceMs: number) => Promise<void>
  readonly drain: () => void
  readonly connections: () => number
}

export interface RouterOptions extends ServeOptions {
  readonly failWith?: string
  readonly extraHeaders?: HeaderList
  readonly change?: (bytes: Uint8Array) => Uint8Array | null
  /** Whether the watch lets whole chunks pass as they came. */
  readonly pass?: () => boolean
}

/** A router that passes every request to one worker. */
export async function router(t: TestContext, ref: WorkerRef, options: RouterOptions = {}): Promise<Router> {
  const told: Told = []
  const waiters = new Set<() => void>()
  const tell = (what: string) => {
    told.push(what)
    for (const resolve of waiters) resolve()
  }
  const upstream = createFetch()
  const served = await serve(async (request) => {
    const body = await request.bytes()
    const { pathname, search } = new URL(request.url)
    const outgoing = {
      method: request.method,
      path: pathname + search,
      headers: ['x-test', 'yes'],
      body: body.byteLength > 0 ? [body] : null,
      connectTimeout: 10_000,
      signal: request.signal,
    }
    try {
      const answer = await upstream(ref, outgoing)
      await answer.first()
      return relay(
        answer,
        { status: answer.status, headers: [...answer.headers, ...(options.extraHeaders ?? [])] },
        {
          chunk: options.change ?? ((bytes) => bytes),
          ...(options.pass && { pass: options.pass }),
          ...(options.pass && { pass: options.pass }),
          end: () => (tell('end'), null),
          fail: (failure) => (tell(failure.kind), options.failWith ? Buffer.from(options.failWith) : null),
          leave: () => tell('leave'),
        },
      )
    } catch (error) {
      tell((error as UpstreamFailure).kind)
      return Response.json({ kind: (error as UpstreamFailure).kind }, { status: 502 })
    }
  }, options)
  t.after(async () => {
    await served.close(0)
    upstream.close()
  })
  return {
    url: served.url,
    told,
    async tells(what) {
      while (!told.includes(what)) await new Promise<void>((resolve) => waiters.add(resolve))
    },
    close: (graceMs) => served.close(graceMs),
    drain: () => served.drain(),
    connections: () => served.connections(),
  }
}

/** A bare client connection to a server's URL. */
export async function client(t: TestContext, url: string): Promise<Peer> {
  const socket = url.startsWith('unix:')
    ? connect({ path: url.slice(5) })
    : connect({ host: new URL(url).hostname, port: Number(new URL(url).port) })
  await once(socket, 'connect')
  t.after(() => socket.destroy())
  return peerOf(socket)
}

/** Sends one request on a connection of its own and returns all that came back until the server closed. */
export async function exchange(t: TestContext, url: string, request: string): Promise<string> {
  const peer = await client(t, url)
  peer.socket.write(request, 'latin1')
  await peer.closed
  return peer.text
}

export const GET = 'GET /v1/models?x=1 HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n'

/** A POST of a small JSON body. */
export function post(body = '{"a":1}', extra = ''): string {
  return `POST /v1/chat HTTP/1.1\r\nHost: test\r\nContent-Length: ${body.length}\r\n${extra}\r\n${body}`
}
