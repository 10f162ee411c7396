// The router's side of tunnels on real sockets: takes those of workers that dial in, and sends requests and WebSockets through them.
import { UpstreamFailure, type Outgoing, type WorkerRef } from '../../src/host.ts'
import { Exchange } from '../../src/tunnel/exchange.ts'
import { MAX_FRAME } from '../../src/tunnel/frames.ts'
import type { TunnelHome, WireEar } from '../../src/tunnel/gate.ts'
import {
  openSocket,
  protocolsOf,
  type FarSocket,
  type Message,
  type NearSocket,
} from '../../src/tunnel/socket.ts'
import { NodeUpstream, type Way } from '../node/upstream.ts'
import { refusedResponse } from './refused.ts'

/**
 * Answers a client's handshake, and joins its socket with `far` when it stands. `maxMessage` in bytes, where the runtime can
 * be told. Throws what the runtime does when the request can't be upgraded; `far` is closed then.
 */
export type TakeSocket = (
  request: Request,
  far: FarSocket,
  maxMessage: number,
) => Response | Promise<Response>

/** No message of a client may be larger, bytes. */
const MAX_MESSAGE = 64 * 1024 * 1024

/** RFC 6455: a message was larger than the other side takes. */
export const TOO_LARGE = 1009

export class TunnelHall {
  readonly home: TunnelHome
  readonly #take: TakeSocket

  constructor(home: TunnelHome, take: TakeSocket) {
    this.home = home
    this.#take = take
  }

  /** Answers the handshake of a worker; the tunnel begins when the socket stands. */
  async accept(request: Request): Promise<Response> {
    return this.#take(request, new Dialled(this.home), MAX_FRAME)
  }

  /** Sends a request through the tunnel of a worker. Errors as `Host.fetch`. */
  async fetch(worker: WorkerRef, outgoing: Outgoing): Promise<NodeUpstream> {
    const exchange = new Exchange()
    const send: Way['send'] = (sent, receiver) => {
      this.home
        .ready(worker.url, sent)
        .then((open) => exchange.send(open, sent, receiver))
        .catch((error: unknown) => {
          const isOurs = error instanceof UpstreamFailure
          receiver.fail(isOurs ? error : new UpstreamFailure('protocol', String(error)))
        })
    }
    return new NodeUpstream(exchange, outgoing.signal).send(outgoing, { send })
  }

  /** Joins a client's WebSocket with one to the engine behind a tunnel. Errors as `Host.upgrade`. */
  async upgrade(
    worker: WorkerRef,
    request: Request,
    outgoing: Outgoing,
    closed: () => void,
  ): Promise<Response> {
    const open = await this.home.ready(worker.url, outgoing)
    const far = await openSocket(open, outgoing, protocolsOf(request), closed)
    if ('join' in far) return this.#take(request, far, MAX_MESSAGE)
    closed()
    return refusedResponse(far)
  }
}

/** The socket of a worker that dials in, as the gate takes it. */
class Dialled implements FarSocket {
  readonly protocol = ''
  readonly #home: TunnelHome
  #near: NearSocket | null = null
  #ear: WireEar | null = null

  constructor(home: TunnelHome) {
    this.#home = home
  }

  join(near: NearSocket): void {
    this.#near = near
    this.#ear = this.#home.accept({
      send: (frame) => void near.send(frame as Uint8Array<ArrayBuffer>),
      close: (code, reason) => near.close(code, reason),
    })
  }

  send(message: Message): void {
    if (typeof message === 'string') return this.#near?.close(1003, 'frames are binary')
    this.#ear?.message(message instanceof ArrayBuffer ? new Uint8Array(message) : message)
  }

  close(code?: number): void {
    // A frame that did not even get here is no frame: its link must not wait for another connection.
    if (code === TOO_LARGE) this.#ear?.message(new Uint8Array(0))
    this.#ear?.closed(code)
    this.#ear = null
  }
}
