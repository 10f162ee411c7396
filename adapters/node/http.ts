// The server in front: node:http (strict llhttp), hardened, calling one fetch handler.
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { AddressInfo, Server as Door } from 'node:net'
import type { Duplex } from 'node:stream'
import { Soon, type Waiter } from '../../src/soon.ts'
import { makeAlike } from './alike.ts'
import { http as nodeHttp, https } from './builtins.ts'
import type { Exchange } from './client/exchange.ts'
import { Lanes, type LaneTimes } from './client/lanes.ts'
import { OrdinaryExchange, OrdinaryIncoming, wrongWith } from './client/ordinary.ts'
import { probe } from './client/parser.ts'
import { NodeRequest, Origins } from './request.ts'
import type { RequestContext } from './request.ts'
import { onClientError, refuseConnect } from './refusals.ts'
import { dropResponse } from './send.ts'
import { freeSocketFile } from './socket-file.ts'
import { sendOnSocket, SocketResponse } from './upgrade.ts'
import { Visit, type Ward } from './visit.ts'

export type Handler = (request: Request) => Promise<Response> | Soon<Response> | Response

export interface ServeOptions {
  readonly host?: string
  /** 0 (the default) takes a free one. */
  readonly port?: number
  /** Several threads listen on the same port, and the system gives each new connection to one of them. */
  readonly reusePort?: boolean
  /** Unix socket to listen on in place of host and port. */
  readonly socket?: string
  /** PEM texts: serve HTTPS. */
  readonly tls?: {
    readonly cert: string | Buffer
    readonly key: string | Buffer
    /** 48 bytes: threads that share a port resume each other's sessions. */
    readonly ticketKeys?: Buffer
  }
  /** Largest request head, bytes; above it 431. */
  readonly maxHeader?: number
  /** Largest body that `request.bytes()` and its kin read, bytes; 0: any. */
  readonly maxBody?: number
  /** Hears of a handler that threw: a bug, for its contract is to answer. */
  readonly onError?: (error: unknown) => void
  /** A handler that throws breaks the connection in place of a 500: so die simulated engines. */
  readonly breaksOnError?: boolean
  /** False: every request by node:http's own messages, as where its parser can't be listened to. */
  readonly lanes?: boolean
  /** The handler never asks what a request or an answer is an instance of: `fetch` is not loaded for that. */
  readonly isOwn?: boolean
}

export interface Served {
  /** `http://127.0.0.1:8000`, or `unix:/path`. */
  readonly url: string
  readonly port: number
  /** From now on every response asks its client to open no further request on that connection. */
  drain(): void
  /** Waits until live responses have ended, at most `graceMs`; then stops listening and ends what is left. */
  close(graceMs: number): Promise<void>
  /** Open connections, idle ones included. */
  connections(): number
}

/** Starts to listen; rejects with the system's error (`EADDRINUSE`, …). */
export async function serve(handler: Handler, options: ServeOptions = {}): Promise<Served> {
  const front = new Front(handler, options)
  await front.listen()
  return front
}

// A peer that idles must not be cut before it gives up itself: load balancers keep connections for 60 s.
const TIMES: LaneTimes = { keepAlive: 75_000, head: 60_000, looks: 5000 }
/** Bytes that a client may send before its handshake is answered. */
const EARLY = 65_536

class Front implements Served, Ward {
  url = ''
  port = 0
  isDraining = false
  readonly breaksOnError: boolean
  readonly #handler: Handler
  readonly #options: ServeOptions
  readonly #http: Server
  /** What listens: the same, unless there are lanes. */
  readonly #door: Door
  readonly #lanes: Lanes | null = null
  readonly #sockets = new Set<Duplex>()
  /** Of an ordinary request. */
  readonly #context: RequestContext
  #live = 0
  #onQuiet: (() => void) | null = null

