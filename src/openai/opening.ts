// The bytes that the events of a stream begin with: one that opens like an event before needs no look at its inside.

/** Longer openings are not kept. Bytes. */
const MOST = 512

let viewed: ArrayBufferLike | null = null
let view = new DataView<ArrayBufferLike>(new ArrayBuffer(0))

/** All of a buffer, to be read as 32-bit words at any place. A socket's reads share buffers: most often it is here already. */
function viewOf(buffer: ArrayBufferLike): DataView {
  if (buffer !== viewed) {
    view = new DataView(buffer)
    viewed = buffer
  }
  return view
}

/**
 * Position of the next byte below 0x0e (the ends of lines are, and hardly another one in a text) at or after `at`, or the end. Tests
 * four at a time, which is exact (Bit Twiddling Hacks, "determine if a word has a byte less than n").
 */
export function findLow(bytes: Uint8Array, at: number): number {
  const words = viewOf(bytes.buffer)
  const base = bytes.byteOffset
  const end = bytes.length
  for (const last = end - 4; at <= last; at += 4) {
    const word = words.getInt32(base + at, true)
    if (((word - 0x0e0e0e0e) & ~word & 0x80808080) !== 0) break
  }
  while (at < end && bytes[at]! >= 0x0e) at++
  return at
}

export class Opening {
  /** 0: none is known. */
  length = 0
  /** Four bytes each; the last one has the last four, whatever of them the word before has, too. */
  readonly #words: number[] = []

  /** Takes another one; none where it is long, or hardly anything. */
  keep(bytes: Uint8Array, start: number, end: number): void {
    const length = end - start
    this.length = length >= 4 && length <= MOST ? length : 0
    if (this.length === 0) return
    const words = viewOf(bytes.buffer)
    const base = bytes.byteOffset + start
    let word = 0
    for (let at = 0; at < length - 4; at += 4) this.#words[word++] = words.getInt32(base + at, true)
    this.#words[word] = words.getInt32(base + length - 4, true)
  }

  /** Whether it stands there, to its last byte. */
  standsAt(bytes: Uint8Array, start: number): boolean {
    const { length } = this
    if (length === 0 || bytes.length - start < length) return false
    const words = viewOf(bytes.buffer)
    const own = this.#words
    const base = bytes.byteOffset + start
    let word = 0
    for (let at = 0; at < length - 4; at += 4)
      if (words.getInt32(base + at, true) !== own[word++]) return false
    return words.getInt32(base + length - 4, true) === own[word]
  }
}
