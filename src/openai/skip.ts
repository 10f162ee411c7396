// Steps over one JSON token or value in bytes: blanks, strings, scalars, and nested values of any depth.
import { kernelFor, type Kernel } from '../kernel/kernel.ts'
import { findQuote, findStop, skipNumbers } from './words.ts'
import type { ByteText } from './words.ts'

/** A body that is no JSON object, or not one at the level that was read. `position` is a byte offset. */
export class BodyError extends Error {
  readonly position: number
  constructor(message: string, position: number) {
    super(`${message} at byte ${position}`)
    this.name = 'BodyError'
    this.position = position
  }
}

const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d
const OPEN_ARRAY = 0x5b
const CLOSE_ARRAY = 0x5d
const QUOTE = 0x22
const BACKSLASH = 0x5c

/** First position at or after `at` that is no JSON whitespace, or the end. */
export function skipBlank(text: ByteText, at: number): number {
  const { bytes, end } = text
  for (; at < end; at++) {
    const byte = bytes[at]!
    if (byte > 0x20 || (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09)) return at
  }
  return end
}

/** From the first byte of a value to behind its last. Throws `BodyError` when it is none. */
export function skipValue(text: ByteText, at: number): number {
  const byte = at < text.end ? text.bytes[at]! : 0
  if (byte === QUOTE) return skipString(text, at + 1, kernelFor(text, at))
  if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) return skipNested(text, at)
  return skipScalar(text, at)
}

/** The same for a number, `true`, `false` or `null`. */
export function skipScalar(text: ByteText, at: number): number {
  let end = at
  while (end < text.end && isScalarByte(text.bytes[end]!)) end++
  if (end - at >= 4 && end - at <= 5 && isLiteral(text.bytes, at, end)) return end
  if (isNumber(text.bytes, at, end)) return end
  throw new BodyError('expected a JSON value', at)
}

/** JSON's grammar: `-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?`. */
function isNumber(bytes: Uint8Array, start: number, end: number): boolean {
  const whole = bytes[start] === 0x2d ? start + 1 : start
  let at = skipDigits(bytes, whole, end)
  if (at === whole || (bytes[whole] === 0x30 && at > whole + 1)) return false
  if (at < end && bytes[at] === 0x2e) {
    const fraction = at + 1
    at = skipDigits(bytes, fraction, end)
    if (at === fraction) return false
  }
  if (at < end && (bytes[at]! | 0x20) === 0x65) {
    const exponent = bytes[at + 1] === 0x2b || bytes[at + 1] === 0x2d ? at + 2 : at + 1
    at = skipDigits(bytes, exponent, end)
    if (at <= exponent) return false
  }
  return at === end
}

function skipDigits(bytes: Uint8Array, start: number, end: number): number {
  let at = start
  while (at < end && bytes[at]! >= 0x30 && bytes[at]! <= 0x39) at++
  return at
}

function isLiteral(bytes: Uint8Array, start: number, end: number): boolean {
  const literal = bytes[start] === 0x74 ? 'true' : bytes[start] === 0x66 ? 'false' : 'null'
  if (end - start !== literal.length) return false
  for (let at = start; at < end; at++) if (bytes[at] !== literal.charCodeAt(at - start)) return false
  return true
}

function isScalarByte(byte: number): boolean {
  return byte > 0x20 && byte !== 0x2c && byte !== CLOSE_OBJECT && byte !== CLOSE_ARRAY && byte < 0x80
}

/**
 * From behind the opening quote of a top-level string to behind its closing one, checking escapes and control characters.
 * `kernel`: has the text loaded.
 */
export function skipString(text: ByteText, at: number, kernel: Kernel | null = null): number {
  const { bytes, end } = text
  const start = at - 1
  for (;;) {
    at = kernel === null ? findStop(text, at) : kernel.stop(at, end)
    if (at >= end) throw new BodyError('unterminated string', start)
    const byte = bytes[at]!
    if (byte === QUOTE) return at + 1
    if (byte !== BACKSLASH) throw new BodyError('control character in a string', at)
    at = skipEscape(text, at)
  }
}

function skipEscape(text: ByteText, at: number): number {
  const byte = at + 1 < text.end ? text.bytes[at + 1]! : 0
  if (byte !== 0x75) {
    if (byte !== 0 && '"\\/bfnrt'.includes(String.fromCharCode(byte))) return at + 2
    throw new BodyError('bad escape in a string', at)
  }
  for (let digit = at + 2; digit < at + 6; digit++) {
    const hex = digit < text.end ? text.bytes[digit]! | 0x20 : 0
    const isHex = (hex >= 0x30 && hex <= 0x39 && text.bytes[digit] === hex) || (hex >= 0x61 && hex <= 0x66)
    if (!isHex) throw new BodyError('bad escape in a string', at)
  }
  return at + 6
}

/** From an opening bracket or brace to behind the one that closes it. Counts instead of recursing: depth costs nothing. */
function skipNested(text: ByteText, at: number): number {
  // What the kernel finds broken is read again, to tell where.
  const behind = kernelFor(text, at)?.skip(at, text.end) ?? 0
  if (behind > 0) return behind
  const { bytes, end } = text
  const start = at
  let brackets = 0
  let braces = 0
  let plain = 0
  while (at < end) {
    const byte = bytes[at]!
    if (byte === QUOTE) {
      at = skipInnerString(text, at + 1)
      plain = 0
      continue
    }
    at++
    if (byte === OPEN_ARRAY) brackets++
    else if (byte === OPEN_OBJECT) braces++
    else if (byte === CLOSE_ARRAY) brackets--
    else if (byte === CLOSE_OBJECT) braces--
    else {
      if (++plain < 16) continue
      at = skipNumbers(text, at)
      plain = 0
      continue
    }
    plain = 0
    if (brackets < 0 || braces < 0) throw new BodyError('mismatched bracket', at - 1)
    if (brackets + braces === 0) return at
  }
  throw new BodyError('unterminated value', start)
}

/** As `skipString` without its checks: twice as fast, and the engine makes them. */
function skipInnerString(text: ByteText, at: number): number {
  const { bytes, end } = text
  const start = at
  for (;;) {
    const quote = findQuote(text, at)
    if (quote >= end) throw new BodyError('unterminated string', start - 1)
    let slash = quote
    while (slash > start && bytes[slash - 1] === BACKSLASH) slash--
    if (((quote - slash) & 1) === 0) return quote + 1
    at = quote + 1
  }
}
