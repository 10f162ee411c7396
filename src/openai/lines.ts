// Finds the ends of lines, four bytes at a time.

const LF = 0x0a
const CR = 0x0d

let viewed: Uint8Array | null = null
let buffer: ArrayBufferLike | null = null
let view = new DataView<ArrayBufferLike>(new ArrayBuffer(0))
/** The one before: a socket's reads lie in one buffer, and what is kept of them in another. */
let otherBuffer: ArrayBufferLike | null = null
let otherView = view

/**
 * All of the buffer of these bytes, to be read as 32-bit words at any place. Most often it is here already: a chunk is looked at many
 * times (to ask it for its buffer would cost more than to look), and chunks share buffers.
 */
export function viewOf(bytes: Uint8Array): DataView {
  if (bytes === viewed) return view
  viewed = bytes
  const wanted = bytes.buffer
  if (wanted === buffer) return view
  const found = wanted === otherBuffer ? otherView : new DataView(wanted)
  otherBuffer = buffer
  otherView = view
  buffer = wanted
  view = found
  return view
}

/**
 * Position of the next byte below 0x0e (the ends of lines are, and hardly another one in a text) at or after `at`, or the end. Tests
 * four at a time, which is exact (Bit Twiddling Hacks, "determine if a word has a byte less than n").
 */
export function findLow(bytes: Uint8Array, at: number): number {
  return lowIn(viewOf(bytes), bytes.byteOffset, bytes, at)
}

/** The same with the view of the bytes, in which they begin at `base`: who looks for more than this has both at hand. */
export function lowIn(words: DataView, base: number, bytes: Uint8Array, at: number): number {
  const end = bytes.length
  for (const last = end - 4; at <= last; at += 4) {
    const word = words.getInt32(base + at, true)
    if (((word - 0x0e0e0e0e) & ~word & 0x80808080) !== 0) break
  }
  while (at < end && bytes[at]! >= 0x0e) at++
  return at
}

/** Behind two LF or two CRLF that stand there, else -1. */
export function behindBlankLine(bytes: Uint8Array, at: number): number {
  if (bytes[at] === LF) return bytes[at + 1] === LF ? at + 2 : -1
  // As sse-starlette writes them.
  const isBlank = bytes[at] === CR && bytes[at + 1] === LF && bytes[at + 2] === CR && bytes[at + 3] === LF
  return isBlank ? at + 4 : -1
}
