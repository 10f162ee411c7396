// Knows a head that a client sent before by its bytes: clients send the same one again and again but for the length of the body. The
// parser's work on it, a text for each name and value and four calls, would cost 7 % of a 1 KB call.
import { withLength, type RequestHead } from './request.ts'

/** Longer heads are not remembered, bytes. */
const LONGEST = 8192
/** So many are, of one connection. */
const MOST = 4
/** So many of a client's heads are learnt without that one comes again. */
const PATIENCE = 8
/** The line that tells the length. */
const LENGTH = /\r\ncontent-length:[ \t]*(\d+)[ \t]*(?:\r\n|$)/i
const END = '\r\n\r\n'
const ZERO = 0x30
/** More digits are the parser's, for what they say is no exact number. */
const MOST_DIGITS = 15

/** A head that the parser took. */
interface Known {
  /** With its blank line. */
  readonly bytes: Uint8Array
  /** The same, four at a time: so they are compared in a quarter of the time. */
  readonly words: Int32Array
  /** Where the digits of its length are; behind its end where there is none. */
  readonly from: number
  readonly to: number
  /** As it came last. */
  head: RequestHead
}

/** The heads of one connection: they go with it, and so do the keys in them. */
export class KnownHeads {
  /** The last one that came again is the first. */
  readonly #known: Known[] = []
  #patience = PATIENCE
  /** Bytes of the head that was found last. */
  size = 0
  /** What the words were seen of last: mostly the one buffer that all is read into. */
  #seen: Uint8Array | null = null
  #words: Int32Array = new Int32Array(0)

  /** The head that the bytes, a whole buffer, begin with, where it is known; `size` says how far it goes. Null: the parser has to read it. */
  find(bytes: Uint8Array, end: number): RequestHead | null {
    const known = this.#known
    for (let i = 0; i < known.length; i++) {
      const one = known[i]!
      const length = this.#lengthBy(one, bytes, end)
      if (length < 0) continue
      this.#patience = PATIENCE
      if (i > 0) {
        known[i] = known[0]!
        known[0] = one
      }
      if (length !== one.head.length) one.head = withLength(one.head, length)
      return one.head
    }
    return null
  }

  /** The length of the body that follows where these bytes begin with that head; else −1. */
  #lengthBy({ bytes: known, words, from, to }: Known, bytes: Uint8Array, end: number): number {
    if (end < known.length - (to - from)) return -1
    const seen = this.#wordsOf(bytes)
    for (let i = 0; i < from >> 2; i++) if (seen[i] !== words[i]) return -1
    for (let i = from & ~3; i < from; i++) if (bytes[i] !== known[i]) return -1
    let at = from
    let length = 0
    if (from < to) {
      for (; at < end; at++) {
        const digit = bytes[at]! - ZERO
        if (digit < 0 || digit > 9) break
        length = length * 10 + digit
      }
      const digits = at - from
      if (digits === 0 || digits > MOST_DIGITS || (digits > 1 && bytes[from] === ZERO)) return -1
    }
    const rest = known.length - to
    if (end - at < rest) return -1
    for (let i = 0; i < rest; i++) if (bytes[at + i] !== known[to + i]) return -1
    this.size = at + rest
    return length
  }

  #wordsOf(bytes: Uint8Array): Int32Array {
    if (bytes !== this.#seen) {
      this.#seen = bytes
      this.#words = wordsOf(bytes)
    }
    return this.#words
  }

  /** Remembers a head that the parser took: the bytes begin with it, `end` of them are there. */
  learn(bytes: Buffer, end: number, head: RequestHead): void {
    if (this.#patience === 0 || !isPlain(head)) return
    this.#patience--
    const size = bytes.subarray(0, Math.min(end, LONGEST)).indexOf(END) + END.length
    if (size < END.length) return
    const text = bytes.toString('latin1', 0, size - END.length)
    // So many lines were told: its end is where the parser saw it.
    if (text.split('\r\n').length !== 1 + head.headers.length / 2) return
    const line = LENGTH.exec(text)
    const digits = line?.[1] ?? ''
    if (Number(digits) !== head.length) return
    const from = line === null ? size : line.index + line[0].indexOf(digits, 'content-length:'.length)
    const own = new Uint8Array(bytes.subarray(0, size))
    if (this.#known.length === MOST) this.#known.pop()
    this.#known.push({ bytes: own, words: wordsOf(own), from, to: from + digits.length, head })
  }
}

/** Nothing follows it but the next request, behind a body of known length. */
function isPlain(head: RequestHead): boolean {
  return head.isModern && head.keepsAlive && head.length !== null && !head.isWaiting && head.wrong === 0
}

/** From the start on; it must be at a multiple of four in its buffer. */
function wordsOf({ buffer, byteOffset, byteLength }: Uint8Array): Int32Array {
  return new Int32Array(buffer, byteOffset, byteLength >> 2)
}
