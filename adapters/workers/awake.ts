// Writes comments into a silent stream of events: on Workers only a write that fails tells that a client has left.
import type { Host } from '../../src/host.ts'
import type { WebUpstream } from '../web/upstream.ts'

const COMMENT = new TextEncoder().encode(': keep-alive\n\n')
const LINE_FEED = 10

/** One timer a stream, whatever passes: a chunk costs two assignments. */
export class Awake {
  readonly #timer: Host['timer']
  readonly #every: number
  #cancel = () => {}
  #isOver = false
  /** Nothing passed since the timer rang last. */
  #isSilent = false
  /** No event is half sent. */
  #isBetween = true
  #isWriting = false
  /** A comment could not be written. */
  hasLeft = false

  constructor(timer: Host['timer'], every: number) {
    this.#timer = timer
    this.#every = every
  }

  /** The worker's answer is broken off when a comment can't be written. */
  begin(writer: WritableStreamDefaultWriter<Uint8Array>, upstream: WebUpstream): void {
    const ring = () => {
      if (this.#isOver) return
      this.#cancel = this.#timer(this.#every, ring)
      if (this.#isSilent && this.#isBetween && !this.#isWriting) this.#write(writer, upstream)
      this.#isSilent = true
    }
    this.#cancel = this.#timer(this.#every, ring)
  }

  /** So much was sent to the client; null: nothing. */
  passed(bytes: Uint8Array | null): void {
    this.#isSilent = false
    if (bytes !== null && bytes.byteLength > 0) this.#isBetween = endsEvent(bytes)
  }

  end(): void {
    this.#isOver = true
    this.#cancel()
  }

  #write(writer: WritableStreamDefaultWriter<Uint8Array>, upstream: WebUpstream): void {
    this.#isWriting = true
    writer.write(COMMENT).then(
      () => (this.#isWriting = false),
      () => {
        // Once it is over somebody else writes, and learns it.
        if (this.#isOver) return
        this.hasLeft = true
        upstream.cancel()
      },
    )
  }
}

/** Whether they end with an empty line. */
function endsEvent(bytes: Uint8Array): boolean {
  const last = bytes.byteLength - 1
  if (bytes[last] !== LINE_FEED) return false
  return bytes[last - 1] === LINE_FEED || bytes[last - 2] === LINE_FEED
}
