// Knows a head that a client sent before by its bytes: clients send the same one again and again but for the length of the body,
// and ids that a proxy gave it. The parser's work on it, a text for each name and value and four calls, would cost 7 % of a 1 KB call.
import { differing, formOf, type HeadForm } from '../wire/head-form.ts'
import { withHeaders, type RequestHead } from './request.ts'

/** Longer heads are not remembered, bytes. */
const LONGEST = 8192
/** So many are, of one connection. */
const MOST = 4
/** So many that differ in their values alone are. A further one makes them one, in which those values may be any. */
const MOST_ALIKE = 2
/** So many of a client's heads are learnt without that one comes again. */
const PATIENCE = 8
const END = '\r\n\r\n'
/** Headers that say how the message and its connection go on: another value of them is the parser's. */
const BOUND = /^(?:host|expect|connection|proxy-connection|keep-alive|transfer-encoding|upgrade|te|trailer)$/i

/** What is looked at, and its words: mostly the one buffer that all is read into. */
let seen: Uint8Array | null = null
let seenWords: Int32Array = new Int32Array(0)

/** A head that the parser took. */
interface Known {
  readonly form: HeadForm
  /** Its bytes, four at a time: so they are compared in a quarter of the time. */
  readonly words: Int32Array
  /** As it came last. */
  head: RequestHead
}

/** The heads of one connection: they go with it, and so do the keys in them. */
export class KnownHeads {
  /** The last one that came again is the first. */
  #known: Known[] = []
  #patience = PATIENCE
  /** Bytes of the head that was found last. */
  size = 0

  /** The head that the bytes, a whole buffer, begin with, where it is known; `size` says how far it goes. Null: the parser has to read it. */
  find(bytes: Buffer, end: number): RequestHead | null {
    const known = this.#known
    for (let i = 0; i < known.length; i++) {
      const one = known[i]!
      if (!this.#isAgain(one, bytes, end)) continue
      this.#patience = PATIENCE
      if (i > 0) {
        known[i] = known[0]!
        known[0] = one
      }
      const { form, head } = one
      const headers = form.fill(head.headers, head.length!, bytes)
      this.size = form.size
      if (headers !== head.headers)
        one.head = withHeaders(head, headers, form.length, form.hasNewValues ? {} : head.memory)
      return one.head
    }
    return null
  }

  #isAgain({ form, words }: Known, bytes: Buffer, end: number): boolean {
    const { front } = form
    if (end < front) return false
    if (bytes !== seen) {
      seen = bytes
      seenWords = wordsOf(bytes)
    }
    const theirs = seenWords
    const whole = front >> 2
    for (let i = 0; i < whole; i++) if (theirs[i] !== words[i]) return false
    return form.standsIn(bytes, end, whole << 2) && form.size <= LONGEST
  }

  /** Remembers a head that the parser took: the bytes begin with it, `end` of them are there. */
  learn(bytes: Buffer, end: number, head: RequestHead): void {
    if (this.#patience === 0 || !isPlain(head)) return
    this.#patience--
    const size = bytes.subarray(0, Math.min(end, LONGEST)).indexOf(END)
    if (size < 0) return
    const alike = this.#known.filter((one) => isAlike(one, head))
    const isMerging = alike.length >= MOST_ALIKE
    const free = isMerging ? alike.flatMap((one) => [...one.form.free, ...diff(one.head, head)!]) : []
    const { headers } = head
    const form = formOf(bytes.toString('latin1', 0, size), {
      lines: headers,
      told: headers,
      free: new Set(free),
    })
    if (form === null) return
    const others = isMerging
      ? this.#known.filter((one) => !alike.includes(one))
      : this.#known.slice(0, MOST - 1)
    // Without the room for 16 more that a push would make.
    this.#known = [...others, { form, words: wordsOf(form.bytes), head }]
  }
}

const isAlike = ({ head }: Known, other: RequestHead): boolean =>
  head.method === other.method && head.target === other.target && diff(head, other) !== null

function diff(one: RequestHead, other: RequestHead): number[] | null {
  return differing(one.headers, other.headers, (name) => BOUND.test(name))
}

/** Nothing follows it but the next request, behind a body of known length. */
function isPlain(head: RequestHead): boolean {
  return head.isModern && head.keepsAlive && head.length !== null && !head.isWaiting && head.wrong === 0
}

/** From the start on; it must be at a multiple of four in its buffer. */
function wordsOf({ buffer, byteOffset, byteLength }: Uint8Array): Int32Array {
  return new Int32Array(buffer, byteOffset, byteLength >> 2)
}
