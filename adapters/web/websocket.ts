// A worker's WebSocket opened by the runtime's own client, to be joined with a client's.
import { UpstreamFailure } from '../../src/host.ts'
import type { Outgoing, WorkerRef } from '../../src/host.ts'
import type { FarSocket, Message, NearSocket } from '../../src/tunnel/socket.ts'

/** Deno's and Bun's WebSocket takes headers; the web's does not. */
type WebSocketMaker = new (
  url: string,
  options: { protocols: readonly string[]; headers: Record<string, string> },
) => WebSocket

/** The worker's side. What comes before the client is joined waits. */
class WorkerSocket implements FarSocket {
  readonly #socket: WebSocket
  readonly #closed: () => void
  #client: NearSocket | null = null
  #early: Message[] = []

  constructor(socket: WebSocket, closed: () => void) {
    this.#socket = socket
    this.#closed = closed
    socket.onmessage = ({ data }) => {
      if (this.#client) this.#client.send(data as Message)
      else this.#early.push(data as Message)
    }
  }

  /** The subprotocol that the worker chose; empty: none. */
  get protocol(): string {
    return this.#socket.protocol
  }

  /** Called once, when the client's side stands. */
  join(client: NearSocket): void {
    const socket = this.#socket
    this.#client = client
    for (const message of this.#early) client.send(message)
    this.#early = []
    const end = (code: number, reason: string) => {
      client.close(code, reason)
      this.#closed()
    }
    socket.onclose = ({ code, reason }) => end(code, reason)
    if (socket.readyState === WebSocket.CLOSED) end(1000, '')
  }

  send(message: Message): void {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(message)
  }

  /** The client has gone; also for one that never came. */
  close(code = 1005, reason = ''): void {
    if (!this.#client) this.#socket.onclose = () => this.#closed()
    this.#socket.close(...speakable(code, reason))
  }
}

/**
 * Opens the worker's side with what the client asked for. Rejects with `UpstreamFailure`; why a worker refused is not told by the web's
 * API.
 */
export function openWorkerSocket(
  worker: WorkerRef,
  protocols: readonly string[],
  outgoing: Outgoing,
  closed: () => void,
): Promise<WorkerSocket> {
  const url = worker.url.replace(/^http/, 'ws').replace(/\/+$/, '') + outgoing.path
  const headers: Record<string, string> = {}
  for (let i = 0; i < outgoing.headers.length; i += 2) {
    const name = outgoing.headers[i] as string
    if (!HANDSHAKE.test(name)) headers[name] = outgoing.headers[i + 1] as string
  }
  return new Promise((resolve, reject) => {
    const socket = new (WebSocket as unknown as WebSocketMaker)(url, { protocols, headers })
    socket.binaryType = 'arraybuffer'
    const fail = (failure: UpstreamFailure) => {
      settle()
      socket.close()
      reject(failure)
    }
    const onAbort = () => fail(new UpstreamFailure('aborted', 'the call was ended by the router'))
    const settle = () => {
      clearTimeout(timer)
      outgoing.signal.removeEventListener('abort', onAbort)
      socket.onopen = socket.onerror = socket.onclose = null
    }
    const { connectTimeout } = outgoing
    const isLate = () =>
      fail(new UpstreamFailure('connect_timeout', `no WebSocket within ${connectTimeout} ms`))
    const timer = connectTimeout > 0 ? setTimeout(isLate, connectTimeout) : undefined
    const early = new WorkerSocket(socket, closed)
    socket.onopen = () => {
      settle()
      resolve(early)
    }
    socket.onerror = socket.onclose = () =>
      fail(new UpstreamFailure('connect', 'the worker took no WebSocket'))
    if (outgoing.signal.aborted) return onAbort()
    outgoing.signal.addEventListener('abort', onAbort)
  })
}

const HANDSHAKE = /^(?:connection|upgrade|host|sec-websocket-.*)$/i

/** A client's socket of the runtime, as the near side of a joined pair. */
export const nearOf = (socket: NearSocket): NearSocket => ({
  send: (message) => socket.send(message),
  close: (code = 1005, reason = '') => socket.close(...speakable(code, reason)),
})

/** Of the codes that a close frame may carry, those that the API lets us send; without one there is none in the frame. */
function speakable(code: number, reason: string): [code?: number, reason?: string] {
  return code === 1000 || (code >= 3000 && code <= 4999) ? [code, reason] : []
}
