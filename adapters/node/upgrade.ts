// Host.upgrade on Node: joins a client's WebSocket handshake with a worker's, then pipes raw bytes both ways.
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { UpstreamFailure } from '../../src/host.ts'
import type { Host, Outgoing, Signal } from '../../src/host.ts'
import { listOf } from './headers.ts'
import { NodeRequest } from './request.ts'
import { NativeResponse } from './response.ts'
import { ChunkDecoder } from './wire/chunks.ts'
import { parseHead } from './wire/head.ts'
import type { ParsedHead } from './wire/head.ts'
import { HeadRoom } from './wire/request-head.ts'
import { abortFailure, openSocket, targetOf, type Certificates, type Target } from './wire/origin.ts'

const MAX_HEAD = 65_536
/** How long a refused client may take to read the end and close, ms. */
const LINGER = 250

/**
 * Makes `Host.upgrade`, which reaches workers by the same certificates as calls do. It sends a client's handshake to a worker and returns
 * what the worker said: an `UpgradeResponse` that the server attaches to the client's socket. Rejects with `UpstreamFailure`; `closed` is
 * called once, when either side ended, but not after a rejection.
 */
export function createUpgrade(certificates: Certificates = {}): NonNullable<Host['upgrade']> {
  return async ({ url }, request, outgoing, closed) =>
    join(targetOf(url, certificates), request, outgoing, closed)
}

async function join(
  target: Target,
  request: Request,
  outgoing: Outgoing,
  closed: () => void,
): Promise<Response> {
  if (!(request instanceof NodeRequest) || !request.isUpgrade)
    throw new TypeError('the request asks for no upgrade')
  const handshake = ['connection', 'Upgrade', 'upgrade', request.headers.get('upgrade') ?? 'websocket']
  for (const [name, value] of request.headers)
    if (name.startsWith('sec-websocket-')) handshake.push(name, value)
  const others = outgoing.headers.filter((_, i) => !isHandshake(outgoing.headers[i - (i % 2)]!))
  const { path } = outgoing
  const room = new HeadRoom(4096)
  const size = room.write(target, { method: 'GET', path, headers: [...others, ...handshake], body: null })
  const socket = await openSocket(target, outgoing.connectTimeout, outgoing.signal)
  socket.write(room.bytes.subarray(0, size))
  const { answer, rest } = await readAnswer(socket, outgoing.signal)
  return new UpgradeResponse(socket, answer, { rest, closed }) as unknown as Response
}

function isHandshake(name: string): boolean {
  return name === 'connection' || name === 'upgrade' || name === 'host' || name.startsWith('sec-websocket-')
}

interface Rest {
  /** Bytes that came behind the head. */
  readonly rest: Buffer
  readonly closed: () => void
}

/** A Response that takes the client's socket over. Only the server can send it. */
export abstract class SocketResponse {
  abstract attach(client: Duplex, early: Buffer): void
  /** Nobody is there any more to send it to. */
  abstract drop(): void
}

/** The worker's answer to a handshake: 101, or a refusal whose body follows. */
export class UpgradeResponse extends SocketResponse {
  readonly #worker: Socket
  readonly #head: ParsedHead
  readonly #rest: Rest

  constructor(worker: Socket, head: ParsedHead, rest: Rest) {
    super()
    this.#worker = worker
    this.#head = head
    this.#rest = rest
    worker.once('close', () => rest.closed())
  }

  get status(): number {
    return this.#head.status
  }

  get ok(): boolean {
    return false
  }

  get headers(): Headers {
    const { headers } = this.#head
    const pairs: [string, string][] = []
    for (let i = 0; i < headers.length; i += 2) pairs.push([headers[i]!, headers[i + 1]!])
    return new Headers(pairs)
  }

  get body(): null {
    return null
  }

  drop(): void {
    this.#worker.destroy()
  }

