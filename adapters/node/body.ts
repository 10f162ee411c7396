// Reads the body of an incoming request: whole into one buffer, or as a web stream.
import type { IncomingMessage } from 'node:http'

/** The client sent more than it may; the app answers 413. */
export class BodyTooLarge extends Error {
  readonly code = 'body_too_large'
  constructor(limit: number) {
    super(`the request body is larger than ${limit} bytes`)
    this.name = 'BodyTooLarge'
  }
}

/** The client left (or was cut) before its body was whole. */
export class BodyCut extends Error {
  readonly code = 'body_cut'
  constructor() {
    super('the request body ended early')
    this.name = 'BodyCut'
  }
}

/**
 * Reads a whole body. With a Content-Length (`length`) its bytes are written into one buffer of that size as they come, so
 * that memory holds each byte once; without, the buffer doubles. `limit` in bytes, 0: none. `count` hears of each read.
 * Rejects with `BodyTooLarge` or `BodyCut`.
 */
export function readBody(
  message: IncomingMessage,
  length: number | null,
  limit: number,
  count: (bytes: number) => void,
): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    if (limit > 0 && (length ?? 0) > limit) return reject(new BodyTooLarge(limit))
    if (length === 0) return resolve(new Uint8Array(0))
    // A destroyed message says nothing more, not even what it holds.
    if (message.destroyed) return reject(new BodyCut())
    let buffer: Uint8Array | null = null
    let at = 0
    const stop = () => {
      message.off('data', onData)
      message.off('end', onEnd)
      message.off('close', onCut)
    }
    const onData = (bytes: Uint8Array) => {
      count(bytes.byteLength)
      if (bytes.byteLength === length) {
        stop()
        message.resume() // lets its 'end' come
        return resolve(new Uint8Array(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.byteLength))
      }
      const end = at + bytes.byteLength
      if (limit > 0 && end > limit) {
        stop()
        message.pause()
        return reject(new BodyTooLarge(limit))
      }
      buffer = roomFor(buffer, end, length)
      buffer.set(bytes, at)
      at = end
      if (at === length) onEnd()
    }
    const onEnd = () => {
      stop()
      message.resume()
      resolve(buffer ? buffer.subarray(0, at) : new Uint8Array(0))
    }
    const onCut = () => {
      stop()
      reject(new BodyCut())
    }
    message.on('end', onEnd)
    message.on('close', onCut)
    message.on('data', onData)
  })
}

function roomFor(buffer: Uint8Array | null, end: number, length: number | null): Uint8Array {
  if (buffer && end <= buffer.byteLength) return buffer
  // Not zeroed: every byte that is handed out was written. Large ones take up memory only as they fill.
  const grown = new Uint8Array(
    Buffer.allocUnsafeSlow(length ?? Math.max(end, (buffer?.byteLength ?? 8192) * 2)).buffer,
  )
  if (buffer) grown.set(buffer)
  return grown
}

/** The body as a web stream: the client is held back while nobody reads. */
export function streamBody(
  message: IncomingMessage,
  count: (bytes: number) => void,
): ReadableStream<Uint8Array> {
  let isOver = false
  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        message.on('data', (bytes: Uint8Array) => {
          count(bytes.byteLength)
          if (isOver) return
          controller.enqueue(new Uint8Array(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.byteLength))
          if ((controller.desiredSize ?? 0) <= 0) message.pause()
        })
        message.on('end', () => {
          if (!isOver) controller.close()
          isOver = true
        })
        message.on('close', () => {
          if (!isOver) controller.error(new BodyCut())
          isOver = true
        })
        message.pause()
      },
      pull() {
        message.resume()
      },
      cancel() {
        isOver = true
        message.pause()
      },
    },
    { highWaterMark: 65_536, size: (bytes) => bytes?.byteLength ?? 0 },
  )
}
