// The router's side of tunnels on Node: WebSockets by the ws package, requests through them for the Node relay.
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { WebSocketServer, type WebSocket } from 'ws'
import { UpstreamFailure, type Host, type Outgoing, type WorkerRef } from '../../src/host.ts'
import { Exchange } from '../../src/tunnel/exchange.ts'
import { MAX_FRAME } from '../../src/tunnel/frames.ts'
import { Gate } from '../../src/tunnel/gate.ts'
import type { LinkTimes } from '../../src/tunnel/link.ts'
import type { Config } from '../../src/config/schema.ts'
import { NodeRequest } from './request.ts'
import { SocketResponse } from './upgrade.ts'
import { NodeUpstream } from './upstream.ts'
import { listen, wireOf } from './wire/websocket.ts'

export type HallSeams = ConstructorParameters<typeof Gate>[1] & { readonly tunnelTimes?: LinkTimes }

export class TunnelHall {
  readonly gate: Gate
  readonly #server = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    maxPayload: MAX_FRAME,
    clientTracking: false,
  })
  readonly #log: Host['log']
  #isClosed = false

  constructor(config: Config, seams: HallSeams) {
    this.gate = new Gate(config, seams, seams.tunnelTimes)
    this.#log = seams.log
  }

  /** Answers the handshake; the tunnel begins when the server attaches the socket. */
  accept(request: Request): Response {
    if (!(request instanceof NodeRequest) || !request.isUpgrade)
      throw new TypeError('the request asks for no upgrade')
    const headers: Record<string, string> = {}
    for (const [name, value] of request.headers) headers[name] = value
    const handshake = { method: 'GET', url: '/', headers } as unknown as IncomingMessage
    const attach = (client: Duplex, early: Buffer) =>
      this.#server.handleUpgrade(handshake, client, early, (socket) => this.#take(socket))
    return new TunnelResponse(attach) as unknown as Response
  }

  /** Sends a request through the tunnel of a worker. Errors as `Host.fetch`. */
  async fetch(worker: WorkerRef, outgoing: Outgoing): Promise<NodeUpstream> {
    const tunnel = this.gate.find(worker.url)
    if (!tunnel) throw new UpstreamFailure('connect', 'this worker has not dialled in')
    const exchange = new Exchange()
    return new NodeUpstream(exchange, outgoing.signal).send((receiver) => {
      tunnel.send(exchange, outgoing, receiver).catch((error: unknown) => {
        const isOurs = error instanceof UpstreamFailure
        if (!isOurs) this.#log({ level: 'error', message: 'a tunnel failed', error })
        receiver.fail(isOurs ? error : new UpstreamFailure('protocol', String(error)))
      })
    })
  }

  close(): void {
    this.#isClosed = true
    this.gate.close()
  }

  #take(socket: WebSocket): void {
    const wire = wireOf(socket)
    if (this.#isClosed) return wire.close(1001, 'the router stops')
    listen(socket, this.gate.accept(wire))
  }
}

/** Hands the client's socket over. */
class TunnelResponse extends SocketResponse {
  readonly #attach: SocketResponse['attach']

  constructor(attach: SocketResponse['attach']) {
    super()
    this.#attach = attach
  }

  get status(): number {
    return 101
  }

  get headers(): Headers {
    return new Headers()
  }

  get body(): null {
    return null
  }

  attach(client: Duplex, early: Buffer): void {
    this.#attach(client, early)
  }

  drop(): void {}
}
