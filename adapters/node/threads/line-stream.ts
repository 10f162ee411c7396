// A stream through a tunnel as a serving thread uses it; the link that has it lives in another thread.
import type { FailureKind, UpstreamFailure } from '../../../src/host.ts'
import { WINDOW, type StreamEar, type StreamLike } from '../../../src/tunnel/stream.ts'
import { alone, type Tell, type TunnelCalls } from './tunnel-calls.ts'

/** The other end is told of bytes that were taken in pieces of at least this size. */
const TOOK = 65_536
const DEAF: StreamEar = { data: () => undefined, end: () => undefined, fail: () => undefined }

export class LineStream implements StreamLike {
  ear: StreamEar = DEAF
  readonly #id: number
  readonly #tell: Tell<TunnelCalls>
  readonly #forget: () => void
  #incoming: Uint8Array[] = []
  /** Bytes that the user took and the other end has not heard of. */
  #taken = 0
  /** Bytes written that nobody has taken yet. */
  #written = 0
  #isPaused = false
  #isStalled = false
  #hasTheirEnd = false
  #isToldEnd = false
  #hasOurEnd = false
  #isOver = false

  constructor(id: number, tell: Tell<TunnelCalls>, forget: () => void) {
    this.#id = id
    this.#tell = tell
    this.#forget = forget
  }

  write(bytes: Uint8Array): boolean {
    if (this.#isOver || this.#hasOurEnd) return true
    this.#tell('write', this.#id, alone(bytes))
    this.#written += bytes.byteLength
    this.#isStalled = this.#written >= WINDOW
    return !this.#isStalled
  }

  end(): void {
    if (this.#isOver || this.#hasOurEnd) return
    this.#hasOurEnd = true
    this.#tell('end', this.#id)
    this.#closeIfDone()
  }

  reset(kind: FailureKind, message: string): void {
    if (this.#isOver) return
    this.#tell('reset', this.#id, kind, message)
    this.#close()
  }

  pause(): void {
    this.#isPaused = true
  }

  resume(): void {
    if (!this.#isPaused) return
    this.#isPaused = false
    this.#deliver()
  }

  data(bytes: Uint8Array): void {
    this.#incoming.push(bytes)
    this.#deliver()
  }

  ended(): void {
    this.#hasTheirEnd = true
    this.#deliver()
  }

  fail(failure: UpstreamFailure): void {
    const { ear } = this
    this.#close()
    ear.fail(failure)
  }

  room(bytes: number): void {
    this.#written -= bytes
    if (!this.#isStalled || this.#written >= WINDOW) return
    this.#isStalled = false
    this.ear.room?.()
  }

  #deliver(): void {
    while (!this.#isPaused && !this.#isOver && this.#incoming.length > 0) {
      const bytes = this.#incoming.shift() as Uint8Array
      this.#took(bytes.byteLength)
      this.ear.data(bytes)
    }
    if (!this.#hasTheirEnd || this.#isToldEnd || this.#isOver || this.#isPaused) return
    this.#isToldEnd = true
    const { ear } = this
    this.#closeIfDone()
    ear.end()
  }

  #took(bytes: number): void {
    this.#taken += bytes
    if (this.#taken < TOOK) return
    this.#tell('took', this.#id, this.#taken)
    this.#taken = 0
  }

  #closeIfDone(): void {
    if (this.#hasOurEnd && this.#hasTheirEnd && this.#incoming.length === 0) this.#close()
  }

  #close(): void {
    this.#isOver = true
    this.#incoming = []
    this.ear = DEAF
    this.#forget()
  }
}
