// Reads the body of an incoming request: whole into one buffer, or as a web stream.
// The global is a getter, and asked for each body.
import { Buffer } from 'node:buffer'
import { bodies } from './body-memory.ts'
import type { BodyTaker, Incoming } from './client/exchange.ts'

/** The client sent more than it may; the app answers 413. */
class BodyTooLarge extends Error {
  readonly code = 'body_too_large'
  constructor(limit: number) {
    super(`the request body is larger than ${limit} bytes`)
    this.name = 'BodyTooLarge'
  }
}

/** The client left (or was cut) before its body was whole. */
class BodyCut extends Error {
  readonly code = 'body_cut'
  constructor() {
    super('the request body ended early')
    this.name = 'BodyCut'
  }
}

/**
 * Reads a whole body. With a Content-Length its bytes are written into one buffer of that size as they come, so
 * that memory holds each byte once; without, the buffer doubles. `limit` in bytes, 0: none. `count` hears of each read.
 * Rejects with `BodyTooLarge` or `BodyCut`.
 */
export function readBody(
  incoming: Incoming,
  limit: number,
  count: (bytes: number) => void,
): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const { length } = incoming
    if (limit > 0 && (length ?? 0) > limit) return reject(new BodyTooLarge(limit))
    if (length === 0) return resolve(new Uint8Array(0))
    let buffer: Uint8Array | null = null
    let at = 0
    let isOver = false
    incoming.take({
      data(bytes, isLent) {
        if (isOver) return
        count(bytes.byteLength)
        const end = at + bytes.byteLength
        if (limit > 0 && end > limit) {
          isOver = true
          incoming.pause()
          return reject(new BodyTooLarge(limit))
        }
        if (bytes.byteLength === length && !isLent) buffer = bodies.mark(plain(bytes))
        else {
          buffer = roomFor(buffer, end, length)
          buffer.set(bytes, at)
          if (!isLent) free(bytes)
        }
        at = end
        if (at !== length) return
        isOver = true
        resolve(buffer.byteLength === at ? buffer : buffer.subarray(0, at))
      },
      room() {
        if (isOver || length === null || length > AT_ONCE || length - at < LARGE) return null
        buffer = roomFor(buffer, length, length)
        const start = buffer.byteOffset + at
        const room = Math.min(length - at + 1, A_READ, buffer.buffer.byteLength - start)
        return Buffer.from(buffer.buffer as ArrayBuffer, start, room)
      },
      wrote(size) {
        count(size)
        at += size
        if (at !== length) return
        isOver = true
        resolve(buffer!)
      },
      end() {
        if (!isOver) resolve(buffer ? buffer.subarray(0, at) : new Uint8Array(0))
      },
      cut: () => reject(new BodyCut()),
    })
  })
}

/** Pieces from this size on are given back at once, bytes. */
const LARGE = 16_384

/** More is not asked for before it is here, whatever the client says, bytes. */
const AT_ONCE = 1_073_741_824

/** More is not read at once: others want to be read, too, bytes. */
const A_READ = 262_144

/** Gives back the memory of a piece that was copied: while it waited to be collected, V8 would collect all the sooner. */
function free({ buffer, byteLength }: Uint8Array): void {
  if (byteLength < LARGE || buffer.byteLength !== byteLength || !(buffer instanceof ArrayBuffer)) return
  buffer.transfer(0)
}

/** Not a Buffer, whose methods differ. */
export function plain(bytes: Uint8Array): Uint8Array {
  if (!Buffer.isBuffer(bytes)) return bytes
  return new Uint8Array(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.byteLength)
}

function roomFor(buffer: Uint8Array | null, end: number, length: number | null): Uint8Array {
  if (buffer && end <= buffer.byteLength) return buffer
  if (length !== null && length <= AT_ONCE) return bodies.room(length)
  // Not zeroed: every byte that is handed out was written. Large ones take up memory only as they fill.
  const grown = new Uint8Array(Buffer.allocUnsafeSlow(Math.max(end, (buffer?.byteLength ?? 8192) * 2)).buffer)
  if (buffer) grown.set(buffer)
  return grown
}

/** The body as a web stream: the client is held back while nobody reads. */
export function streamBody(incoming: Incoming, count: (bytes: number) => void): ReadableStream<Uint8Array> {
  let isOver = false
  const takerFor = (controller: ReadableStreamDefaultController<Uint8Array>): BodyTaker => ({
    data(bytes, isLent) {
      count(bytes.byteLength)
      if (isOver) return
      controller.enqueue(isLent ? new Uint8Array(bytes) : plain(bytes))
      if ((controller.desiredSize ?? 0) <= 0) incoming.pause()
    },
    end() {
      if (!isOver) controller.close()
      isOver = true
    },
    cut() {
      if (!isOver) controller.error(new BodyCut())
      isOver = true
    },
  })
  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        incoming.take(takerFor(controller))
        incoming.pause()
      },
      pull() {
        incoming.resume()
      },
      cancel() {
        isOver = true
        incoming.pause()
      },
    },
    { highWaterMark: 65_536, size: (bytes) => bytes?.byteLength ?? 0 },
  )
}