  /** Sends the worker's answer and joins both sockets; `early` bytes of the client go first. */
  attach(client: Duplex, early: Buffer): void {
    const worker = this.#worker
    const { status, raw } = this.#head
    let head = `HTTP/1.1 ${status} ${status === 101 ? 'Switching Protocols' : 'Refused'}\r\n`
    // A refusal is read to its end by the framing that the worker chose, so its bytes go through as they are.
    for (let i = 0; i < raw.length; i += 2) {
      if (status === 101 || raw[i]!.toLowerCase() !== 'connection') head += `${raw[i]!}: ${raw[i + 1]!}\r\n`
    }
    client.write(status === 101 ? `${head}\r\n` : `${head}Connection: close\r\n\r\n`, 'latin1')
    if (status !== 101) return refuse(client, worker, this.#head, this.#rest.rest)
    if (this.#rest.rest.length > 0) client.write(this.#rest.rest)
    if (early.length > 0) worker.write(early)
    client.pipe(worker)
    worker.pipe(client)
    const endBoth = () => {
      client.destroy()
      worker.destroy()
    }
    client.once('error', endBoth)
    client.once('close', endBoth)
    worker.once('error', endBoth)
    worker.once('close', () => client.end())
    if ('setNoDelay' in client) (client as Socket).setNoDelay(true)
  }
}

/**
 * Passes the body of a worker's refusal, and closes. The sockets are not joined: to the worker, what the client sends
 * next would be requests, past everything that the router checks.
 */
function refuse(client: Duplex, worker: Socket, { framing }: ParsedHead, rest: Buffer): void {
  const chunks = framing.kind === 'chunked' ? new ChunkDecoder() : null
  let left = framing.kind === 'length' ? framing.length : framing.kind === 'none' ? 0 : Infinity
  const end = () => {
    worker.destroy()
    client.end(() => setTimeout(() => client.destroy(), LINGER).unref())
  }
  const pass = (bytes: Buffer) => {
    let passed = bytes
    try {
      // The decoder works in place; the client gets the bytes as they came.
      if (chunks?.decode(Buffer.from(bytes)) && chunks.done) left = chunks.consumed
    } catch {
      return end()
    }
    if (bytes.length > left) passed = bytes.subarray(0, left)
    left -= passed.length
    if (passed.length > 0 && !client.write(passed)) worker.pause()
    if (left <= 0) end()
  }
  client.on('data', () => undefined) // read and dropped, so that closing is no reset
  client.on('drain', () => worker.resume())
  client.once('close', () => worker.destroy())
  worker.on('data', pass)
  worker.once('error', end)
  worker.once('close', end)
  pass(rest)
  worker.resume()
}

function readAnswer(socket: Socket, signal: Signal): Promise<{ answer: ParsedHead; rest: Buffer }> {
  return new Promise((resolve, reject) => {
    let bytes: Buffer = Buffer.alloc(0)
    const stop = (failure: UpstreamFailure) => {
      settle()
      socket.on('error', () => undefined) // late errors of a socket that nobody waits for
      socket.destroy()
      reject(failure)
    }
    const onAbort = () => stop(abortFailure(signal))
    const onClose = () =>
      stop(new UpstreamFailure('reset', 'the worker closed the connection in the handshake'))
    const onData = (more: Buffer) => {
      bytes = Buffer.concat([bytes, more])
      const end = bytes.indexOf('\r\n\r\n')
      if (end < 0 && bytes.length > MAX_HEAD)
        return stop(new UpstreamFailure('protocol', 'the head is too large'))
      if (end < 0) return
      try {
        const answer = parseHead(bytes.toString('latin1', 0, end + 4), 'GET')
        settle()
        socket.pause()
        resolve({ answer, rest: bytes.subarray(end + 4) })
      } catch (error) {
        stop(error instanceof UpstreamFailure ? error : new UpstreamFailure('protocol', String(error)))
      }
    }
    const settle = () => {
      socket.off('data', onData)
      socket.off('error', onClose)
      socket.off('close', onClose)
      signal.removeEventListener('abort', onAbort)
    }
    socket.on('data', onData)
    socket.once('error', onClose)
    socket.once('close', onClose)
    if (signal.aborted) return onAbort()
    signal.addEventListener('abort', onAbort)
  })
}

/** Writes an ordinary response (a refusal) where a client asked for an upgrade, and closes. */
export function sendOnSocket(response: Response, socket: Duplex): void {
  const send = async () => {
    const body = new Uint8Array(await response.arrayBuffer())
    let head = `HTTP/1.1 ${response.status} ${response.statusText || 'Refused'}\r\n`
    const headers = response instanceof NativeResponse ? response.list : listOf(response.headers)
    for (let i = 0; i < headers.length; i += 2) {
      if (!/^(?:connection|content-length|transfer-encoding)$/i.test(headers[i]!))
        head += `${headers[i]!}: ${headers[i + 1]!}\r\n`
    }
    socket.write(`${head}Content-Length: ${body.byteLength}\r\nConnection: close\r\n\r\n`, 'latin1')
    socket.end(body, () => setTimeout(() => socket.destroy(), 250).unref())
  }
  send().catch(() => socket.destroy())
}
