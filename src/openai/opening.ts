// The bytes that the events of a stream begin with: one that opens like an event before needs no look at its inside.

const LF = 0x0a
const CR = 0x0d
/** Longer openings are not kept. Bytes. */
const MOST = 512

let viewed: Uint8Array | null = null
let buffer: ArrayBufferLike | null = null
let view = new DataView<ArrayBufferLike>(new ArrayBuffer(0))

/**
 * All of the buffer of these bytes, to be read as 32-bit words at any place. Most often it is here already: a chunk is looked at many
 * times (to ask it for its buffer would cost more than to look), and a socket's reads share buffers.
 */
export function viewOf(bytes: Uint8Array): DataView {
  if (bytes === viewed) return view
  viewed = bytes
  if (bytes.buffer !== buffer) {
    buffer = bytes.buffer
    view = new DataView(buffer)
  }
  return view
}

/**
 * Position of the next byte below 0x0e (the ends of lines are, and hardly another one in a text) at or after `at`, or the end. Tests
 * four at a time, which is exact (Bit Twiddling Hacks, "determine if a word has a byte less than n").
 */
export function findLow(bytes: Uint8Array, at: number): number {
  const words = viewOf(bytes)
  const base = bytes.byteOffset
  const end = bytes.length
  for (const last = end - 4; at <= last; at += 4) {
    const word = words.getInt32(base + at, true)
    if (((word - 0x0e0e0e0e) & ~word & 0x80808080) !== 0) break
  }
  while (at < end && bytes[at]! >= 0x0e) at++
  return at
}

/** Where the words of an opening are gathered: an array of its final length costs less than one that grows. */
const scratch: number[] = []

export class Opening {
  /** 0: none is known. */
  length = 0
  /** Four bytes each; the last one has the last four, whatever of them the word before has, too. */
  #words: readonly number[] = scratch

  /** Takes another one; none where it is long, or hardly anything. */
  keep(bytes: Uint8Array, start: number, end: number): void {
    const length = end - start
    this.length = length >= 4 && length <= MOST ? length : 0
    if (this.length === 0) return
    const words = viewOf(bytes)
    const base = bytes.byteOffset + start
    let count = 0
    for (let at = 0; at < length; at += 4)
      scratch[count++] = words.getInt32(base + Math.min(at, length - 4), true)
    this.#words = scratch.slice(0, count)
  }

  /** Whether it stands there, to its last byte. */
  standsAt(bytes: Uint8Array, start: number): boolean {
    const { length } = this
    if (length === 0 || bytes.length - start < length) return false
    const words = viewOf(bytes)
    const own = this.#words
    const base = bytes.byteOffset + start
    let word = 0
    for (let at = 0; at < length - 4; at += 4)
      if (words.getInt32(base + at, true) !== own[word++]) return false
    return words.getInt32(base + length - 4, true) === own[word]
  }

  /** Behind the event of one line that opens so there, ended by two LF or two CRLF; -1: it is another one, or not whole. */
  endOfEvent(bytes: Uint8Array, start: number): number {
    if (!this.standsAt(bytes, start)) return -1
    return behindBlankLine(bytes, findLow(bytes, start + this.length))
  }
}

/** Behind two LF or two CRLF that stand there, else -1. */
export function behindBlankLine(bytes: Uint8Array, at: number): number {
  if (bytes[at] === LF) return bytes[at + 1] === LF ? at + 2 : -1
  // As sse-starlette writes them.
  const isBlank = bytes[at] === CR && bytes[at + 1] === LF && bytes[at + 2] === CR && bytes[at + 3] === LF
  return isBlank ? at + 4 : -1
}
