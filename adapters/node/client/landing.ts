// Where a lane reads to. All share one buffer; but behind a body that was longer than that, the next request is read straight to
// where its body can stay, with the head before it: one read in place of three, and no copy.
import { bodies } from '../body-memory.ts'
import { arrivals, partOf } from '../reader.ts'

/** Longer bodies are not waited for, bytes: others want to be read, too. */
const LONGEST = 262_144

export class Landing {
  /** Where the next request is read to, or would be, were not the rest of a body read to its own place. */
  #own: Buffer | null = null

  /** Whether those bytes are where a body said that it wants them. */
  isPlace(bytes: Buffer): boolean {
    return bytes !== arrivals && bytes !== this.#own
  }

  /** A body that came with its head. */
  bodyIn(bytes: Buffer, from: number, to: number): Uint8Array {
    if (bytes !== this.#own || to - from <= arrivals.byteLength / 2)
      return bodies.copyOf(partOf(bytes, from, to))
    this.#own = null
    return bodies.keep(bytes, from, to)
  }

  /** Where to go on behind those bytes, while the body asks for no place; undefined: as before. */
  back(bytes: Buffer): Buffer | undefined {
    const into = this.#own ?? arrivals
    return into === bytes ? undefined : into
  }

  /** The same behind a request whose head and body had so many bytes. */
  next(bytes: Buffer, head: number, size: number): Buffer | undefined {
    const isLong = head + size > arrivals.byteLength && size <= LONGEST
    if (this.#own !== null && !(isLong && head + size <= this.#own.byteLength)) this.close()
    if (isLong) this.#own ??= bodies.ahead(head, size)
    return this.back(bytes)
  }

  close(): void {
    if (this.#own !== null) bodies.giveUp(this.#own)
    this.#own = null
  }
}
