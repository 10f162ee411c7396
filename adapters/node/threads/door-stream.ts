// A stream that a serving thread opened, where the links live: what the thread says goes into the link, and back.
import { UpstreamFailure, type FailureKind } from '../../../src/host.ts'
import { WINDOW, type StreamLike } from '../../../src/tunnel/stream.ts'
import { alone, type Tell, type TunnelTellings } from './tunnel-calls.ts'

export class DoorStream {
  readonly #id: number
  readonly #tell: Tell<TunnelTellings>
  readonly #forget: () => void
  readonly #abort = new AbortController()
  #stream: StreamLike | null = null
  /** What the thread said before the stream was there. */
  #early: Array<(stream: StreamLike) => void> = []
  /** Bytes for the thread that it has not taken yet. */
  #untaken = 0
  #isPaused = false
  /** Bytes of the thread for which the link had no room. */
  #waiting = 0
  #ends = 0
  #isOver = false

  constructor(id: number, tell: Tell<TunnelTellings>, forget: () => void) {
    this.#id = id
    this.#tell = tell
    this.#forget = forget
  }

  /** Aborts when the thread gives up before the stream is there. */
  get signal(): AbortSignal {
    return this.#abort.signal
  }

  /** The link has opened it. */
  begin(stream: StreamLike): void {
    if (this.#isOver) return stream.reset('aborted', 'the call has ended')
    this.#stream = stream
    stream.ear = {
      head: (head) => this.#tell('head', this.#id, head),
      data: (bytes) => this.#hand(bytes),
      end: () => {
        this.#tell('ended', this.#id)
        this.#end()
      },
      fail: ({ kind, message }) => {
        this.#close()
        this.#tell('failed', this.#id, kind, message)
      },
      room: () => {
        this.#tell('room', this.#id, this.#waiting)
        this.#waiting = 0
      },
    }
    for (const say of this.#early.splice(0)) say(stream)
  }

  /** The link could not open it. */
  refuse(error: unknown): void {
    if (this.#isOver) return
    const isOurs = error instanceof UpstreamFailure
    this.#close()
    this.#tell('failed', this.#id, isOurs ? error.kind : 'protocol', isOurs ? error.message : String(error))
  }

  write(bytes: Uint8Array): void {
    this.#say((stream) => {
      this.#waiting += bytes.byteLength
      if (!stream.write(bytes)) return
      this.#tell('room', this.#id, this.#waiting)
      this.#waiting = 0
    })
  }

  end(): void {
    this.#say((stream) => {
      stream.end()
      this.#end()
    })
  }

  reset(kind: FailureKind, message: string): void {
    if (this.#isOver) return
    this.#stream?.reset(kind, message)
    this.#close()
    this.#abort.abort()
  }

  took(bytes: number): void {
    this.#untaken -= bytes
    if (!this.#isPaused || this.#untaken >= WINDOW / 2) return
    this.#isPaused = false
    this.#stream?.resume()
  }

  #say(say: (stream: StreamLike) => void): void {
    if (this.#isOver) return
    if (this.#stream) say(this.#stream)
    else this.#early.push(say)
  }

  #hand(bytes: Uint8Array): void {
    this.#tell('data', this.#id, alone(bytes))
    this.#untaken += bytes.byteLength
    if (this.#isPaused || this.#untaken < WINDOW / 2) return
    this.#isPaused = true
    this.#stream?.pause()
  }

  /** Both bodies must end. */
  #end(): void {
    this.#ends++
    if (this.#ends === 2) this.#close()
  }

  #close(): void {
    this.#isOver = true
    this.#early = []
    this.#forget()
  }
}
