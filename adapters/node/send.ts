// Writes a Response to a client through node:http, by the shortest way that its body allows.
import type { ServerResponse } from 'node:http'
import type { HeaderList } from '../../src/host.ts'
import { listOf } from './headers.ts'
import { NativeResponse } from './response.ts'
import type { Sink, Source } from './response.ts'

/**
 * Sends a response. `extra` headers are put behind its own. Returns what the server calls when the client has gone
 * before the end: it cancels the body's source.
 */
export function sendResponse(response: Response, res: ServerResponse, extra: HeaderList): () => void {
  if (response instanceof NativeResponse) {
    const { source, status, list } = response
    if (source) return sendSource(source, res, { status, statusText: '', headers: [...list, ...extra] })
  }
  const { status, statusText, body } = response
  const headers = [...listOf(response.headers), ...extra]
  if (body === null) {
    const bare = status === 204 || status === 304 || res.req.method === 'HEAD'
    if (!bare && !hasName(headers, 'content-length')) headers.push('Content-Length', '0')
    writeHead(res, { status, statusText, headers })
    res.end()
    return () => undefined
  }
  return sendStream(body, res, { status, statusText, headers })
}

interface Head {
  readonly status: number
  readonly statusText: string
  readonly headers: string[]
}

function writeHead(res: ServerResponse, { status, statusText, headers }: Head): void {
  if (statusText === '') res.writeHead(status, headers)
  else res.writeHead(status, statusText, headers)
}

function sendSource(source: Source, res: ServerResponse, head: Head): () => void {
  writeHead(res, head)
  const onDrain = () => source.resume()
  res.on('drain', onDrain)
  const sink = new ClientSink(res, head.headers, onDrain)
  source.flow(sink)
  // A body that has not begun yet must not hold back its head.
  if (!sink.isOpen && !res.writableEnded) res.flushHeaders()
  return () => source.cancel()
}

/** Pieces up to this size are sent as one latin1 string with their head or frame: one plain write in place of a gathered one. */
const SMALL = 16_384

/** The client's side of a body. It frames chunks itself, for node:http would make four writes of each. */
class ClientSink implements Sink {
  readonly #res: ServerResponse
  readonly #isChunked: boolean
  readonly #isDelimited: boolean
  readonly #onDrain: () => void
  /** The last bytes, which wait for the end, so that both go out by one write. */
  #held = ''
  /** The head went out with bytes of the body: from then on they may go straight to the socket. */
  isOpen = false

  constructor(res: ServerResponse, headers: HeaderList, onDrain: () => void) {
    this.#res = res
    this.#isChunked = res.chunkedEncoding
    this.#isDelimited = res.chunkedEncoding || hasName(headers, 'content-length')
    this.#onDrain = onDrain
    res.chunkedEncoding = false
  }

  write(bytes: Uint8Array, isLast: boolean): boolean {
    const size = bytes.byteLength
    if (size > SMALL) return this.#writeLarge(bytes)
    this.#held += this.#isChunked ? `${size.toString(16)}\r\n${latin1(bytes)}\r\n` : latin1(bytes)
    return isLast || this.#flush()
  }

  end(bytes: Uint8Array | null): void {
    if (bytes !== null && bytes.byteLength > 0) this.write(bytes, true)
    if (this.#isChunked) this.#held += '0\r\n\r\n'
    this.#flush()
    this.#res.end()
  }

  break(): void {
    breakOff(this.#res, this.#isDelimited)
  }

  /** Sends what is held by one plain write; node:http would wait for the end of the turn, and gather it with the nothing of `end`. */
  #flush(): boolean {
    const text = this.#held
    const { socket } = this.#res
    if (text === '') return true
    this.#held = ''
    // A response that waits for an earlier one on its connection has no socket yet.
    if (this.isOpen && socket) {
      const hasRoom = socket.write(text, 'latin1')
      if (!hasRoom) socket.once('drain', this.#onDrain)
      return hasRoom
    }
    this.isOpen = this.#res.req.method !== 'HEAD'
    socket?.cork()
    const hasRoom = this.#res.write(text, 'latin1')
    socket?.uncork()
    return hasRoom
  }

  #writeLarge(bytes: Uint8Array): boolean {
    this.#flush()
    if (!this.#isChunked) return this.#res.write(bytes)
    this.#res.write(`${bytes.byteLength.toString(16)}\r\n`, 'latin1')
    this.#res.write(bytes)
    return this.#res.write('\r\n', 'latin1')
  }
}

function latin1(bytes: Uint8Array): string {
  const buffer = Buffer.isBuffer(bytes)
    ? bytes
    : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return buffer.toString('latin1')
}

/** Ends the client's connection so that what it has can't be taken for the whole. */
function breakOff(res: ServerResponse, isDelimited: boolean): void {
  const { socket } = res
  // Where the end of the connection would be the end of the body (HTTP/1.0), only a reset tells the difference.
  if (socket && res.headersSent && !isDelimited && isTcp(socket)) socket.resetAndDestroy()
  res.destroy()
}

function isTcp(socket: object): boolean {
  return !('encrypted' in socket) && 'remoteFamily' in socket && socket.remoteFamily !== undefined
}

function sendStream(body: ReadableStream<Uint8Array>, res: ServerResponse, head: Head): () => void {
  const reader = body.getReader()
  let isGone = false
  pump(reader, res, head).catch(() => {
    // The body broke: its maker knows why; the client must see that it did.
    if (!isGone) breakOff(res, res.chunkedEncoding || hasName(head.headers, 'content-length'))
  })
  return () => {
    isGone = true
    reader.cancel(new Error('the client left')).catch(() => undefined) // a source may be closed already
  }
}

/** Writes a web stream. A body that is whole at once (text, JSON) gets a Content-Length. */
async function pump(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  res: ServerResponse,
  head: Head,
): Promise<void> {
  const isSized = hasName(head.headers, 'content-length')
  let isHeadOut = false
  const open = () => {
    if (!isHeadOut) writeHead(res, head)
    isHeadOut = true
  }
  let pending = reader.read()
  // A stream that stays silent must not hold back its head.
  const first = await soon(pending)
  if (first === null) {
    open()
    res.flushHeaders()
  } else if (!first.done && !isSized) {
    const following = reader.read()
    const second = await soon(following)
    if (second?.done) {
      head.headers.push('Content-Length', String(first.value.byteLength))
      open()
      res.end(first.value)
      return
    }
    open()
    if (!res.write(first.value)) await drain(res)
    pending = following
  } else if (first.done && !isSized) {
    head.headers.push('Content-Length', '0')
  }
  open()
  for (let next = await pending; !next.done; next = await reader.read()) {
    if (!res.write(next.value)) await drain(res)
  }
  res.end()
}

/** What the promise gives, if it does so before the event loop goes on; else null. */
function soon<T>(promise: Promise<T>): Promise<T | null> {
  return Promise.race([promise, new Promise<null>((resolve) => setImmediate(() => resolve(null)))])
}

function drain(res: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    if (res.destroyed) return resolve()
    const done = () => {
      res.off('drain', done)
      res.off('close', done)
      resolve()
    }
    res.on('drain', done)
    res.on('close', done)
  })
}

function hasName(headers: HeaderList, name: string): boolean {
  for (let i = 0; i < headers.length; i += 2) if (headers[i]!.toLowerCase() === name) return true
  return false
}

/** Frees what a response holds that nobody will send (the client left while it was made). */
export function dropResponse(response: Response): void {
  if (response instanceof NativeResponse && response.source) return response.source.cancel()
  if (response.body && !response.body.locked) response.body.cancel().catch(() => undefined) // it may be over already
}
