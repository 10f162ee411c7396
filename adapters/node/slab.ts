// Small pieces of bytes, one behind the other in larger memory: a buffer of its own for each would cost as much as its copy does.

/** Bytes of one memory. */
const ROOM = 65_536

/** Larger pieces have memory of their own: they would leave much of it empty, or hold it for long. Bytes. */
const MOST = ROOM / 4

export class Slab {
  #memory: ArrayBufferLike | null = null
  #at = 0

  /** A copy that is the caller's alone. */
  copyOf(bytes: Uint8Array): Uint8Array {
    const size = bytes.byteLength
    const copy = size > MOST ? new Uint8Array(memoryOf(size)) : this.#piece(size)
    copy.set(bytes)
    return copy
  }

  #piece(size: number): Uint8Array {
    if (this.#memory === null || this.#at + size > ROOM) {
      this.#memory = memoryOf(ROOM)
      this.#at = 0
    }
    const from = this.#at
    this.#at = from + size
    return new Uint8Array(this.#memory, from, size)
  }
}

/** Not zeroed. */
function memoryOf(size: number): ArrayBufferLike {
  return Buffer.allocUnsafeSlow(size).buffer
}