  constructor(handler: Handler, options: ServeOptions) {
    if (!options.isOwn) makeAlike()
    this.#handler = handler
    this.#options = options
    this.breaksOnError = options.breaksOnError ?? false
    const origins = new Origins(options.tls ? 'https' : 'http')
    this.#context = { origins, maxBody: options.maxBody ?? 0, isUpgrade: false }
    const settings = {
      keepAliveTimeout: TIMES.keepAlive,
      headersTimeout: TIMES.head,
      // Uploads are timed by their rate, in the app.
      requestTimeout: 0,
      connectionsCheckingInterval: TIMES.looks,
      maxHeaderSize: options.maxHeader ?? 65_536,
      noDelay: true,
      insecureHTTPParser: false,
      // Other protocols (h2c) are passed over: such a request is an ordinary one.
      shouldUpgradeCallback: isWebSocket,
    }
    const shape = (options.lanes ?? true) ? probe() : null
    const isTls = shape === null && options.tls !== undefined
    const http = isTls
      ? https().createServer({ ...settings, ...options.tls })
      : nodeHttp.createServer(settings)
    http.maxHeadersCount = 0
    http.on('request', (req, res) => this.#onRequest(req, res, false))
    http.on('checkContinue', (req, res) => this.#onRequest(req, res, true))
    http.on('connect', (_req, socket) => refuseConnect(socket))
    http.on('upgrade', (req, socket, head) => this.#onUpgrade(req, socket, head))
    http.on('clientError', (error, socket) => onClientError(error, socket, this.#lanes?.isAnswering(socket)))
    const serve = (exchange: Exchange) => this.#serve(exchange)
    if (shape !== null) this.#lanes = new Lanes(http, { shape, times: TIMES, tls: options.tls, serve })
    this.#http = http
    this.#door = this.#lanes?.door ?? http
    const sockets = this.#sockets
    // One for all of them.
    const closed = function (this: Duplex) {
      sockets.delete(this)
    }
    // Under TLS these are the bare sockets, so that one whose handshake never ends is closed, too.
    this.#door.on('connection', (socket: Duplex) => {
      sockets.add(socket)
      socket.on('close', closed)
    })
  }

  async listen(): Promise<void> {
    const { socket, host = '127.0.0.1', port = 0, reusePort = false, tls } = this.#options
    if (socket !== undefined) await freeSocketFile(socket)
    await new Promise<void>((resolve, reject) => {
      this.#door.once('error', reject)
      this.#door.listen(
        socket === undefined ? { host, port, reusePort, backlog: 4096 } : { path: socket, backlog: 4096 },
        () => {
          this.#door.off('error', reject)
          resolve()
        },
      )
    })
    if (socket !== undefined) {
      this.url = `unix:${socket}`
      return
    }
    const address = this.#door.address() as AddressInfo
    const name = address.family === 'IPv6' ? `[${address.address}]` : address.address
    this.port = address.port
    this.url = `${tls ? 'https' : 'http'}://${name}:${address.port}`
  }

  connections(): number {
    return this.#sockets.size
  }

  drain(): void {
    this.isDraining = true
  }

  onError(error: unknown): void {
    this.#options.onError?.(error)
  }

  async close(graceMs: number): Promise<void> {
    this.isDraining = true
    const deadline = performance.now() + graceMs
    do {
      await this.#untilQuiet(deadline - performance.now())
      // What has reached this machine already is read before the doors close.
      await turn()
      await turn()
    } while (this.#live > 0 && performance.now() < deadline)
    const closed = new Promise<void>((resolve) => this.#door.close(() => resolve()))
    this.#lanes?.closeIdle()
    this.#http.closeIdleConnections()
    // What was answered last may still wait in the sockets' buffers.
    const isFlushing = [...this.#sockets].some((socket) => socket.writableLength > 0)
    if (this.#live === 0 && isFlushing) await Promise.race([closed, later(1000)])
    this.#http.closeAllConnections()
    for (const socket of this.#sockets) socket.destroy()
    await closed
  }

  async #untilQuiet(ms: number): Promise<void> {
    if (this.#live === 0 || ms <= 0) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms)
      this.#onQuiet = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  #onRequest(req: IncomingMessage, res: ServerResponse, isWaiting: boolean): void {
    // Sent behind a response that said it was the last one on its connection.
    if (req.socket.writableEnded) return
    const wrong = wrongWith(req)
    if (wrong > 0) res.writeHead(wrong, ['Connection', 'close']).end()
    else this.#serve(new OrdinaryExchange(req, res, isWaiting))
  }

  #serve(exchange: Exchange): void {
    this.#live++
    const request = new NodeRequest(exchange, this.#context)
    this.#run(request, new Visit(this, exchange, request))
  }

  /** A request is over. */
  finish(): void {
    if (--this.#live === 0) this.#onQuiet?.()
  }

  #onUpgrade(req: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', () => undefined) // what matters is told by its 'close'
    const request = new NodeRequest(new OrdinaryIncoming(req), { ...this.#context, isUpgrade: true })
    // Read on while the handshake is under way: a client that leaves is noticed by reading alone.
    // It lies where the next connection is read to.
    const early: Buffer[] = [Buffer.from(head)]
    let room = EARLY - head.length
    const onData = (bytes: Buffer) => {
      early.push(bytes)
      if ((room -= bytes.length) < 0) socket.pause()
    }
    const onEnd = () => socket.destroy()
    socket.on('data', onData)
    socket.on('end', onEnd)
    let isAnswered = false
    this.#live++
    socket.once('close', () => {
      this.finish()
      if (!isAnswered) request.leave()
    })
    const answer = (response: Response) => {
      isAnswered = true
      if (socket.destroyed)
        return response instanceof SocketResponse ? response.drop() : dropResponse(response)
      if (!(response instanceof SocketResponse)) return sendOnSocket(response, socket)
      socket.off('data', onData)
      socket.off('end', onEnd)
      response.attach(socket, Buffer.concat(early))
    }
    const failed = (error: unknown) => {
      this.onError(error)
      socket.destroy()
    }
    const came = (response: Response) => {
      try {
        answer(response)
      } catch (error) {
        failed(error)
      }
    }
    this.#run(request, { came, failed })
  }

  /** Calls the handler, and tells what came of it. */
  #run(request: NodeRequest, waiter: Waiter<Response>): void {
    try {
      const result = this.#handler(request as unknown as Request)
      if (result instanceof Soon) result.tell(waiter)
      else if (result instanceof Promise) Soon.of(result).tell(waiter)
      else waiter.came(result)
    } catch (error) {
      waiter.failed(error)
    }
  }
}

function isWebSocket(req: IncomingMessage): boolean {
  return req.method === 'GET' && req.headers.upgrade?.toLowerCase() === 'websocket'
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

function later(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms).unref())
}
