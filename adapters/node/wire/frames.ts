// Finds the chunks that lie whole in a read: their frames can go on as they came.
import type { Pieces } from '../../../src/host.ts'
import { hex } from './chunks.ts'

const CR = 13
const LF = 10
/** More in one read are not looked for. */
const MOST = 512
const DIGITS = 5

/** The chunks of one read. Used again for the next one. */
export class Frames implements Pieces {
  bytes: Buffer = Buffer.alloc(0)
  /** Of the read, all framing included. */
  size = 0
  count = 0
  readonly places = new Int32Array(2 * MOST)

  /** Whether the first `size` bytes are nothing but whole chunks, without extensions, and not the last one of a message. */
  find(bytes: Buffer, size: number): boolean {
    const { places } = this
    let place = 0
    for (let at = 0; at < size;) {
      let length = 0
      const from = at
      for (; at < from + DIGITS; at++) {
        const digit = hex(bytes[at]!)
        if (digit < 0) break
        length = length * 16 + digit
      }
      const start = at + 2
      const end = start + length
      if (length === 0 || end + 2 > size || place === places.length) return false
      if (bytes[at] !== CR || bytes[at + 1] !== LF || bytes[end] !== CR || bytes[end + 1] !== LF) return false
      places[place++] = start
      places[place++] = end
      at = end + 2
    }
    this.bytes = bytes
    this.size = size
    this.count = place >> 1
    return true
  }
}
