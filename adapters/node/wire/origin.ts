// The connections to one worker: opens them, keeps idle ones for a while, hands them out again.
import { connect as connectTcp } from 'node:net'
import type { OnReadOpts, Socket } from 'node:net'
import { isIP } from 'node:net'
// The global of that name is a getter, which is called each time.
import { performance } from 'node:perf_hooks'
import { UpstreamFailure, type Signal } from '../../../src/host.ts'
import { tls as nodeTls } from '../builtins.ts'
import { arrivals, readPast, type Taker } from '../reader.ts'
import { Connection } from './connection.ts'
import type { Workbench } from './workbench.ts'

/** PEM texts that TLS connections to workers are made with; what is left out is the system's. */
export interface Certificates {
  readonly cert?: string
  readonly key?: string
  readonly ca?: readonly string[]
}

export interface Target {
  /** Value of the Host header. */
  readonly authority: string
  /** Path that all of the worker's paths hang under, without a trailing slash. */
  readonly basePath: string
  /** `taker` may get what arrives in place of the socket's 'data' event. */
  readonly open: (taker?: Taker) => Socket
}

/** Deno's sockets are not read past their streams, but into one buffer for all of them, too. */
const isDeno = 'deno' in process.versions

function arriving(taker: Taker | undefined): { onread?: OnReadOpts } {
  if (!taker || !isDeno) return {}
  const callback = (size: number) => {
    taker.arrive(arrivals, size)
    return true
  }
  return { onread: { buffer: arrivals, callback } }
}

/** How to reach a worker's URL: `http://`, `https://`, or `unix:/path`. Throws `UpstreamFailure` (`connect`) for anything else. */
export function targetOf(url: string, certificates: Certificates = {}): Target {
  if (url.startsWith('unix:')) {
    const path = url.slice('unix:'.length).replace(/^\/\/(?=\/)/, '')
    return { authority: 'localhost', basePath: '', open: (taker) => connectTcp({ path, ...arriving(taker) }) }
  }
  if (!URL.canParse(url)) throw new UpstreamFailure('connect', 'the worker has no valid URL')
  const { protocol, hostname, port, host: authority, pathname } = new URL(url)
  const host = hostname.startsWith('[') ? hostname.slice(1, -1) : hostname
  const basePath = pathname.replace(/\/+$/, '')
  const common = { host, noDelay: true, keepAlive: true, keepAliveInitialDelay: 30_000 }
  if (protocol === 'http:')
    return {
      authority,
      basePath,
      open: (taker) => connectTcp({ ...common, port: Number(port || 80), ...arriving(taker) }),
    }
  if (protocol !== 'https:')
    throw new UpstreamFailure('connect', 'a worker URL is http://, https:// or unix:')
  const servername = isIP(host) ? {} : { servername: host }
  const ALPNProtocols = ['http/1.1']
  const tls = { ...common, ...servername, ...certificates, port: Number(port || 443), ALPNProtocols }
  return { authority, basePath, open: () => nodeTls().connect({ ...tls, ca: tls.ca && [...tls.ca] }) }
}

/**
 * Opens a socket; resolves when it stands (TLS included). `timeout` in ms, 0: none.
 * Rejects with `UpstreamFailure`: `connect`, `connect_timeout` or what `failed` gives for an aborted signal.
 */
export function openSocket(target: Target, timeout: number, signal: Signal, taker?: Taker): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = target.open(taker)
    const ready = 'encrypted' in socket ? 'secureConnect' : 'connect'
    const stop = (failure: UpstreamFailure) => {
      settle()
      socket.on('error', () => undefined) // late errors of a socket that nobody waits for
      socket.destroy()
      reject(failure)
    }
    const onAbort = () => stop(abortFailure(signal))
    const onError = (error: Error) =>
      stop(new UpstreamFailure('connect', `cannot connect: ${describe(error)}`))
    const onClose = () => stop(new UpstreamFailure('connect', 'cannot connect: closed'))
    const onTimeout = () => stop(new UpstreamFailure('connect_timeout', `not connected within ${timeout} ms`))
    const timer = timeout > 0 ? setTimeout(onTimeout, timeout) : undefined
    const onReady = () => {
      settle()
      resolve(socket)
    }
    const settle = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', onAbort)
      socket.off(ready, onReady)
      socket.off('error', onError)
      socket.off('close', onClose)
    }
    socket.once(ready, onReady)
    socket.once('error', onError)
    socket.once('close', onClose)
    signal.addEventListener('abort', onAbort, { once: true })
  })
}

