// Reads the top level of a JSON object in place: where each key and value lies, decoding only what is asked for.
import { kernelFor } from '../kernel/kernel.ts'
import { bitOf } from './key-bits.ts'
import { BodyError, skipBlank, skipScalar, skipString, skipValue } from './skip.ts'
import { shortText } from './short-text.ts'
import { textOf } from './words.ts'
import type { ByteText } from './words.ts'

/** Byte offsets: from `start` up to, not including, `end`. */
export interface Span {
  readonly start: number
  readonly end: number
}

/** One member of the object: the key and a string value include their quotes. */
export interface Member {
  readonly key: Span
  readonly value: Span
}

export type Kind = 'string' | 'number' | 'boolean' | 'null' | 'object' | 'array'

const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d
const OPEN_ARRAY = 0x5b
const QUOTE = 0x22
const BACKSLASH = 0x5c
const COLON = 0x3a
const COMMA = 0x2c
/** First letters of JSON values that are no object. */
const BEGINS = /["[\-0-9tfn]/
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** What a look at an object gathers. */
interface Found {
  /** Four offsets a member: key without its quotes, value. */
  readonly marks: number[]
  /** Keys that had to be decoded to be compared: escapes or bytes beyond ASCII. */
  decoded: Map<number, string> | null
  /** A bit for each of the first 32 members that is known to be a list or object without cache marks and media. */
  plain: number
}

/**
 * The members of one JSON object, as they lie in the bytes. Reads take the last of equal keys (as Python's json does) and
 * answer null when the key is absent or of another type; `BodyError` when the value's bytes are no UTF-8 or no JSON.
 */
export class TopLevel {
  readonly bytes: Uint8Array
  /** The same, for whoever looks for more in it. */
  readonly text: ByteText
  /** The object itself, braces included. */
  readonly object: Span
  readonly #marks: readonly number[]
  /** The bits of all keys: most that are asked for are not there, and shown so by them alone. */
  readonly #bits: number
  readonly #decoded: ReadonlyMap<number, string> | null
  readonly #plain: number

  constructor(text: ByteText, object: Span, { marks, decoded, plain }: Readonly<Found>) {
    this.bytes = text.bytes
    this.text = text
    this.object = object
    this.#marks = marks
    this.#decoded = decoded
    this.#plain = plain
    let bits = decoded === null ? 0 : -1
    for (let at = 0; at < marks.length; at += 4) {
      const start = marks[at]!
      bits |= bitOf(marks[at + 1]! - start, this.bytes[start]!, this.bytes[start + 1]!)
    }
    this.#bits = bits
  }

  /** How many members there are, duplicates counted. */
  get size(): number {
    return this.#marks.length >> 2
  }

  member(index: number): Member {
    const marks = this.#marks
    const at = index * 4
    return {
      key: { start: marks[at]! - 1, end: marks[at + 1]! + 1 },
      value: { start: marks[at + 2]!, end: marks[at + 3]! },
    }
  }

  /** The unescaped key of a member. */
  keyAt(index: number): string {
    const start = this.#marks[index * 4]!
    return this.#decoded?.get(index) ?? decode(this.bytes, start, this.#marks[index * 4 + 1]!)
  }

  /** Index of the last member below `before` that has this key, or -1. */
  lastIndex(key: string, before: number = this.size): number {
    if ((this.#bits & bitOf(key.length, key.charCodeAt(0), key.charCodeAt(1))) === 0) return -1
    for (let index = before - 1; index >= 0; index--) if (this.#isKey(index, key)) return index
    return -1
  }

  /** False: none of the keys whose bits these are (`bitsOf`) is there. */
  mayHave(bits: number): boolean {
    return (this.#bits & bits) !== 0
  }

  has(key: string): boolean {
    return this.lastIndex(key) >= 0
  }

  /** Every key once, in the order of first appearance. */
  keys(): string[] {
    const keys = new Set<string>()
    for (let index = 0; index < this.size; index++) keys.add(this.keyAt(index))
    return [...keys]
  }

  /** Where the value lies, or null. */
  span(key: string): Span | null {
    const index = this.lastIndex(key)
    return index < 0 ? null : { start: this.#marks[index * 4 + 2]!, end: this.#marks[index * 4 + 3]! }
  }

  /** Where the value of a member begins. */
  startAt(index: number): number {
    return this.#marks[index * 4 + 2]!
  }

  /** Where the value of a member ends. */
  endAt(index: number): number {
    return this.#marks[index * 4 + 3]!
  }

  /** Whether the value of a member is known to be a list or object that holds neither cache marks nor media. */
  isPlainAt(index: number): boolean {
    return index < 32 && (this.#plain & (1 << index)) !== 0
  }

  kind(key: string): Kind | null {
    const index = this.lastIndex(key)
    return index < 0 ? null : kindOf(this.bytes[this.startAt(index)]!)
  }

  /** The value's JSON text as it came, e.g. an integer too large for a number. */
  raw(key: string): string | null {
    const index = this.lastIndex(key)
    return index < 0 ? null : decode(this.bytes, this.startAt(index), this.endAt(index))
  }

  string(key: string): string | null {
    const index = this.lastIndex(key)
    return index < 0 ? null : this.stringAt(index)
  }

  /** The value of a member, where it is a string. */
  stringAt(index: number): string | null {
    if (this.bytes[this.startAt(index)] !== QUOTE) return null
    const start = this.startAt(index) + 1
    const end = this.endAt(index) - 1
    const short = shortText(this.bytes, start, end)
    if (short !== null) return short
    const text = decode(this.bytes, start, end)
    return text.includes('\\') ? (parse(`"${text}"`, start - 1) as string) : text
  }

  number(key: string): number | null {
    return this.kind(key) === 'number' ? Number(this.raw(key)) : null
  }

  boolean(key: string): boolean | null {
    const index = this.lastIndex(key)
    if (index < 0) return null
    const first = this.bytes[this.startAt(index)]!
    return kindOf(first) === 'boolean' ? first === 0x74 : null
  }

  /** The parsed value, whatever it is; undefined when absent. */
  json(key: string): unknown {
    const span = this.span(key)
    return span === null ? undefined : parse(decode(this.bytes, span.start, span.end), span.start)
  }

  #isKey(index: number, key: string): boolean {
    if (this.#decoded !== null) {
      const decoded = this.#decoded.get(index)
      if (decoded !== undefined) return decoded === key
    }
    const start = this.#marks[index * 4]!
    const length = key.length
    if (this.#marks[index * 4 + 1]! - start !== length) return false
    for (let at = 0; at < length; at++) if (this.bytes[start + at] !== key.charCodeAt(at)) return false
    return true
  }
}

/**
 * Finds the members of the JSON object that fills `bytes` (or `span` of them), in one pass without recursion. A UTF-8 byte
 * order mark before it is skipped, as the engines do. Top-level keys, strings, numbers and literals are checked as JSON.parse
 * would; of nested values only strings and brackets are followed, the engine checks the rest. Throws `BodyError`.
 */
export function scanTop(bytes: Uint8Array, span: Span = { start: 0, end: bytes.length }): TopLevel {
  const text = textOf(bytes, span.end)
  let at = span.start
  if (bytes[at] === 0xef && bytes[at + 1] === 0xbb && bytes[at + 2] === 0xbf) at += 3
  const open = skipBlank(text, at)
  if (open >= text.end) throw new BodyError('expected a JSON object, got nothing', open)
  if (bytes[open] !== OPEN_OBJECT)
    throw new BodyError(
      BEGINS.test(String.fromCharCode(bytes[open]!))
        ? 'expected a JSON object'
        : 'expected a JSON object, got no JSON',
      open,
    )
  const found: Found = { marks: [], decoded: null, plain: 0 }
  const end = scanByKernel(text, open, found) || scanMembers(text, open + 1, found)
  const rest = skipBlank(text, end)
  if (rest < text.end) throw new BodyError('unexpected text after the JSON object', rest)
  return new TopLevel(text, { start: open, end }, found)
}

/** Finds the members at once; 0: the kernel is not there, or leaves this object to others. */
function scanByKernel(text: ByteText, open: number, found: Found): number {
  const kernel = kernelFor(text, open)
  const end = kernel?.scan(open + 1, text.end, found.marks) ?? 0
  if (end === 0) return 0
  for (let at = 2; at < found.marks.length; at += 4) {
    const value = found.marks[at]!
    const kind = kindOf(text.bytes[value]!)
    if (kind !== 'string' && kind !== 'object' && kind !== 'array') skipScalar(text, value)
  }
  found.plain = kernel!.plain
  return end
}

/** Finds the members from behind the opening brace on; behind the closing one. */
function scanMembers(text: ByteText, start: number, found: Found): number {
  const { bytes, end } = text
  let at = skipBlank(text, start)
  if (at < end && bytes[at] === CLOSE_OBJECT) return at + 1
  for (;;) {
    if (at >= end || bytes[at] !== QUOTE) throw new BodyError('expected a key in quotes', at)
    const keyEnd = skipString(text, at + 1)
    const key = unescapeKey(bytes, at + 1, keyEnd - 1)
    if (key !== null) (found.decoded ??= new Map()).set(found.marks.length / 4, key)
    const colon = skipBlank(text, keyEnd)
    if (colon >= end || bytes[colon] !== COLON) throw new BodyError("expected ':'", colon)
    const value = skipBlank(text, colon + 1)
    const valueEnd = skipValue(text, value)
    found.marks.push(at + 1, keyEnd - 1, value, valueEnd)
    at = skipBlank(text, valueEnd)
    if (at < end && bytes[at] === CLOSE_OBJECT) return at + 1
    if (at >= end || bytes[at] !== COMMA) throw new BodyError("expected ',' or '}'", at)
    at = skipBlank(text, at + 1)
  }
}

/** What a JSON value is, by its first byte. */
export function kindOf(byte: number): Kind {
  if (byte === QUOTE) return 'string'
  if (byte === OPEN_OBJECT) return 'object'
  if (byte === OPEN_ARRAY) return 'array'
  if (byte === 0x74 || byte === 0x66) return 'boolean'
  return byte === 0x6e ? 'null' : 'number'
}

/** The key's text when its bytes are not already that text in ASCII, else null. */
function unescapeKey(bytes: Uint8Array, start: number, end: number): string | null {
  for (let at = start; at < end; at++) {
    const byte = bytes[at]!
    if (byte !== BACKSLASH && byte < 0x80) continue
    const text = decode(bytes, start, end)
    return text.includes('\\') ? (parse(`"${text}"`, start) as string) : text
  }
  return null
}

function decode(bytes: Uint8Array, start: number, end: number): string {
  try {
    return utf8.decode(bytes.subarray(start, end))
  } catch {
    // The decoder's own message has no position.
    throw new BodyError('invalid UTF-8', start)
  }
}

function parse(text: string, position: number): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // JSON.parse quotes the text, and a prompt must not reach logs.
    throw new BodyError('invalid JSON value', position)
  }
}
