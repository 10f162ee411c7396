// One request and its answer inside a link: two bodies, each sent no faster than the other side takes it.
import { UpstreamFailure, type FailureKind } from '../host.ts'
import { encodeFrame, encodeJson, readJson, TunnelProtocolError, type Frame } from './frames.ts'

/** Bytes of one body that may be under way without having been taken. */
export const WINDOW = 1_048_576
/** Large enough to be cheap, small enough that the frames of others come between. */
const CHUNK = 65_536

/** Who hears what the other side sends. Nothing is called after `end` and `fail`, nor after our own `reset`. */
export interface StreamEar {
  head?(head: Record<string, unknown>): void
  data(bytes: Uint8Array): void
  end(): void
  fail(failure: UpstreamFailure): void
  /** After a `write` that said no: there is room again. */
  room?(): void
}

/** What users of a stream do with it: one of a link, or one that a link elsewhere has. */
export interface StreamLike {
  ear: StreamEar
  write(bytes: Uint8Array): boolean
  end(): void
  reset(kind: FailureKind, message: string): void
  pause(): void
  resume(): void
}

/** What a stream needs of its link. */
export interface StreamLink {
  /** Sends a numbered frame; it is kept until it is acknowledged. */
  send(frame: Uint8Array): void
  /** May body bytes be sent, or is too much unacknowledged already? Asks to be flushed later if so. */
  hasRoom(stream: TunnelStream): boolean
  forget(stream: TunnelStream): void
}

const DEAF: StreamEar = { data: () => undefined, end: () => undefined, fail: () => undefined }

export class TunnelStream implements StreamLike {
  readonly id: number
  ear: StreamEar = DEAF
  readonly #link: StreamLink
  #outgoing: Uint8Array[] = []
  #sent = 0
  /** Offset up to which we may send. */
  #limit = WINDOW
  /** No more will be written; `sent`: the other side was told. */
  #ending: 'no' | 'due' | 'sent' = 'no'
  #isStalled = false
  #incoming: Uint8Array[] = []
  #received = 0
  #taken = 0
  /** Offset up to which the other side may send. */
  #granted = WINDOW
  #hasTheirEnd = false
  #isPaused = false
  #isToldEnd = false
  #isOver = false

  constructor(id: number, link: StreamLink) {
    this.id = id
    this.#link = link
  }

  get isOver(): boolean {
    return this.#isOver
  }

  /** The other side has sent its whole body, and it was taken. */
  get isHeard(): boolean {
    return this.#hasTheirEnd && this.#incoming.length === 0
  }

