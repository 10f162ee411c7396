// Takes clients' WebSockets by the ws package, where there is no worker's socket whose bytes could just be piped.
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { WebSocketServer, type WebSocket } from 'ws'
import type { FarSocket, Message, NearSocket } from '../../src/tunnel/socket.ts'
import { TOO_LARGE } from '../web/tunnel-hall.ts'
import { NodeRequest } from './request.ts'
import { SocketResponse } from './upgrade.ts'

/** A peer that does not answer a close is cut off after this, ms. */
const CLOSE_PATIENCE = 1000
/** Bytes that may wait for a client that reads slowly before the far side is held back. */
const HIGH_WATER = 1_048_576

/** A `TakeSocket`: the response hands the client's socket over when the server attaches it. */
export function take(request: Request, far: FarSocket, maxMessage: number): Response {
  if (!(request instanceof NodeRequest) || !request.isUpgrade)
    throw new TypeError('the request asks for no upgrade')
  const headers: Record<string, string> = {}
  for (const [name, value] of request.headers) headers[name] = value
  const handshake = { method: 'GET', url: '/', headers } as unknown as IncomingMessage
  const server = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    clientTracking: false,
    maxPayload: maxMessage,
    handleProtocols: () => far.protocol || false,
  })
  const attach = (client: Duplex, early: Buffer) => {
    // Where the handshake is refused, nobody else tells.
    let isTaken = false
    client.once('close', () => isTaken || far.close())
    server.handleUpgrade(handshake, client, early, (socket) => {
      isTaken = true
      join(socket, far)
    })
  }
  return new TakenResponse(attach, () => far.close()) as unknown as Response
}

function join(socket: WebSocket, far: FarSocket): void {
  socket.on('message', (message, isBinary) => {
    far.send(isBinary ? (message as Buffer<ArrayBuffer>) : (message as Buffer).toString())
  })
  socket.on('error', (error) => {
    // 'close' follows, but it does not say so.
    if ('code' in error && error.code === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH') far.close(TOO_LARGE, '')
  })
  socket.on('close', (code, reason) => far.close(code, reason.toString()))
  far.join(nearOf(socket, far))
}

/** The near side of a ws socket; what it does not take holds the far one back. */
function nearOf(socket: WebSocket, far: FarSocket): NearSocket {
  let waiting = 0
  return {
    send(message: Message) {
      if (socket.readyState !== socket.OPEN) return
      const size = typeof message === 'string' ? message.length : message.byteLength
      waiting += size
      if (waiting > HIGH_WATER) far.pause?.()
      socket.send(message, () => {
        const wasFull = waiting > HIGH_WATER
        waiting -= size
        if (wasFull && waiting <= HIGH_WATER) far.resume?.()
      })
    },
    close(code, reason) {
      if (code === undefined || code === 1005 || code === 1006) socket.close()
      else socket.close(code, reason?.slice(0, 100))
      setTimeout(() => socket.terminate(), CLOSE_PATIENCE).unref()
    },
    pause: () => socket.pause(),
    resume: () => socket.resume(),
  }
}

/** Hands the client's socket over. */
class TakenResponse extends SocketResponse {
  readonly #attach: SocketResponse['attach']
  readonly #dropped: () => void

  constructor(attach: SocketResponse['attach'], dropped: () => void) {
    super()
    this.#attach = attach
    this.#dropped = dropped
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

  drop(): void {
    this.#dropped()
  }
}
