// Stands before a connection to a worker, and has whole chunks go on as they came where somebody lets them.
import type { Watch } from '../../../src/host.ts'
import { passStart } from '../pieces.ts'
import type { Taker } from '../reader.ts'
import type { SocketWriter } from '../writer.ts'
import type { Frames } from './frames.ts'

/** Who lets chunks pass. */
export interface Passer {
  /** Says of each whether it may. */
  readonly watch: Watch
  /** Where they go from now on, past the receiver, until the response ends; null: not yet, or never. */
  way(): SocketWriter | null
  /** The way has no room. */
  full(): void
  break(error: unknown): void
}

/** What an event needs lies in here, for to look up another object of its stream's costs 0.4 % of a paced stream. */
export class Passing implements Taker {
  /** The next byte of the response is the first one of a chunk. */
  isBetween = false
  readonly #connection: Taker
  readonly #frames: Frames
  #passer: Passer | null = null
  /** Those of the passer, once it has a way. */
  #watch: Watch | null = null
  #way: SocketWriter | null = null

  constructor(connection: Taker, frames: Frames) {
    this.#connection = connection
    this.#frames = frames
  }

  /** From here on whole chunks of the response pass where that one lets them; null: they come to the connection. */
  by(passer: Passer | null): void {
    this.#passer = passer
    this.#watch = null
    this.#way = null
  }

  arrive(bytes: Buffer, size: number): Buffer | undefined {
    const isTaken = this.isBetween && this.#passer !== null && this.#frames.find(bytes, size)
    return isTaken && this.#pass(bytes, size) ? undefined : this.#connection.arrive(bytes, size)
  }

  #pass(bytes: Buffer, size: number): boolean {
    const passer = this.#passer!
    if (this.#way === null) {
      this.#way = passer.way()
      this.#watch = passer.watch
    }
    if (this.#way === null) return false
    try {
      if (this.#watch!.pass?.(this.#frames) !== true) return false
      if (!passStart(this.#way, bytes, size)) passer.full()
    } catch (error) {
      passer.break(error)
    }
    return true
  }
}
