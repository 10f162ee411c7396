// Host.fetch on Node: HTTP/1.1 over our own connections, so that bytes reach the client's socket without passing web streams.
import type { HeaderList, Outgoing, Signal, Upstream, UpstreamFailure, WorkerRef } from '../../src/host.ts'
import { bodies } from './body-memory.ts'
import { Workbench } from './wire/connection.ts'
import type { Connection, Receiver } from './wire/connection.ts'
import type { ResponseHead } from './wire/head.ts'
import { abortFailure, Origin, targetOf, type Certificates } from './wire/origin.ts'

/** Takes a body as it comes. Nothing is called after `end` or `fail`, nor after the upstream was cancelled. */
export interface BodySink {
  /** `isLast`: the end follows at once. */
  data(bytes: Uint8Array, isLast: boolean): void
  end(): void
  fail(failure: UpstreamFailure): void
}

export interface NodeFetch {
  (worker: WorkerRef, outgoing: Outgoing): Promise<NodeUpstream>
  /** Closes all connections to workers. */
  close(): void
}

/** Bytes of a body that nobody asked for yet, above which the worker is told to wait. */
const HIGH_WATER = 131_072
/** A kept connection that had been closed already tells so within a round trip; one that breaks later broke at work. Milliseconds. */
const STALE = 1000
/** No engine closes a kept connection sooner than this: one that breaks in younger idleness broke at work. Milliseconds. */
const RESTED = 1000

/** How long connections are kept unless it is configured: uvicorn closes them after 5 s. Milliseconds. */
const IDLE_MOST = 4000

/**
 * Makes `Host.fetch`. Connections are kept per worker URL and used again for up to `idleMost` ms, or less as the worker's
 * Keep-Alive header tells. One that had been idle for `rested` ms and turns out closed before any byte of an answer
 * is replaced once, silently; what must be sent once goes over a new one.
 */
export function createFetch(rested = RESTED, certificates?: Certificates, idleMost = IDLE_MOST): NodeFetch {
  const origins = new Map<string, Origin>()
  const workbench = new Workbench()
  const originOf = (url: string) => {
    const known = origins.get(url)
    if (known) return known
    const origin = new Origin(targetOf(url, certificates), workbench, idleMost)
    origins.set(url, origin)
    return origin
  }
  const overNew = async (origin: Origin, outgoing: Outgoing, isReplacing: boolean) => {
    const connection = await origin.connect(outgoing.connectTimeout, outgoing.signal)
    workbench.begin(origin.target, outgoing)
    const exchange = new NodeUpstream(connection, outgoing.signal)
    exchange.isReplacing = isReplacing
    return exchange.send((receiver) => connection.send(outgoing, receiver))
  }
  const overKept = (origin: Origin, idle: Connection, outgoing: Outgoing) => {
    const sentAt = performance.now()
    const hasRested = sentAt - idle.idleSince >= rested
    const exchange = new NodeUpstream(idle, outgoing.signal)
    if (hasRested)
      exchange.instead = (failure) => {
        const isStale = performance.now() - sentAt <= STALE
        const isAgain = isStale && isRetryable(exchange, failure, outgoing)
        return isAgain ? overNew(origin, outgoing, true) : null
      }
    return exchange.send((receiver) => idle.send(outgoing, receiver))
  }
  // No async function: most calls wait for the head of the answer alone.
  const fetch = (worker: WorkerRef, outgoing: Outgoing): Promise<NodeUpstream> => {
    try {
      const origin = originOf(worker.url)
      workbench.begin(origin.target, outgoing)
      if (outgoing.signal.aborted) throw abortFailure(outgoing.signal)
      const idle = outgoing.isOnce ? null : origin.take()
      return idle === null ? overNew(origin, outgoing, false) : overKept(origin, idle, outgoing)
    } catch (error) {
      return Promise.reject(error as Error)
    }
  }
  const close = () => {
    for (const origin of origins.values()) origin.close()
  }
  return Object.assign(fetch, { close })
}

/** A kept connection that the worker had closed meanwhile: no byte of an answer came, and the body can be sent again. */
function isRetryable(exchange: NodeUpstream, failure: UpstreamFailure, outgoing: Outgoing): boolean {
  if (failure.kind !== 'reset' || exchange.heard) return false
  return outgoing.body === null || !('getReader' in outgoing.body)
}

/** What a response comes over: a connection of ours, or a stream inside a tunnel. */
export interface Carrier {
  /** A byte of the response came. */
  readonly heard: boolean
  /** Nothing reads the request's bytes any more: they have left the process. One that can't tell leaves it out. */
  readonly hasSent?: boolean
  pause(): void
  resume(): void
  /** Ends it at once; the receiver hears nothing more. */
  destroy(): void
}

/** One response. Before somebody takes its body by `pipe`, what comes early is kept, and the worker held back above a mark. */
export class NodeUpstream implements Upstream, Receiver {
  status = 0
  isHeld = false
  /** The request went over another connection before, which may still have it. */
  isReplacing = false
  headers: HeaderList = []
  /** Asked when it fails before its head came: what is to be the answer instead, if anything. */
  instead: ((failure: UpstreamFailure) => Promise<NodeUpstream> | null) | null = null
  readonly #connection: Carrier
  readonly #signal: Signal
  #queue: Uint8Array[] = []
  #queued = 0
  #sink: BodySink | null = null
  /** What was kept is being given to the sink. */
  #isPouring = false
  #state: 'open' | 'ended' | 'failed' | 'cancelled' = 'open'
  #failure: UpstreamFailure | null = null
  #answer: PromiseWithResolvers<NodeUpstream> | null = null
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

  /** Has the request sent; resolves with itself when the head is here. */
  send(begin: (receiver: Receiver) => void): Promise<NodeUpstream> {
    const answer = Promise.withResolvers<NodeUpstream>()
    this.#answer = answer
    // Aborted in the moment between connecting and sending.
    if (this.#signal.aborted) this.handleEvent()
    else {
      this.#signal.addEventListener('abort', this)
      try {
        begin(this)
      } catch (error) {
        // What the connection says of it afterwards finds a promise that is settled, and seen.
        answer.reject(error)
      }
    }
    return answer.promise
  }

  async first(): Promise<Uint8Array | null> {
    while (this.#queue.length === 0 && this.#state === 'open') {
      await new Promise<void>((resolve) => (this.#wake = resolve))
    }
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

  head(head: Pick<ResponseHead, 'status' | 'headers'>): void {
    this.status = head.status
    this.headers = head.headers
    this.#answer?.resolve(this)
    this.#answer = null
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
    this.#refuse(failure)
    this.#sink?.fail(failure)
    this.#wake?.()
  }

  /** The head will not come. */
  #refuse(failure: UpstreamFailure): void {
    const answer = this.#answer
    if (answer === null) return
    this.#answer = null
    const other = this.instead?.(failure) ?? null
    if (other === null) answer.reject(failure)
    else answer.resolve(other)
  }

  #finish(state: 'ended' | 'failed' | 'cancelled'): void {
    this.#state = state
    this.#signal.removeEventListener('abort', this)
  }
}
