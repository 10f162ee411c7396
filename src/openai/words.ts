// Finds the bytes that end a stretch of JSON, four at a time. A string's text is most of a prompt: this loop is the hot path.

/** Bytes with a view of them as 32-bit words. Positions count bytes of `bytes`; `end` is one past the last to look at. */
export interface ByteText {
  readonly bytes: Uint8Array
  readonly words: Int32Array
  readonly end: number
  /** The number of its last copy into a kernel's memory; 0: none was made. */
  copy?: number
}

const QUOTE = 0x22
const BACKSLASH = 0x5c

/** A view for the finders below. Makes no copy. Throws a RangeError from 2 GiB on, where 32-bit positions end. */
export function textOf(bytes: Uint8Array, end: number): ByteText {
  if (bytes.byteOffset + end > 0x7fffff00) throw new RangeError('body too large to scan')
  return new Text(bytes, end)
}

/** Few need the words: short strings end before, long ones are the kernel's. */
class Text implements ByteText {
  readonly bytes: Uint8Array
  readonly end: number
  copy = 0
  #words: Int32Array | null = null

  constructor(bytes: Uint8Array, end: number) {
    this.bytes = bytes
    this.end = end
  }

  get words(): Int32Array {
    return (this.#words ??= wordsOf(this.bytes))
  }
}

/** All of its buffer as 32-bit words. */
export function wordsOf({ buffer }: Uint8Array): Int32Array {
  return new Int32Array(buffer, 0, buffer.byteLength >> 2)
}

/**
 * Position of the next `"` at or after `at`, or `end`. Each word is tested for a zero byte after an xor, which is exact
 * (Bit Twiddling Hacks, "determine if a word has a zero byte"); short strings end in the plain loop before.
 */
export function findQuote(text: ByteText, at: number): number {
  const { bytes, end } = text
  const plain = nearEnd(text, at)
  for (; at < plain; at++) if (bytes[at] === QUOTE) return at
  if (at === end) return end
  const words = text.words
  const last = (bytes.byteOffset + end) >>> 2
  let word = (bytes.byteOffset + at) >>> 2
  for (; word < last; word++) {
    const x = words[word]! ^ 0x22222222
    if (((x - 0x01010101) & ~x & 0x80808080) !== 0) break
  }
  for (at = word * 4 - bytes.byteOffset; at < end; at++) if (bytes[at] === QUOTE) return at
  return end
}

/** Position of the next `"`, `\` or control character (which no JSON string may hold) at or after `at`, or `end`. */
export function findStop(text: ByteText, at: number): number {
  const { bytes, end } = text
  const plain = nearEnd(text, at)
  for (; at < plain; at++) if (isStop(bytes[at]!)) return at
  if (at === end) return end
  const words = text.words
  const last = (bytes.byteOffset + end) >>> 2
  let word = (bytes.byteOffset + at) >>> 2
  for (; word < last; word++) {
    const raw = words[word]!
    const quote = raw ^ 0x22222222
    const slash = raw ^ 0x5c5c5c5c
    const below = (raw - 0x20202020) & ~raw
    if (((((quote - 0x01010101) & ~quote) | ((slash - 0x01010101) & ~slash) | below) & 0x80808080) !== 0)
      break
  }
  for (at = word * 4 - bytes.byteOffset; at < end; at++) if (isStop(bytes[at]!)) return at
  return end
}

/**
 * Skips numbers, commas and blanks: position at or after `at` of a word that holds a quote, a bracket, a brace or a letter, or
 * `end`. Never passes a quote, bracket or brace. Those but the quote have bit 6 set; digits and punctuation do not.
 */
export function skipNumbers(text: ByteText, at: number): number {
  const { bytes, end } = text
  const last = (bytes.byteOffset + end) >>> 2
  let word = (bytes.byteOffset + at + 3) >>> 2
  if (word >= last) return at
  const { words } = text
  for (let lead = word * 4 - bytes.byteOffset; at < lead; at++) {
    if (bytes[at] === QUOTE || (bytes[at]! & 0x40) !== 0) return at
  }
  for (; word < last; word++) {
    const raw = words[word]!
    const x = raw ^ 0x22222222
    if ((((x - 0x01010101) & ~x & 0x80808080) | (raw & 0x40404040)) >>> 0 !== 0) break
  }
  return word * 4 - bytes.byteOffset
}

/** The end of the first 16 to 19 bytes: the first word boundary after them, or the text's end. */
function nearEnd(text: ByteText, at: number): number {
  const offset = text.bytes.byteOffset
  return Math.min(text.end, ((offset + at + 19) & ~3) - offset)
}

function isStop(byte: number): boolean {
  return byte === QUOTE || byte === BACKSLASH || byte < 0x20
}
