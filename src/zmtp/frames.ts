// ZMTP 3 frames (RFC 23 and 37): a byte of flags, a length of one or eight bytes, a body.

const MORE = 1
const LONG = 2
const COMMAND = 4
/** A length that a byte can't hold. */
const SHORT_LIMIT = 255

/** The other side broke the protocol, or sent more than it may: the connection is of no use any more. */
export class ZmtpError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'ZmtpError'
  }
}

export interface Frame {
  readonly isCommand: boolean
  /** Another frame of the same message follows. */
  readonly isMore: boolean
  readonly body: Uint8Array
}

/** Cuts a stream of bytes into frames, wherever its chunks end. */
export class FrameReader {
  readonly #limit: number
  /** A chunk as it came, or `#own`. */
  #bytes = new Uint8Array(0)
  /** The only buffer that is written to. */
  #own = new Uint8Array(0)
  /** What of `#bytes` is still to be read. */
  #start = 0
  #end = 0

  /** `limit`: bytes of the longest body that is taken. */
  constructor(limit: number) {
    this.#limit = limit
  }

  push(chunk: Uint8Array): void {
    if (this.#start === this.#end) {
      // Most often a chunk ends with a frame, and nothing need be copied together.
      this.#bytes = chunk as Uint8Array<ArrayBuffer>
      this.#start = 0
      this.#end = chunk.length
      return
    }
    const rest = this.#end - this.#start
    if (this.#end + chunk.length > this.#bytes.length || this.#bytes !== this.#own)
      this.#move(rest, chunk.length)
    this.#bytes.set(chunk, this.#end)
    this.#end += chunk.length
  }

  /** Exactly so many bytes (a greeting), or null while they are not all here. */
  take(count: number): Uint8Array | null {
    if (this.#end - this.#start < count) return null
    const taken = this.#bytes.slice(this.#start, this.#start + count)
    this.#start += count
    return taken
  }

  /** The next frame, or null while it is not all here. Throws `ZmtpError` for what is no frame, or too long. */
  next(): Frame | null {
    const bytes = this.#bytes
    const at = this.#start
    if (this.#end - at < 2) return null
    const flags = bytes[at]!
    if (flags > 7) throw new ZmtpError(`a frame with the flags ${flags}`)
    const head = (flags & LONG) === 0 ? 2 : 9
    if (this.#end - at < head) return null
    const length = head === 2 ? bytes[at + 1]! : lengthAt(bytes, at + 1)
    if (length > this.#limit)
      throw new ZmtpError(`a frame of ${length} bytes, where ${this.#limit} are allowed`)
    if (this.#end - at < head + length) return null
    this.#start = at + head + length
    const isCommand = (flags & COMMAND) !== 0
    return { isCommand, isMore: (flags & MORE) !== 0, body: bytes.slice(at + head, this.#start) }
  }

  /** Makes room for more bytes behind the rest; doubling, so that a long frame in small pieces costs what its length does. */
  #move(rest: number, more: number): void {
    const old = this.#bytes.subarray(this.#start, this.#end)
    const isRoomy = this.#own.length >= (rest + more) * 2
    const target = isRoomy ? this.#own : new Uint8Array(Math.max(4096, (rest + more) * 2))
    target.set(old)
    this.#own = target
    this.#bytes = target
    this.#start = 0
    this.#end = rest
  }
}

function lengthAt(bytes: Uint8Array, at: number): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, 8)
  return view.getUint32(0) * 0x100000000 + view.getUint32(4)
}

/** One message as bytes: all its parts, each in a frame. */
export function encodeMessage(parts: readonly Uint8Array[]): Uint8Array {
  return encode(parts, (i) => (i < parts.length - 1 ? MORE : 0))
}

/** A command: its name and what follows it. */
export function encodeCommand(name: string, data: Uint8Array): Uint8Array {
  const body = new Uint8Array(1 + name.length + data.length)
  body[0] = name.length
  new TextEncoder().encodeInto(name, body.subarray(1))
  body.set(data, 1 + name.length)
  return encode([body], () => COMMAND)
}

/** The name of a command and what follows it. Throws `ZmtpError` when it has none. */
export function readCommand(body: Uint8Array): { readonly name: string; readonly data: Uint8Array } {
  const length = body[0] ?? 0
  if (length === 0 || body.length < 1 + length) throw new ZmtpError('a command without a name')
  const name = String.fromCharCode(...body.subarray(1, 1 + length))
  return { name, data: body.subarray(1 + length) }
}

function encode(bodies: readonly Uint8Array[], flagsOf: (index: number) => number): Uint8Array {
  let size = 0
  for (const { length } of bodies) size += length + (length > SHORT_LIMIT ? 9 : 2)
  const bytes = new Uint8Array(size)
  const view = new DataView(bytes.buffer)
  let at = 0
  for (const [index, body] of bodies.entries()) {
    const isLong = body.length > SHORT_LIMIT
    bytes[at++] = flagsOf(index) | (isLong ? LONG : 0)
    if (isLong) {
      view.setUint32(at, Math.floor(body.length / 0x100000000))
      view.setUint32(at + 4, body.length)
      at += 8
    } else bytes[at++] = body.length
    bytes.set(body, at)
    at += body.length
  }
  return bytes
}