/** The failure that an aborted signal stands for: its reason when that is one already (a deadline), else `aborted`. */
export function abortFailure(signal: Signal): UpstreamFailure {
  const reason: unknown = signal.reason
  return reason instanceof UpstreamFailure
    ? reason
    : new UpstreamFailure('aborted', 'the call was ended by the router')
}

export class Origin {
  readonly target: Target
  /** The last one used is the next one taken: the others grow old and are closed. */
  #idle: Connection[] = []
  readonly #open = new Set<Connection>()
  #sweeper: ReturnType<typeof setTimeout> | null = null
  #closed = false
  readonly #workbench: Workbench
  readonly #idleMost: number

  /** `idleMost`: how long a connection is kept at most, ms. */
  constructor(target: Target, workbench: Workbench, idleMost: number) {
    this.target = target
    this.#workbench = workbench
    this.#idleMost = idleMost
  }

  /** An idle connection that the worker most likely still holds open, or null. `now`: of `performance`. */
  take(now: number): Connection | null {
    for (let connection = this.#idle.pop(); connection; connection = this.#idle.pop()) {
      if (connection.usable && now - connection.idleSince < connection.idleLimit) return connection
      connection.socket.destroy()
    }
    return null
  }

  /** A new connection; errors as `openSocket`. */
  async connect(timeout: number, signal: Signal): Promise<Connection> {
    let early = 0
    let connection: Connection | null = null
    const arrive = (bytes: Buffer, size: number) =>
      connection === null ? void (early += size) : connection.passing.arrive(bytes, size)
    const socket = await openSocket(this.target, timeout, signal, { arrive })
    connection = new Connection(socket, this.#workbench, (idle) => this.#keep(idle))
    readPast(socket, connection.passing)
    // Bytes that nobody asked for.
    if (early > 0) socket.destroy()
    this.#open.add(connection)
    socket.on('close', () => this.#open.delete(connection))
    return connection
  }

  /** Closes every connection, idle or not. */
  close(): void {
    this.#closed = true
    if (this.#sweeper) clearTimeout(this.#sweeper)
    for (const connection of this.#open) connection.socket.destroy()
    this.#idle = []
  }

  /** Open connections, idle ones included. */
  get size(): number {
    return this.#open.size
  }

  /** How often old connections are looked for, ms. */
  get #every(): number {
    return Math.max(50, Math.min(1000, this.#idleMost / 4))
  }

  #keep(connection: Connection): void {
    connection.idleLimit = Math.min(connection.idleLimit, this.#idleMost)
    if (this.#closed || connection.idleLimit <= 0) return void connection.socket.destroy()
    connection.idleSince = performance.now()
    this.#idle.push(connection)
    this.#sweeper ??= setTimeout(() => this.#sweep(), this.#every).unref()
  }

  #sweep(): void {
    this.#sweeper = null
    const now = performance.now()
    const isFresh = (connection: Connection) =>
      connection.usable && now - connection.idleSince < connection.idleLimit
    for (const connection of this.#idle) if (!isFresh(connection)) connection.socket.destroy()
    this.#idle = this.#idle.filter(isFresh)
    if (this.#idle.length > 0) this.#sweeper = setTimeout(() => this.#sweep(), this.#every).unref()
  }
}

function describe(error: Error): string {
  // Happy eyeballs wraps the errors of all addresses; the first one tells enough.
  const first = error instanceof AggregateError ? (error.errors[0] as Error) : error
  return 'code' in first ? String(first.code) : first.message
}
