// Reads and edits multipart/form-data bodies in place: the few small fields that routing needs, never the files.
import { startsWith } from './bytes.ts'
import type { Span } from './scan.ts'

interface Part {
  /** Its name, or '' when the headers name none. */
  readonly name: string
  /** The value's bytes. */
  readonly value: Span
}

const DASH = 0x2d
const CR = 0x0d
const LF = 0x0a
/** A field that is read is a short word; a larger one is a file under a wrong name. */
const FIELD_LIMIT = 65_536
const HEADERS_LIMIT = 16_384
const utf8 = new TextDecoder()
const encoder = new TextEncoder()

/** The boundary that a content-type names, quoted or not; null when it is no multipart type or names none. */
export function boundaryOf(contentType: string): string | null {
  if (!/^\s*multipart\//i.test(contentType)) return null
  const match = /;\s*boundary\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]+))/i.exec(contentType)
  if (match === null) return null
  const boundary = match[1] === undefined ? match[2]! : match[1].replace(/\\(.)/g, '$1')
  // RFC 2046 allows 70 characters; more would only make the search slow.
  return boundary === '' || boundary.length > 200 ? null : boundary
}

/** The text of a field, e.g. `model`; of several the last, as the engines read it. Null when there is none. */
export function readMultipartField(bytes: Uint8Array, boundary: string, name: string): string | null {
  return readMultipartFields(bytes, boundary, [name])[name] ?? null
}

/** The texts of some fields, found in one pass; absent ones are not in the answer. */
export function readMultipartFields(
  bytes: Uint8Array,
  boundary: string,
  names: readonly string[],
): Record<string, string> {
  const fields: Record<string, string> = {}
  for (const { name, value } of partsOf(bytes, boundary).parts) {
    if (names.includes(name) && value.end - value.start <= FIELD_LIMIT) {
      fields[name] = utf8.decode(bytes.subarray(value.start, value.end))
    }
  }
  return fields
}

/** The model if it is whole in the first bytes of an upload; null when it is not there, or not there yet. */
export function peekMultipartModel(firstBytes: Uint8Array, boundary: string): string | null {
  return readMultipartField(firstBytes, boundary, 'model')
}

/**
 * The body with a field set, as slices of the original around the new value. All parts of that name are set; a new one goes to
 * the front. A body in which no part begins comes back as it is.
 */
export function setMultipartField(
  bytes: Uint8Array,
  boundary: string,
  field: string,
  value: string,
): Uint8Array[] {
  const { parts, first } = partsOf(bytes, boundary)
  if (first < 0) return [bytes]
  const slices: Uint8Array[] = []
  let from = 0
  for (const part of parts) {
    if (part.name !== field) continue
    slices.push(bytes.subarray(from, part.value.start), encoder.encode(value))
    from = part.value.end
  }
  if (from === 0) {
    const name = field.replace(
      /["\r\n]/g,
      (char) => `%${char.charCodeAt(0).toString(16).padStart(2, '0').toUpperCase()}`,
    )
    const text = `--${boundary}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`
    slices.push(bytes.subarray(0, first), encoder.encode(text))
    from = first
  }
  slices.push(bytes.subarray(from))
  return slices.filter((slice) => slice.length > 0)
}

/** The parts that are whole, and where the first delimiter begins (-1: nowhere). */
function partsOf(bytes: Uint8Array, boundary: string): { parts: Part[]; first: number } {
  const delimiter = encoder.encode(`\r\n--${boundary}`)
  const skips = skipTable(delimiter)
  const parts: Part[] = []
  const first = startsWith(bytes, 0, delimiter.subarray(2)) ? 0 : nextLine(find(bytes, delimiter, skips, 0))
  // Behind the delimiter: its line break, or the two dashes of the last one.
  let at = first < 0 ? -1 : first + delimiter.length - 2
  while (at >= 0 && !(bytes[at] === DASH && bytes[at + 1] === DASH)) {
    const headers = skipPadding(bytes, at)
    if (headers < 0) break
    const value = endOfHeaders(bytes, headers)
    // A part without a value may end right where its headers do: their last line break is the delimiter's.
    const end = value < 0 ? -1 : find(bytes, delimiter, skips, value - 2)
    if (end < 0) break
    const name = nameOf(utf8.decode(bytes.subarray(headers, value)))
    parts.push({ name, value: { start: value, end: Math.max(end, value) } })
    at = end + delimiter.length
  }
  return { parts, first }
}

const nextLine = (at: number): number => (at < 0 ? -1 : at + 2)

function skipPadding(bytes: Uint8Array, at: number): number {
  while (bytes[at] === 0x20 || bytes[at] === 0x09) at++
  return bytes[at] === CR && bytes[at + 1] === LF ? at + 2 : -1
}

/** Behind the blank line that ends a part's headers, or -1. */
function endOfHeaders(bytes: Uint8Array, start: number): number {
  if (bytes[start] === CR && bytes[start + 1] === LF) return start + 2
  const end = Math.min(bytes.length, start + HEADERS_LIMIT)
  for (let at = start; at + 3 < end; at++) {
    if (bytes[at] === CR && bytes[at + 1] === LF && bytes[at + 2] === CR && bytes[at + 3] === LF)
      return at + 4
  }
  return -1
}

const nameOf = (headers: string): string => parameterOf(headers, 'name') ?? ''

/** A parameter of the content-disposition among the headers of a part; null when they name none. */
export function parameterOf(headers: string, name: 'name' | 'filename'): string | null {
  const disposition = /^content-disposition:(.*)$/im.exec(headers)?.[1] ?? ''
  const pattern = name === 'name' ? NAME : FILENAME
  const match = pattern.exec(disposition)
  return match === null ? null : (match[1]?.replace(/\\(.)/g, '$1') ?? match[2]!)
}

const NAME = /;\s*name\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]+))/i
const FILENAME = /;\s*filename\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]+))/i

/** How far a window may move, by its last byte. */
export function skipTable(needle: Uint8Array): Uint8Array {
  const skips = new Uint8Array(256).fill(Math.min(255, needle.length))
  const last = needle.length - 1
  for (let i = 0; i < last; i++) skips[needle[i]!] = Math.min(255, last - i)
  return skips
}

/** First position of the needle at or after `at`, or -1 (Horspool 1980: a boundary is long, so files are skipped in strides). */
export function find(bytes: Uint8Array, needle: Uint8Array, skips: Uint8Array, at: number): number {
  const last = needle.length - 1
  while (at + last < bytes.length) {
    if (startsWith(bytes, at, needle)) return at
    at += skips[bytes[at + last]!]!
  }
  return -1
}
