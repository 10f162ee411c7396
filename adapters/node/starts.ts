// Views of the first bytes of a buffer that is used again and again: to make one costs more than to copy an event.

/** Longer ones are made each time. Bytes. */
const MOST = 1024

export class Starts {
  readonly bytes: Buffer
  readonly #made: (Buffer | null)[] = Array.from({ length: MOST }, () => null)

  constructor(bytes: Buffer) {
    this.bytes = bytes
  }

  /** The first `size` bytes. */
  of(size: number): Buffer {
    if (size >= MOST) return this.bytes.subarray(0, size)
    return (this.#made[size] ??= this.bytes.subarray(0, size))
  }
}
