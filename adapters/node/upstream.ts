// A worker's answer on Node, whose bytes reach the client's socket without passing web streams.
import type { HeaderList, Outgoing, Signal, Upstream, UpstreamFailure } from '../../src/host.ts'
import type { Waiter } from '../../src/soon.ts'
import { bodies } from './body-memory.ts'
import type { Receiver } from './wire/connection.ts'
import type { ResponseHead } from './wire/head.ts'
import { abortFailure } from './wire/origin.ts'
import type { Passer } from './wire/passing.ts'

/** Takes a body as it comes. Nothing is called after `end` or `fail`, nor after the upstream was cancelled. */
export interface BodySink extends Partial<Passer> {
  /** `isLast`: the end follows at once. */
  data(bytes: Uint8Array, isLast: boolean): void
  end(): void
  fail(failure: UpstreamFailure): void
}

/** Bytes of a body that nobody asked for yet, above which the worker is told to wait. */
const HIGH_WATER = 131_072

/** What a response comes over: a connection of ours, or a stream inside a tunnel. */
export interface Carrier {
  /** A byte of the response came. */
  readonly heard: boolean
  /** Nothing reads the request's bytes any more: they have left the process. One that can't tell leaves it out. */
  readonly hasSent?: boolean
  pause(): void
  resume(): void
  /** Whole chunks go to that one, where it takes them, past the receiver. One that has no chunks leaves it out. */
  passTo?(passer: Passer): void
  /** Ends it at once; the receiver hears nothing more. */
  destroy(): void
}

/** How a request gets out. */
export interface Way {
  send(outgoing: Outgoing, receiver: Receiver): void
}

/** One response. Before somebody takes its body by `pipe`, what comes early is kept, and the worker held back above a mark. */
export class NodeUpstream implements Upstream, Receiver {
  status = 0
  isHeld = false
  /** The request went over another connection before, which may still have it. */
  isReplacing = false
  headers: HeaderList = []
  readonly #connection: Carrier
  readonly #signal: Signal
  #queue: Uint8Array[] = []
  #queued = 0
  #sink: BodySink | null = null
  /** What was kept is being given to the sink. */
  #isPouring = false
  #state: 'open' | 'ended' | 'failed' | 'cancelled' = 'open'
  #failure: UpstreamFailure | null = null
  /** Who waits for the head. */
  #waiter: Waiter<NodeUpstream> | null = null
  /** Wakes `first`. */
  #wake: (() => void) | null = null

  constructor(connection: Carrier, signal: Signal) {
    this.#connection = connection
    this.#signal = signal
  }

  get heard(): boolean {
    return this.#connection.heard
  }

  get hasBegun(): boolean {
    return this.#queue.length > 0
  }

  /** Its last byte is here. */
  get isWhole(): boolean {
    return this.#state === 'ended'
  }

  /** Sends the request; resolves with itself when the head is here. */
  send(outgoing: Outgoing, way: Way): Promise<NodeUpstream> {
    return new Promise((came, failed) => this.sendFor({ came, failed }, outgoing, way))
  }

  /** The same for one who is told without a promise, of the head and of all that came with it. */
  sendFor(waiter: Waiter<NodeUpstream>, outgoing: Outgoing, way: Way): void {
    this.#waiter = waiter
    // Aborted in the moment between connecting and sending.
    if (this.#signal.aborted) return this.handleEvent()
    this.#signal.addEventListener('abort', this)
    try {
      way.send(outgoing, this)
    } catch (error) {
      // What the connection says of it afterwards finds nobody who waits.
      this.#refuse(error)
    }
  }

  async first(): Promise<Uint8Array | null> {
    while (this.#queue.length === 0 && this.#state === 'open') {
      await new Promise<void>((resolve) => (this.#wake = resolve))
    }
    this.#wake = null
    if (this.#queue.length > 0) return this.#queue[0]!
    if (this.#failure) throw this.#failure
    return null
  }

  /** The rest of the body, cut at `limit` bytes (the connection is closed then). Rejects with `UpstreamFailure`. */
  bytes(limit: number): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      const parts: Uint8Array[] = []
      let size = 0
      this.pipe({
        data: (bytes) => {
          parts.push(bytes)
          size += bytes.byteLength
          if (size < limit) return
          // Just enough is enough, too: nobody would close a connection on which no more comes.
          this.cancel()
          resolve(Buffer.concat(parts).subarray(0, limit))
        },
        end: () => resolve(Buffer.concat(parts)),
        fail: reject,
      })
    })
  }

  free(body: Uint8Array): void {
    if (!this.isReplacing && this.#connection.hasSent) bodies.free(body)
  }

  cancel(): void {
    if (this.#state !== 'open') return
    this.#finish('cancelled')
    this.#connection.destroy()
    this.#wake?.()
  }

  /** Gives the body to a sink: what is here at once, the rest as it comes. */
  pipe(sink: BodySink): void {
    this.#sink = sink
    const queue = this.#queue
    let isOwed = this.#queued >= HIGH_WATER
    this.#queue = []
    this.#queued = 0
    this.#isPouring = true
    let left = queue.length
    for (const bytes of queue) {
      if (this.#state !== 'cancelled') sink.data(bytes, --left === 0 && this.#state === 'ended')
      isOwed ||= this.isHeld
    }
    this.#isPouring = false
    if (this.#state === 'open' && isPasser(sink)) this.#connection.passTo?.(sink)
    // A tunnel gives what it has at once: that comes behind what was kept.
    if (isOwed && !this.isHeld && this.#state === 'open') this.#connection.resume()
    if (this.#state === 'ended') sink.end()
    else if (this.#state === 'failed') sink.fail(this.#failure!)
  }

  pause(): void {
    this.isHeld = true
    if (this.#state === 'open') this.#connection.pause()
  }

  resume(): void {
    this.isHeld = false
    if (this.#state === 'open' && !this.#isPouring) this.#connection.resume()
  }

  handleEvent(): void {
    if (this.#state !== 'open') return
    this.#connection.destroy()
    this.fail(abortFailure(this.#signal))
  }

  head(head: Pick<ResponseHead, 'status' | 'headers'>, isMoreHere = false): void {
    this.status = head.status
    this.headers = head.headers
    if (!isMoreHere) this.arrived()
  }

  arrived(): void {
    const waiter = this.#waiter
    this.#waiter = null
    waiter?.came(this)
  }

  data(bytes: Uint8Array, isLast: boolean): void {
    if (this.#sink) return this.#sink.data(bytes, isLast)
    this.#queue.push(bytes)
    this.#queued += bytes.byteLength
    if (this.#queued >= HIGH_WATER) this.#connection.pause()
    this.#wake?.()
  }

  end(): void {
    this.#finish('ended')
    this.#sink?.end()
    this.#wake?.()
  }

  fail(failure: UpstreamFailure): void {
    if (this.#state !== 'open') return
    this.#failure = failure
    this.#finish('failed')
    this.#sink?.fail(failure)
    this.#wake?.()
    // It may break behind the head, within what came with that.
    if (this.status > 0) this.arrived()
    else this.#refuse(failure)
  }

  /** The head will not come. */
  #refuse(error: unknown): void {
    const waiter = this.#waiter
    this.#waiter = null
    waiter?.failed(error)
  }

  #finish(state: 'ended' | 'failed' | 'cancelled'): void {
    this.#state = state
    this.#signal.removeEventListener('abort', this)
  }
}

function isPasser(sink: BodySink): sink is BodySink & Passer {
  return sink.way !== undefined
}
