// Reads the top level of a JSON object in place: where each key and value lies, decoding only what is asked for.
import { BodyError, skipBlank, skipString, skipValue } from './skip.ts'
import { shortText } from './short-text.ts'
import { textOf } from './words.ts'
import type { ByteText } from './words.ts'

export { BodyError } from './skip.ts'

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
/** First letters of JSON values that are no object. */
const BEGINS = /["[\-0-9tfn]/
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

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
  /** Four offsets a member: key without its quotes, value. */
  readonly #marks: readonly number[]
  /** A bit for each length that a key has, modulo 32: most keys that are asked for are not there, and shown so by it alone. */
  readonly #lengths: number
  /** Keys that had to be decoded to be compared: escapes or bytes beyond ASCII. */
  readonly #decoded: ReadonlyMap<number, string> | null

  constructor(
    text: ByteText,
    object: Span,
    marks: readonly number[],
    decoded: ReadonlyMap<number, string> | null,
  ) {
    this.bytes = text.bytes
    this.text = text
    this.object = object
    this.#marks = marks
    this.#decoded = decoded
    let lengths = decoded === null ? 0 : -1
    for (let at = 0; at < marks.length; at += 4) lengths |= 1 << (marks[at + 1]! - marks[at]!)
    this.#lengths = lengths
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
    if ((this.#lengths & (1 << key.length)) === 0) return -1
    for (let index = before - 1; index >= 0; index--) if (this.#isKey(index, key)) return index
    return -1
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

  kind(key: string): Kind | null {
    const span = this.span(key)
    return span === null ? null : kindOf(this.bytes[span.start]!)
  }

  /** The value's JSON text as it came, e.g. an integer too large for a number. */
  raw(key: string): string | null {
    const span = this.span(key)
    return span === null ? null : decode(this.bytes, span.start, span.end)
  }

  string(key: string): string | null {
    const span = this.span(key)
    if (span === null || this.bytes[span.start] !== QUOTE) return null
    const short = shortText(this.bytes, span.start + 1, span.end - 1)
    if (short !== null) return short
    const text = decode(this.bytes, span.start + 1, span.end - 1)
    return text.includes('\\') ? (parse(`"${text}"`, span.start) as string) : text
  }

  number(key: string): number | null {
    return this.kind(key) === 'number' ? Number(this.raw(key)) : null
  }

  boolean(key: string): boolean | null {
    const span = this.span(key)
    if (span === null || kindOf(this.bytes[span.start]!) !== 'boolean') return null
    return this.bytes[span.start] === 0x74
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
  const marks: number[] = []
  let decoded: Map<number, string> | null = null
  at = skipBlank(text, open + 1)
  if (at < text.end && bytes[at] === CLOSE_OBJECT)
    return finish(text, { start: open, end: at + 1 }, marks, decoded)
  for (;;) {
    if (at >= text.end || bytes[at] !== QUOTE) throw new BodyError('expected a key in quotes', at)
    const keyEnd = skipString(text, at + 1)
    const key = unescapeKey(bytes, at + 1, keyEnd - 1)
    if (key !== null) (decoded ??= new Map()).set(marks.length / 4, key)
    const colon = skipBlank(text, keyEnd)
    if (colon >= text.end || bytes[colon] !== 0x3a) throw new BodyError("expected ':'", colon)
    const value = skipBlank(text, colon + 1)
    const valueEnd = skipValue(text, value)
    marks.push(at + 1, keyEnd - 1, value, valueEnd)
    at = skipBlank(text, valueEnd)
    if (at < text.end && bytes[at] === CLOSE_OBJECT)
      return finish(text, { start: open, end: at + 1 }, marks, decoded)
    if (at >= text.end || bytes[at] !== 0x2c) throw new BodyError("expected ',' or '}'", at)
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

function finish(
  text: ByteText,
  object: Span,
  marks: readonly number[],
  decoded: Map<number, string> | null,
): TopLevel {
  const rest = skipBlank(text, object.end)
  if (rest < text.end) throw new BodyError('unexpected text after the JSON object', rest)
  return new TopLevel(text, object, marks, decoded)
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
