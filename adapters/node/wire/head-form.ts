// Knows a head by its bytes when it comes again with other values in some of its lines: those lines hold ids, lengths or keys, and
// nothing that a parser goes by.
import type { HeaderList } from '../../../src/host.ts'
import { isNamed } from '../../../src/forward/names.ts'

const BLANK = 0x20
const LAST_VISIBLE = 0x7e
const ZERO = 0x30
/** More digits are the parser's, for what they say is no exact number. */
const MOST_DIGITS = 15
const DIGITS = /^(?:0|[1-9]\d{0,14})$/

/** The value of a line that may be another one. */
interface Hole {
  /** Place of its name among all lines, and in the list of headers. */
  readonly line: number
  readonly index: number
  readonly from: number
  readonly to: number
  /** It tells how long the body is: nothing but digits. */
  readonly isLength: boolean
}

/** The bytes of a head that a parser took, blank line included, and where they may be others. */
export class HeadForm {
  readonly bytes: Uint8Array
  readonly #holes: readonly Hole[]
  /** Where each hole was found last: from, to. */
  readonly #places: number[]
  /** Of the head that was found last, and of the body that it tells of. */
  size = 0
  length = 0
  hasNewValues = false

  constructor(bytes: Uint8Array, holes: readonly Hole[]) {
    this.bytes = bytes
    this.#holes = holes
    this.#places = holes.flatMap(({ from, to }) => [from, to])
  }

  /** Bytes before the first hole. */
  get front(): number {
    return this.#holes[0]?.from ?? this.bytes.length
  }

  /** Places of the lines, but for the length, whose values may be others. */
  get free(): readonly number[] {
    return this.#holes.filter(({ isLength }) => !isLength).map(({ line }) => line)
  }

  /**
   * Whether `end` bytes begin with a head of this form, of which `same` bytes, no more than its front, are known to be the same. What
   * stands in a hole is visible ASCII with blanks inside: no parser that took the rest could refuse it, or read it as something else.
   */
  standsIn(bytes: Uint8Array, end: number, same: number): boolean {
    const own = this.bytes
    const holes = this.#holes
    const places = this.#places
    let at = same
    let from = same
    for (let i = 0; i < holes.length; i++) {
      const hole = holes[i]!
      if (!isSame(bytes, at, end, { own, from, to: hole.from })) return false
      at += hole.from - from
      const to = hole.isLength ? this.#behindLength(bytes, at, end) : behindValue(bytes, at, end)
      if (to < 0) return false
      places[2 * i] = at
      places[2 * i + 1] = to
      at = to
      from = hole.to
    }
    if (!isSame(bytes, at, end, { own, from, to: own.length })) return false
    this.size = at + own.length - from
    return true
  }

  /**
   * The list, in which `length` is told, with what was found in the holes: the very same list where it has that already.
   * `hasNewValues` says afterwards whether it is another one by more than the length.
   */
  fill(headers: HeaderList, length: number, bytes: Buffer): HeaderList {
    let filled: string[] | null = null
    this.hasNewValues = false
    const holes = this.#holes
    for (let i = 0; i < holes.length; i++) {
      const { index, isLength } = holes[i]!
      if (isLength) {
        if (length !== this.length) (filled ??= headers.slice())[index + 1] = String(this.length)
        continue
      }
      const value = bytes.toString('latin1', this.#places[2 * i]!, this.#places[2 * i + 1]!)
      if (value === headers[index + 1]) continue
      this.hasNewValues = true
      ;(filled ??= headers.slice())[index + 1] = value
    }
    return filled ?? headers
  }

  #behindLength(bytes: Uint8Array, from: number, end: number): number {
    let length = 0
    let at = from
    for (; at < end; at++) {
      const digit = bytes[at]! - ZERO
      if (digit < 0 || digit > 9) break
      length = length * 10 + digit
    }
    const digits = at - from
    if (digits === 0 || digits > MOST_DIGITS || (digits > 1 && bytes[from] === ZERO)) return -1
    this.length = length
    return at
  }
}

interface Part {
  readonly own: Uint8Array
  readonly from: number
  readonly to: number
}

function isSame(bytes: Uint8Array, at: number, end: number, { own, from, to }: Part): boolean {
  if (end - at < to - from) return false
  for (let i = from, other = at; i < to; i++, other++) if (bytes[other] !== own[i]) return false
  return true
}

function behindValue(bytes: Uint8Array, from: number, end: number): number {
  let at = from
  while (at < end && bytes[at]! >= BLANK && bytes[at]! <= LAST_VISIBLE) at++
  return at === from || bytes[from] === BLANK || bytes[at - 1] === BLANK ? -1 : at
}

/**
 * Places of the lines whose values differ, or are holes already; null where the heads differ in anything else. `isBound`: the value of
 * a line of that name may not differ. That of Content-Length always may.
 */
export function differing(
  one: HeaderList,
  other: HeaderList,
  isBound: (name: string) => boolean,
): number[] | null {
  if (one.length !== other.length) return null
  const places: number[] = []
  for (let i = 0; i < one.length; i += 2) {
    if (one[i] !== other[i]) return null
    if (one[i + 1] === other[i + 1] || isNamed(one[i]!, 'content-length')) continue
    if (isBound(one[i]!)) return null
    places.push(i)
  }
  return places
}

/** What a parser made of a head. */
export interface Taken {
  /** Names and values of all lines. */
  readonly lines: HeaderList
  /** Those that are told to others, in the same order. */
  readonly told: HeaderList
  /** Places among the lines whose values may be others. */
  readonly free: ReadonlySet<number>
}

/** The form of a head, of its text up to the blank line. Null where it can't be told where a value stands that may be another one. */
export function formOf(text: string, { lines, told, free }: Taken): HeadForm | null {
  const texts = text.split('\r\n')
  // So many lines were told: its end is where the parser saw it.
  if (texts.length !== 1 + lines.length / 2) return null
  const holes: Hole[] = []
  let at = texts[0]!.length + 2
  let index = 0
  for (let line = 0; line < lines.length; line += 2) {
    const [name, value, written] = [lines[line]!, lines[line + 1]!, texts[1 + line / 2]!]
    const isTold = told[index] === name && told[index + 1] === value
    const isLength = isNamed(name, 'content-length')
    if (isLength || free.has(line)) {
      const from = isLength && !DIGITS.test(value) ? -1 : valueIn(written, name, value)
      if (from < 0 || !isTold) return null
      holes.push({ line, index, from: at + from, to: at + from + value.length, isLength })
    }
    if (isTold) index += 2
    at += written.length + 2
  }
  if (holes.filter(({ isLength }) => isLength).length > 1) return null
  return new HeadForm(new Uint8Array(Buffer.from(`${text}\r\n\r\n`, 'latin1')), holes)
}

/** Where the value stands in its line; -1: it is not written as usual. */
function valueIn(line: string, name: string, value: string): number {
  if (!line.startsWith(`${name}:`) || !/^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/.test(value)) return -1
  const blanks = /^[ \t]*/.exec(line.slice(name.length + 1))![0].length
  const from = name.length + 1 + blanks
  return line.slice(from).replace(/[ \t]+$/, '') === value ? from : -1
}
