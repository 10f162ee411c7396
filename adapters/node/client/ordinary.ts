// Requests and responses as node:http makes them: the way of Deno, and of any Node whose parser is not as expected.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { isNamed } from '../../../src/forward/names.ts'
import type { HeaderList } from '../../../src/host.ts'
import type { BodyTaker, Exchange, Head, Incoming, Owner } from './exchange.ts'
import { breakOff, LINGER } from './ending.ts'
import type { Source } from '../response.ts'
import { pieceOf, SMALL } from '../pieces.ts'

/** A request as node:http reads it. */
export class OrdinaryIncoming implements Incoming {
  readonly req: IncomingMessage
  isWaiting = false
  /** Bytes of the body that were given to the taker. */
  #taken = 0

  constructor(req: IncomingMessage) {
    this.req = req
  }

  get method(): string {
    return this.req.method!
  }

  get target(): string {
    return this.req.url!
  }

  get headers(): HeaderList {
    return this.req.rawHeaders
  }

  get host(): string {
    return this.req.headers.host ?? ''
  }

  get remoteAddress(): string | undefined {
    return this.req.socket.remoteAddress
  }

  get length(): number | null {
    const { headers } = this.req
    const length = headers['content-length']
    // llhttp has refused anything but digits, and both framings at once.
    if (length !== undefined) return Number(length)
    return headers['transfer-encoding'] === undefined ? 0 : null
  }

  get isWhole(): boolean {
    return this.req.complete || this.#taken === this.length
  }

  get waiting(): number {
    return this.req.readableLength
  }

  take(taker: BodyTaker): void {
    const { req } = this
    if (this.isWaiting) this.goOn()
    this.isWaiting = false
    // A destroyed message says nothing more, not even what it holds.
    if (req.destroyed) return taker.cut()
    let isOver = false
    req.on('data', (bytes: Uint8Array) => {
      this.#taken += bytes.byteLength
      taker.data(bytes, false)
    })
    req.on('end', () => {
      if (!isOver) taker.end()
      isOver = true
    })
    req.on('close', () => {
      if (!isOver) taker.cut()
      isOver = true
    })
  }

  takeWhole(): null {
    return null
  }

  pause(): void {
    this.req.pause()
  }

  resume(): void {
    this.req.resume()
  }

  /** Tells a client that waits for it to send its body. */
  protected goOn(): void {}
}

/** The answer that it deserves for what node:http finds nothing wrong with: 400 where it names several hosts, 501 for codings; else 0. */
export function wrongWith({ rawHeaders, headers }: IncomingMessage): number {
  let count = 0
  for (let i = 0; i < rawHeaders.length; i += 2) if (isNamed(rawHeaders[i]!, 'host')) count++
  if (count > 1) return 400
  return headers['transfer-encoding']?.includes(',') === true ? 501 : 0
}

/** Over node:http's two messages. It frames chunks itself, for node:http would make four writes of each. */
export class OrdinaryExchange extends OrdinaryIncoming implements Exchange {
  hasBegun = false
  owner: Owner | null = null
  readonly #res: ServerResponse
  #isChunked = false
  #isDelimited = false
  /** The last bytes, which wait for the end, so that both go out by one write. */
  #held = ''
  /** The head went out with bytes of the body: from then on they may go straight to the socket. */
  #isOpen = false
  #onRoom: () => void = nothing

  /** `isWaiting`: for a 100 Continue. */
  constructor(req: IncomingMessage, res: ServerResponse, isWaiting: boolean) {
    super(req)
    this.#res = res
    this.isWaiting = isWaiting
    res.on('close', () => this.owner?.over(res.writableFinished))
  }

  get isHead(): boolean {
    return this.method === 'HEAD'
  }

  get isOver(): boolean {
    return this.#res.destroyed || this.#res.closed
  }

  protected override goOn(): void {
    this.#res.writeContinue()
  }

  begin({ status, statusText, headers }: Head, source: Pick<Source, 'resume'>): void {
    const res = this.#res
    const onRoom = () => source.resume()
    this.hasBegun = true
    this.#onRoom = onRoom
    res.on('drain', onRoom)
    if (statusText === '') res.writeHead(status, headers as string[])
    else res.writeHead(status, statusText, headers as string[])
    this.#isChunked = res.chunkedEncoding
    this.#isDelimited = res.chunkedEncoding || hasName(headers, 'content-length')
    res.chunkedEncoding = false
  }

  write(bytes: Uint8Array, isLast: boolean): boolean {
    const size = bytes.byteLength
    if (size === 0) return true
    if (size > SMALL) return this.#writeLarge(bytes)
    this.#held += pieceOf(bytes, this.#isChunked)
    return isLast || this.#flush()
  }

  end(bytes: Uint8Array | null): void {
    if (bytes !== null) this.write(bytes, true)
    if (this.#isChunked) this.#held += '0\r\n\r\n'
    this.#flush()
    this.#res.end()
  }

  flush(): void {
    if (!this.#isOpen && !this.#res.writableEnded) this.#res.flushHeaders()
  }

  refuse({ status, headers }: Head, body: string): void {
    this.#res.writeHead(status, [...headers, 'Connection', 'close'])
    this.#res.end(body)
  }

  break(): void {
    const res = this.#res
    const { socket } = res
    if (socket && res.headersSent && !this.#isDelimited) breakOff(socket)
    res.destroy()
  }

  destroy(): void {
    this.#res.destroy()
  }

  linger(): void {
    const { req } = this
    const { socket } = req
    const res = this.#res
    // node:http would close at once after a last response; before it looks, this one is made not to be the last.
    res.prependOnceListener('finish', () => {
      ;(res as unknown as { _last: boolean })._last = false
    })
    res.once('finish', () => {
      const timer = setTimeout(() => socket.destroy(), LINGER).unref()
      socket.once('close', () => clearTimeout(timer))
      socket.end()
      req.on('error', nothing) // cut while it is dropped
      req.once('end', () => socket.destroySoon())
      req.removeAllListeners('data')
      req.on('data', nothing)
      req.resume()
    })
  }

  /** Sends what is held by one plain write; node:http would wait for the end of the turn, and gather it with the nothing of `end`. */
  #flush(): boolean {
    const text = this.#held
    const { socket } = this.#res
    if (text === '') return true
    this.#held = ''
    // A response that waits for an earlier one on its connection has no socket yet.
    if (this.#isOpen && socket) {
      const hasRoom = socket.write(text, 'latin1')
      if (!hasRoom) socket.once('drain', this.#onRoom)
      return hasRoom
    }
    this.#isOpen = !this.isHead
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

function nothing(): void {}

/** Whether a header is there. `name`: in lower case. */
function hasName(headers: HeaderList, name: string): boolean {
  for (let i = 0; i < headers.length; i += 2) if (headers[i]!.toLowerCase() === name) return true
  return false
}
