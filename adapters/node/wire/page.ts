// Where heads are written as bytes, one over the other: what is the same at the same place is left as it lies there.
import { KINDS, NAME, VALUE } from './letters.ts'

const CR = 13
const LF = 10
const COLON = 58
const BLANK = 32

/** What lies between two places. */
interface Line {
  /** Empty where there is but a text. */
  name: string
  value: string
  from: number
  to: number
}

/**
 * Most heads are the one before with other ids in it: of 250 bytes some 50 are written. Texts that are not the very same objects are
 * compared, at a quarter of what writing them costs.
 */
export class Page {
  bytes: Buffer
  readonly #lines: Line[] = []
  /** How many lines of the head before lie there as they were written. */
  #known = 0
  /** How many this head has so far; of one that was given up none are known. */
  #count = 0
  #isWhole = false
  #at = 0

  /** Room for so many bytes. What is written behind the end is lost, but counted. */
  constructor(room: number) {
    this.bytes = Buffer.allocUnsafeSlow(room)
  }

  /** Begins a head at that place: what lies before it is the caller's. */
  begin(from: number): void {
    this.#known = this.#isWhole ? this.#count : 0
    this.#count = 0
    this.#isWhole = false
    this.#at = from
  }

  /** Writes a header; false where it could break out of its line: then the head is to be given up. */
  line(name: string, value: string): boolean {
    const line = this.#next(name, value)
    if (line === null) return name !== ''
    const { bytes } = this
    let at = name === '' ? -1 : put(bytes, this.#at, name, NAME)
    if (at < 0) return false
    bytes[at++] = COLON
    bytes[at++] = BLANK
    at = put(bytes, at, value, VALUE)
    if (at < 0) return false
    bytes[at++] = CR
    bytes[at++] = LF
    line.to = this.#at = at
    return true
  }

  /** Writes a text that is known to be latin1, and to be in its place. */
  text(text: string): void {
    const line = this.#next('', text)
    if (line === null) return
    const { bytes } = this
    const from = this.#at
    for (let i = 0; i < text.length; i++) bytes[from + i] = text.charCodeAt(i)
    line.to = this.#at = from + text.length
  }

  /** Ends the head with a blank line and gives its size. Anything may be written behind it. */
  end(): number {
    const { bytes } = this
    bytes[this.#at++] = CR
    bytes[this.#at++] = LF
    this.#isWhole = true
    return this.#at
  }

  /** What lies there was written over. */
  forget(): void {
    this.#isWhole = false
  }

  /** Takes other memory: the old one is needed by somebody, or too small. */
  renew(room: number = this.bytes.length): void {
    this.bytes = Buffer.allocUnsafeSlow(room)
    this.forget()
  }

  /** The next line, to be written; null: it lies there, and is passed over. */
  #next(name: string, value: string): Line | null {
    const at = this.#count++
    const line = (this.#lines[at] ??= { name, value, from: 0, to: 0 })
    if (at < this.#known && line.from === this.#at && line.name === name && line.value === value) {
      this.#at = line.to
      return null
    }
    line.name = name
    line.value = value
    line.from = this.#at
    return line
  }
}

/** Writes a text whose characters must be of that kind; gives where it ends, or −1. */
export function put(to: Uint8Array, at: number, text: string, kind: number): number {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if ((KINDS[code]! & kind) === 0) return -1
    to[at + i] = code
  }
  return at + text.length
}