  /** Sends the head of an answer. Throws `RangeError` when it is larger than a frame. */
  head(head: unknown): void {
    if (!this.#isOver) this.#link.send(encodeJson('head', this.id, head))
  }

  /** Takes bytes to send; they must not change any more. False: enough for now, `room` follows. */
  write(bytes: Uint8Array): boolean {
    if (this.#isOver || this.#ending !== 'no') return true
    if (bytes.byteLength > 0) this.#outgoing.push(bytes)
    this.flush()
    this.#isStalled = this.#outgoing.length > 0
    return !this.#isStalled
  }

  /** Our body ends behind what was written. */
  end(): void {
    if (this.#isOver || this.#ending !== 'no') return
    this.#ending = 'due'
    this.flush()
  }

  /** Ends the stream for both sides at once; what was not sent yet is dropped. */
  reset(kind: FailureKind, message: string): void {
    if (this.#isOver) return
    this.#link.send(encodeJson('reset', this.id, { kind, message: message.slice(0, 1000) }))
    this.#close()
  }

  /** Sends what the window and the link have room for. */
  flush(): void {
    while (!this.#isOver && this.#outgoing.length > 0 && this.#sent < this.#limit) {
      if (!this.#link.hasRoom(this)) return
      this.#sendChunk()
    }
    if (this.#isOver || this.#outgoing.length > 0) return
    if (this.#ending === 'due') {
      this.#ending = 'sent'
      this.#link.send(encodeFrame('end', this.id, this.#sent))
      this.#closeIfDone()
    } else if (this.#isStalled) {
      this.#isStalled = false
      this.ear.room?.()
    }
  }

  pause(): void {
    this.#isPaused = true
  }

  resume(): void {
    if (!this.#isPaused) return
    this.#isPaused = false
    this.#deliver()
  }

  /** Takes a frame of the other side. Throws `TunnelProtocolError` when it breaks the rules. */
  receive(frame: Frame): void {
    if (this.#isOver) return
    if (frame.kind === 'head') this.ear.head?.(readJson(frame))
    else if (frame.kind === 'data') this.#takeData(frame)
    else if (frame.kind === 'end') this.#takeEnd(frame)
    else if (frame.kind === 'reset') this.fail(failureIn(frame))
    else if (frame.kind === 'credit') this.#takeCredit(frame.value)
  }

  /** The stream broke, here or over there. */
  fail(failure: UpstreamFailure): void {
    if (this.#isOver) return
    const { ear } = this
    this.#close()
    ear.fail(failure)
  }

  #sendChunk(): void {
    const first = this.#outgoing[0] as Uint8Array
    const size = Math.min(first.byteLength, CHUNK, this.#limit - this.#sent)
    this.#link.send(encodeFrame('data', this.id, this.#sent, first.subarray(0, size)))
    this.#sent += size
    if (size === first.byteLength) this.#outgoing.shift()
    else this.#outgoing[0] = first.subarray(size)
  }

  #takeCredit(limit: number): void {
    this.#limit = Math.max(this.#limit, limit)
    this.flush()
  }

  #takeData({ value, payload }: Frame): void {
    if (this.#hasTheirEnd) throw new TunnelProtocolError('bytes behind the end of a body')
    if (value !== this.#received) throw new TunnelProtocolError(`bytes at ${value}, not at ${this.#received}`)
    if (payload.byteLength === 0) return
    this.#received += payload.byteLength
    if (this.#received > this.#granted) throw new TunnelProtocolError('more bytes than were granted')
    this.#incoming.push(payload)
    this.#deliver()
  }

  #takeEnd({ value }: Frame): void {
    if (this.#hasTheirEnd) throw new TunnelProtocolError('a second end of a body')
    if (value !== this.#received)
      throw new TunnelProtocolError(`an end at ${value}, not at ${this.#received}`)
    this.#hasTheirEnd = true
    this.#deliver()
    if (this.#incoming.length === 0) this.#heardAll()
  }

  #deliver(): void {
    while (!this.#isPaused && !this.#isOver && this.#incoming.length > 0) {
      const bytes = this.#incoming.shift() as Uint8Array
      this.#taken += bytes.byteLength
      this.#grant()
      this.ear.data(bytes)
      if (this.#hasTheirEnd && this.#incoming.length === 0) return this.#heardAll()
    }
  }

  #heardAll(): void {
    if (this.#isOver || this.#isToldEnd) return
    this.#isToldEnd = true
    const { ear } = this
    this.#closeIfDone()
    ear.end()
  }

  /** Tells of room by quarters of a window, not by every chunk. */
  #grant(): void {
    const limit = this.#taken + WINDOW
    if (this.#hasTheirEnd || limit - this.#granted < WINDOW / 4) return
    this.#granted = limit
    this.#link.send(encodeFrame('credit', this.id, limit))
  }

  #closeIfDone(): void {
    if (this.#ending === 'sent' && this.isHeard) this.#close()
  }

  #close(): void {
    this.#isOver = true
    this.#outgoing = []
    this.#incoming = []
    this.ear = DEAF
    this.#link.forget(this)
  }
}

const FAILURES: readonly FailureKind[] = [
  'connect',
  'connect_timeout',
  'first_token_timeout',
  'idle_timeout',
  'total_timeout',
  'reset',
  'protocol',
  'aborted',
]

/** Why the other side gave up, as far as its words are ours. */
function failureIn(frame: Frame): UpstreamFailure {
  const { kind, message } = readJson(frame)
  const known = FAILURES.find((one) => one === kind) ?? 'reset'
  return new UpstreamFailure(known, typeof message === 'string' ? message : 'the other side gave up')
}
