// One request on a lane, and its response: bytes go to the socket in as few writes as they can, without node:http's messages.
import type { HeaderList } from '../../../src/host.ts'
import type { HeadMemory } from '../../../src/openai/head.ts'
import { SMALL, writeLarge, writePiece } from '../pieces.ts'
import { refuseBroken } from '../refusals.ts'
import type { Source } from '../response.ts'
import type { SocketWriter } from '../writer.ts'
import { breakOff } from './ending.ts'
import { NOBODY, type BodyTaker, type Exchange, type Head, type Owner } from './exchange.ts'
import { desk } from './desk.ts'
import type { Asked } from './head.ts'
import type { LaneSide } from './lane-side.ts'
import type { RequestHead } from './request.ts'

/** Bytes of a body that nobody takes, above which the client is held back. */
const HIGH_WATER = 65_536

export class Turn implements Exchange, Asked {
  readonly asked: RequestHead
  isWhole = false
  isWaiting: boolean
  waiting = 0
  isOver = false
  hasBegun = false
  owner: Owner | null = null
  /** Who gets the body. */
  taker: BodyTaker | null = null
  readonly #lane: LaneSide
  /** That of the lane, which an event then need not look up. */
  readonly #writer: SocketWriter
  #early: Uint8Array[] | null = null
  #isHeld = false
  #lingers = false
  /** What waits for more to go out with: the head, which the desk has, and the last piece, which waits for the end. */
  #isHeadDue = false
  #last: Uint8Array | null = null
  #isChunked = false
  #isDelimited = false
  #hasBody = true
  #isLast = false
  #isEnded = false
  #isFull = false
  #source: Pick<Source, 'resume'> = NOTHING

  constructor(lane: LaneSide, asked: RequestHead) {
    this.#lane = lane
    this.#writer = lane.writer
    this.asked = asked
    this.isWaiting = asked.isWaiting && asked.length !== 0
  }

  get method(): string {
    return this.asked.method
  }

  get target(): string {
    return this.asked.target
  }

  get headers(): HeaderList {
    return this.asked.headers
  }

  get memory(): HeadMemory {
    return this.asked.memory
  }

  get host(): string {
    return this.asked.host
  }

  get length(): number | null {
    return this.asked.length
  }

  get isModern(): boolean {
    return this.asked.isModern
  }

  get isHead(): boolean {
    return this.asked.isHead
  }

  get keepsAlive(): boolean {
    return this.asked.keepsAlive
  }

  get remoteAddress(): string | undefined {
    return this.#lane.socket.remoteAddress
  }

  get kept(): string {
    return this.#lane.kept
  }

