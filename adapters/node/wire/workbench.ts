// What all connections to workers share, one at a time: where requests are put together, and what reads answers.
import type { Outgoing } from '../../../src/host.ts'
import { bodies } from '../body-memory.ts'
import type { SocketWriter } from '../writer.ts'
import { Frames } from './frames.ts'
import { HeadReader } from './head-reader.ts'
import type { Target } from './origin.ts'
import { HeadRoom } from './request-head.ts'

/** Up to this a request is copied behind its head: one plain write is cheaper than a gathered one, at 128 KB by 4 % of a call. */
const SMALL = 163_840

/** Where small requests are put together and heads are read, one at a time, by all connections that share it. */
export class Workbench {
  readonly heads = new HeadReader()
  readonly frames = new Frames()
  #room: HeadRoom | null = null
  /** Of the head that lies there. */
  #size = 0

  /** Writes the head of the request that is sent next. Throws `UpstreamFailure` (`protocol`). */
  begin(target: Target, outgoing: Outgoing): void {
    this.#room ??= new HeadRoom(SMALL)
    this.#size = this.#room.write(target, outgoing)
  }

  /** A copy of the head. */
  get head(): Uint8Array {
    return Buffer.from(this.#room!.bytes.subarray(0, this.#size))
  }

  /** Sends the head and the slices behind it as one piece; false: they are too large for that. */
  send(writer: SocketWriter, slices: readonly Uint8Array[]): boolean {
    const { bytes } = this.#room!
    const whole = slices.length === 1 ? bodies.withFront(slices[0]!, this.#size) : null
    if (whole !== null) {
      whole.set(bytes.subarray(0, this.#size))
      writer.bytes(whole)
      return true
    }
    let size = this.#size
    for (const slice of slices) size += slice.byteLength
    if (size > bytes.length) return false
    let at = this.#size
    for (const slice of slices) {
      bytes.set(slice, at)
      at += slice.byteLength
    }
    // A plain view costs half of what a Buffer does.
    writer.bytes(new Uint8Array(this.#room!.memory, 0, at))
    // Mostly the kernel has taken all of it; else the socket keeps these bytes.
    if (!writer.isEmpty) this.#room = null
    return true
  }
}
