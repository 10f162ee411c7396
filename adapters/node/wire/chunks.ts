// Takes chunked framing off in place: every read of a socket becomes at most one piece of payload, and nothing is copied out.
import { UpstreamFailure } from '../../../src/host.ts'

const CR = 13
const LF = 10
const MAX_LINE = 16_384
/** No chunk is as large: far more than anything real, and still exact. */
const MAX_SIZE = 2 ** 48

const STATE = {
  size: 0,
  extension: 1,
  sizeEnd: 2,
  payload: 3,
  payloadCr: 4,
  payloadLf: 5,
  trailer: 6,
  done: 7,
} as const
type State = (typeof STATE)[keyof typeof STATE]

/** One chunked body. Feed it reads in order; it tells where the message ended. */
export class ChunkDecoder {
  #state: State = STATE.size
  #left = 0
  #digits = 0
  /** Bytes of the current line, bounded so that a worker can't feed us extensions or trailers for ever. */
  #line = 0
  #sawCr = false
  /** Where the message ended inside the last read, once `done`. */
  consumed = 0

  get done(): boolean {
    return this.#state === STATE.done
  }

  /** The next byte is the first one of a chunk. */
  get isBetween(): boolean {
    return this.#state === STATE.size && this.#digits === 0
  }

  /** Moves the payload of `read` to its front (the read is ours alone) and returns it; throws `UpstreamFailure` (`protocol`). */
  decode(read: Uint8Array): Uint8Array {
    let at = 0
    let out = 0
    let start = 0
    while (at < read.length && this.#state !== STATE.done) {
      if (this.#state !== STATE.payload) {
        at = this.#pass(read, at)
        continue
      }
      const end = Math.min(read.length, at + this.#left)
      this.#left -= end - at
      if (out === 0) start = at
      else read.copyWithin(start + out, at, end)
      out += end - at
      at = end
      if (this.#left === 0) this.#state = STATE.payloadCr
    }
    this.consumed = at
    return read.subarray(start, start + out)
  }

  /** Passes what stands between two payloads as nearly all write it, or one byte of what does not: a burst of events costs half. */
  #pass(read: Uint8Array, from: number): number {
    let at = from
    if (this.#state === STATE.payloadCr && read[at] === CR && read[at + 1] === LF) {
      this.#state = STATE.size
      this.#digits = 0
      at += 2
    }
    if (this.#state === STATE.size && this.#digits === 0) {
      const behind = this.#sizeLine(read, at)
      if (behind > 0) return behind
    }
    if (at === from) this.#step(read[at++]!)
    return at
  }

  /** Behind the line of a size that is here as a whole and without extensions; else 0. */
  #sizeLine(read: Uint8Array, from: number): number {
    let size = 0
    let at = from
    for (; at - from < 7; at++) {
      const digit = hex(read[at]!)
      if (digit < 0) break
      size = size * 16 + digit
    }
    if (at === from || read[at] !== CR || read[at + 1] !== LF) return 0
    this.#left = size
    this.#sizeEnds()
    return at + 2
  }

  #sizeEnds(): void {
    this.#line = 0
    this.#sawCr = false
    this.#state = this.#left === 0 ? STATE.trailer : STATE.payload
  }

  #step(byte: number): void {
    switch (this.#state) {
      case STATE.size:
        return this.#size(byte)
      case STATE.extension:
        if (byte === CR) this.#state = STATE.sizeEnd
        else if (byte === LF || ++this.#line > MAX_LINE) throw broken()
        return
      case STATE.sizeEnd:
        if (byte !== LF) throw broken()
        return this.#sizeEnds()
      case STATE.payloadCr:
        if (byte !== CR) throw broken()
        this.#state = STATE.payloadLf
        return
      case STATE.payloadLf:
        if (byte !== LF) throw broken()
        this.#state = STATE.size
        this.#digits = 0
        return
      default:
        return this.#trailer(byte)
    }
  }

  #size(byte: number): void {
    const digit = hex(byte)
    if (digit >= 0) {
      this.#left = this.#left * 16 + digit
      if (++this.#digits > MAX_LINE || this.#left >= MAX_SIZE) throw broken()
      return
    }
    if (this.#digits === 0) throw broken()
    if (byte === CR) this.#state = STATE.sizeEnd
    else if (byte === 59 || byte === 32 || byte === 9) this.#state = STATE.extension
    else throw broken()
  }

  /** Trailers are dropped: nobody behind us asked for them (no `te: trailers` is sent). An empty line ends the message. */
  #trailer(byte: number): void {
    if (byte === CR) {
      this.#sawCr = true
      return
    }
    if (byte === LF) {
      if (!this.#sawCr) throw broken()
      if (this.#line === 0) this.#state = STATE.done
      this.#line = 0
      this.#sawCr = false
      return
    }
    if (this.#sawCr || ++this.#line > MAX_LINE) throw broken()
  }
}

/** The value of a hexadecimal digit; below 0: it is none. */
export function hex(byte: number): number {
  if (byte >= 48 && byte <= 57) return byte - 48
  if (byte >= 97 && byte <= 102) return byte - 87
  if (byte >= 65 && byte <= 70) return byte - 55
  return -1
}

function broken(): UpstreamFailure {
  return new UpstreamFailure('protocol', 'the worker sent a broken chunk')
}
