// Views of what lies in memory that is used again and again: to make one costs JavaScriptCore more than to copy an event.
import type { Frames } from '../node/wire/frames.ts'

/** Longer ones, and those that begin further behind, are made each time. Bytes. */
const LENGTH = 1024
const START = 8

export class Views {
  #bytes: Uint8Array | null = null
  #made: Uint8Array[][] = []

  /** What is in the chunks, as one piece: their frames are written over. To be looked at before the next read alone. */
  of({ bytes, places, count }: Frames): Uint8Array {
    const start = places[0]!
    let end = places[1]!
    for (let piece = 1; piece < count; piece++) {
      const [from, to] = [places[2 * piece]!, places[2 * piece + 1]!]
      bytes.copyWithin(end, from, to)
      end += to - from
    }
    return this.#view(bytes, start, end)
  }

  #view(bytes: Uint8Array, start: number, end: number): Uint8Array {
    const length = end - start
    if (start >= START || length >= LENGTH) return bytes.subarray(start, end)
    if (bytes !== this.#bytes) {
      this.#bytes = bytes
      this.#made = Array.from({ length: START }, () => [])
    }
    return (this.#made[start]![length] ??= bytes.subarray(start, end))
  }
}