  /** Reading on would pile up bytes that nobody takes. */
  get isFull(): boolean {
    return !this.isWhole && (this.#isHeld || this.waiting >= HIGH_WATER)
  }

  // From the parser.

  data(bytes: Uint8Array, isLent: boolean): void {
    if (this.taker !== null) return this.taker.data(bytes, isLent)
    const kept = isLent ? new Uint8Array(bytes) : bytes
    this.waiting += kept.byteLength
    if (this.#early === null) this.#early = [kept]
    else this.#early.push(kept)
    if (this.isFull) this.#lane.steer()
  }

  complete(): void {
    this.isWhole = true
    this.taker?.end()
  }

  /** The client is gone. */
  cut(): void {
    if (!this.isWhole) this.taker?.cut()
    this.#over(false)
  }

  // For who reads the request.

  take(taker: BodyTaker): void {
    if (this.isWaiting) {
      this.isWaiting = false
      this.#send('HTTP/1.1 100 Continue\r\n\r\n')
    }
    this.taker = taker
    const early = this.#early
    this.#early = null
    this.waiting = 0
    if (early !== null) for (const bytes of early) taker.data(bytes, false)
    if (this.isWhole) taker.end()
    else if (this.isOver) taker.cut()
    else this.#lane.steer()
  }

  takeWhole(): Uint8Array | null {
    const early = this.#early
    if (!this.isWhole || this.isWaiting || early === null || early.length > 1) return null
    this.#early = null
    this.waiting = 0
    this.taker = NOBODY
    return early[0]!
  }

  pause(): void {
    this.#isHeld = true
    if (!this.isWhole) this.#lane.steer()
  }

  resume(): void {
    this.#isHeld = false
    if (!this.isWhole) this.#lane.steer()
  }

  // For who answers it.

  begin(head: Head, source: Pick<Source, 'resume'>): void {
    this.hasBegun = true
    const written = desk.write(this, head, this.#lane.date)
    this.#isHeadDue = true
    this.#isChunked = written.isChunked
    this.#isDelimited = written.isDelimited
    this.#hasBody = written.hasBody
    this.#isLast = written.isLast
    this.#source = source
  }

  write(bytes: Uint8Array, isLast: boolean): boolean {
    if (!this.#hasBody) return true
    const size = bytes.byteLength
    if (size === 0) return !this.#isFull
    if (this.#last !== null) this.#flush()
    if (size > SMALL) return this.#writeLarge(bytes)
    this.#last = bytes
    return isLast || this.#flush()
  }

  way(): SocketWriter | null {
    return this.#isChunked && this.#hasBody && !this.#isHeadDue && this.#last === null ? this.#writer : null
  }

  fill(): void {
    this.#isFull = true
  }

  end(bytes: Uint8Array | null): void {
    if (bytes !== null) this.write(bytes, true)
    this.#flush(this.#isChunked ? '0\r\n\r\n' : '')
    this.#isEnded = true
    const { socket, writer } = this.#lane
    // Else its bytes can't be sent any more; its 'close' is near.
    if (!socket.writable) return
    if (writer.isEmpty) this.#over(true)
    else socket.write('', () => this.#over(true))
  }

  flush(): void {
    this.#flush()
  }

  refuse(head: Head, body: string): void {
    this.begin({ ...head, headers: [...head.headers, 'Connection', 'close'] }, NOTHING)
    this.end(Buffer.from(body))
  }

  break(): void {
    this.#last = null
    // Nothing of it is out, so it may still be another one.
    if (this.#isHeadDue) return refuseBroken(this)
    if (this.hasBegun && !this.#isDelimited) return breakOff(this.#lane.socket)
    this.cut()
    this.#lane.done(true, true)
    this.#drop()
  }

  /** The client sends no more, so it has left: what it got must not look like the whole. */
  cutOff(): void {
    if (this.hasBegun && !this.#isDelimited && !this.#isEnded) breakOff(this.#lane.socket)
  }

  destroy(): void {
    this.#lane.socket.destroy()
  }

  linger(): void {
    this.#lingers = true
  }

  /** The socket has room again. */
  drained(): void {
    if (!this.#isFull) return
    this.#isFull = false
    if (!this.#isEnded) this.#source.resume()
  }

  /** Sends what is held, and `end` behind it. */
  #flush(end = ''): boolean {
    const piece = this.#last
    const isHead = this.#isHeadDue
    this.#isHeadDue = false
    this.#last = null
    if (piece === null && !isHead) return end === '' ? !this.#isFull : this.#send(end)
    const { socket, writer } = this.#lane
    if (!socket.writable) return true
    const isFramed = this.#isChunked && piece !== null
    const lead = isFramed ? `${piece.byteLength.toString(16)}\r\n` : ''
    const tail = isFramed ? `\r\n${end}` : end
    if (!isHead) return this.#put(writePiece(writer, lead, piece!, tail))
    desk.fetch(this)
    return this.#put(desk.send(writer, piece, lead, tail))
  }

  #send(text: string): boolean {
    // What a client that has gone would have got.
    return !this.#writer.isOpen || this.#put(this.#writer.text(text))
  }

  #writeLarge(bytes: Uint8Array): boolean {
    if (!this.#writer.isOpen) return true
    const lead = this.#isChunked ? `${bytes.byteLength.toString(16)}\r\n` : ''
    const before = this.#isHeadDue ? desk.copy(this, lead) : lead
    this.#isHeadDue = false
    this.#writer.look()
    return this.#put(writeLarge(this.#lane.socket, before, bytes, this.#isChunked ? '\r\n' : ''))
  }

  /**
   * What `write` says of room. Once full it stays so until 'drain': a source may give what it has at once, and a write behind
   * one that said no may find the socket empty again, though nobody has been told of it yet.
   */
  #put(hasRoom: boolean): boolean {
    if (!hasRoom) this.#isFull = true
    return !this.#isFull
  }

  /** Reads on, and keeps nothing. */
  #drop(): void {
    this.taker = NOBODY
    this.#early = null
    this.waiting = 0
    this.resume()
  }

  #over(isSent: boolean): void {
    if (this.isOver) return
    this.isOver = true
    this.owner?.over(isSent)
    if (!isSent) return
    const lingers = this.#lingers && !this.isWhole
    this.#lane.done(this.#isLast, lingers)
    if (lingers) this.#drop()
  }
}

const NOTHING = { resume() {} }
