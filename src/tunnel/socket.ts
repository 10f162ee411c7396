// A WebSocket inside a tunnel: its messages as the two bodies of one stream, joined with a real socket at each end.
import { UpstreamFailure, type HeaderList, type Outgoing } from '../host.ts'
import type { OpenStream } from './exchange.ts'
import { BINARY, CLOSE, encodeMessage, MessageReader, TEXT } from './messages.ts'
import type { StreamLike } from './stream.ts'

export type Message = string | ArrayBuffer | Uint8Array<ArrayBuffer>

/** One of two sockets that are joined. */
export interface NearSocket {
  send(message: Message): unknown
  close(code?: number, reason?: string): void
  /** Hands on nothing more until `resume`, where the runtime's sockets can do that: the other one takes nothing for now. */
  pause?(): void
  resume?(): void
}

/** The one that is elsewhere. What comes from there before the near one is joined waits. */
export interface FarSocket extends NearSocket {
  /** The subprotocol that was chosen; empty: none. */
  readonly protocol: string
  /** Called once, when the near one stands. */
  join(near: NearSocket): void
}

/** A near side that goes on sending what the other one does not take is cut off here, bytes. */
const MAX_WAITING = 16 * 1_048_576
/** RFC 6455: a close without a code is told as the first, and a connection that broke as an error of the server. */
const NO_CODE = 1005
const BROKEN = 1011

/** One end of a WebSocket that goes through a tunnel. */
export class TunnelSocket implements FarSocket {
  readonly protocol: string
  readonly #stream: StreamLike
  readonly #closed: () => void
  readonly #reader = new MessageReader()
  #near: NearSocket | null = null
  #waiting = 0
  #isOver = false

  /** `closed` is called once, when either side ended. */
  constructor(stream: StreamLike, protocol: string, closed: () => void) {
    this.protocol = protocol
    this.#stream = stream
    this.#closed = closed
    stream.pause()
    stream.ear = {
      data: (bytes) => this.#take(bytes),
      end: () => this.#end(NO_CODE, ''),
      fail: () => this.#end(BROKEN, 'the other side is gone'),
      room: () => {
        this.#waiting = 0
        this.#near?.resume?.()
      },
    }
  }

  join(near: NearSocket): void {
    if (this.#isOver) return near.close()
    this.#near = near
    this.#stream.resume()
  }

  send(message: Message): void {
    if (this.#isOver) return
    const isText = typeof message === 'string'
    const payload = isText ? new TextEncoder().encode(message) : bytesOf(message)
    if (this.#stream.write(encodeMessage(isText ? TEXT : BINARY, payload))) return
    this.#waiting += payload.byteLength
    this.#near?.pause?.()
    if (this.#waiting <= MAX_WAITING) return
    this.#stream.reset('reset', 'the other side takes no more')
    this.#end(1013, 'the other side takes no more')
  }

  close(code = NO_CODE, reason = ''): void {
    if (this.#isOver) return
    this.#isOver = true
    const text = new TextEncoder().encode(reason)
    const payload = new Uint8Array(2 + text.byteLength)
    new DataView(payload.buffer).setUint16(0, code)
    payload.set(text, 2)
    this.#stream.write(encodeMessage(CLOSE, payload))
    this.#stream.end()
    // What still comes is for nobody.
    this.#stream.ear = DEAF
    this.#stream.resume()
    this.#closed()
  }

  pause(): void {
    this.#stream.pause()
  }

  resume(): void {
    if (this.#near) this.#stream.resume()
  }

  #take(bytes: Uint8Array): void {
    for (const { kind, payload } of this.#reader.read(bytes)) {
      if (this.#isOver) return
      if (kind === TEXT) this.#near?.send(new TextDecoder().decode(payload))
      else if (kind === BINARY) this.#near?.send(payload)
      else {
        this.#stream.end()
        const code = payload.byteLength < 2 ? NO_CODE : (payload[0]! << 8) | payload[1]!
        this.#end(code, new TextDecoder().decode(payload.subarray(2)))
      }
    }
  }

  #end(code: number, reason: string): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#stream.ear = DEAF
    if (code === NO_CODE) this.#near?.close()
    else this.#near?.close(code, reason)
    this.#closed()
  }
}

const DEAF = { data: () => undefined, end: () => undefined, fail: () => undefined }

/** An engine's answer to a handshake that it does not take. */
export interface RefusedSocket {
  readonly status: number
  readonly headers: HeaderList
  /** The first `MAX_REFUSAL` bytes. */
  readonly body: Uint8Array<ArrayBuffer>
}

/** Of a refusal no more is told, bytes. */
export const MAX_REFUSAL = 65_536

/**
 * Opens a WebSocket to the engine behind a tunnel. Resolves with the engine's refusal where it takes none; rejects with
 * `UpstreamFailure`. `closed` is called once, when either side ended, but not without a socket.
 */
export function openSocket(
  open: OpenStream,
  outgoing: Outgoing,
  protocols: readonly string[],
  closed: () => void,
): Promise<TunnelSocket | RefusedSocket> {
  const { method, path, headers, connectTimeout, signal } = outgoing
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(new UpstreamFailure('aborted', 'the call was ended by the router'))
    const stream = open({ method, path, headers, length: -1, connectTimeout, once: true, protocols })
    const settle = () => signal.removeEventListener('abort', abort)
    const fail = (failure: UpstreamFailure) => {
      settle()
      reject(failure)
    }
    const abort = () => {
      stream.reset('aborted', 'the router ended the call')
      fail(new UpstreamFailure('aborted', 'the call was ended by the router'))
    }
    const settled = (taken: TunnelSocket | RefusedSocket) => {
      settle()
      resolve(taken)
    }
    signal.addEventListener('abort', abort)
    stream.ear = {
      head({ status, headers: given }) {
        const list = Array.isArray(given) ? given.map(String) : []
        if (status !== 101) return hearRefusal(stream, { status: Number(status), headers: list }, settled)
        const at = list.indexOf('sec-websocket-protocol')
        settled(new TunnelSocket(stream, at < 0 ? '' : String(list[at + 1]), closed))
      },
      data: () => undefined,
      end: () => fail(new UpstreamFailure('protocol', 'the engine gave no answer')),
      fail,
    }
  })
}

/** Reads what the engine says in place of a WebSocket; what breaks off is told as far as it came. */
function hearRefusal(
  stream: StreamLike,
  { status, headers }: Pick<RefusedSocket, 'status' | 'headers'>,
  heard: (refused: RefusedSocket) => void,
): void {
  const body = new Uint8Array(MAX_REFUSAL)
  let size = 0
  const end = () => {
    stream.reset('aborted', 'no WebSocket')
    const isError = Number.isInteger(status) && status >= 400 && status <= 599
    heard({ status: isError ? status : 502, headers, body: body.slice(0, size) })
  }
  stream.ear = {
    data(bytes) {
      const part = bytes.subarray(0, MAX_REFUSAL - size)
      body.set(part, size)
      size += part.byteLength
      if (size === MAX_REFUSAL) end()
    },
    end,
    fail: end,
  }
}

/** The subprotocols that a client asks for. */
export const protocolsOf = ({ headers }: Request): string[] =>
  (headers.get('sec-websocket-protocol') ?? '').split(/\s*,\s*/).filter(Boolean)

function bytesOf(message: ArrayBuffer | Uint8Array): Uint8Array {
  return message instanceof ArrayBuffer ? new Uint8Array(message) : message
}
