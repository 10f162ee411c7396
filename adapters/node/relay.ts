// Host.relay on Node: joins a worker's body with the client's Response and tells the watch how it went.
import { UpstreamFailure } from '../../src/host.ts'
import type { Answer, Upstream, Watch } from '../../src/host.ts'
import { atHand, NativeResponse } from './response.ts'
import type { Sink, Source } from './response.ts'
import { NodeUpstream } from './upstream.ts'
import type { BodySink } from './upstream.ts'
import type { SocketWriter } from './writer.ts'

/** The client's Response for an upstream made by `createFetch`. Its bytes start to flow when the Response is sent. */
export function relay(upstream: Upstream, answer: Answer, watch: Watch): Response {
  if (!(upstream instanceof NodeUpstream)) throw new TypeError('relay needs an upstream of this host')
  return new NativeResponse(answer.status, answer.headers, new Relay(upstream, watch)) as unknown as Response
}

/** The client's Response for an answer that is here to its last byte. */
export function reply({ status, headers }: Answer, bytes: Uint8Array): Response {
  return new NativeResponse(status, headers, atHand(bytes)) as unknown as Response
}

/** Exactly one of the watch's `end`, `fail` and `leave` is called: whichever comes first. */
class Relay implements Source, BodySink {
  readonly #upstream: NodeUpstream
  readonly watch: Watch
  #sink: Sink | null = null
  #isOver = false

  constructor(upstream: NodeUpstream, watch: Watch) {
    this.#upstream = upstream
    this.watch = watch
  }

  flow(sink: Sink): void {
    if (this.#isOver) return sink.break(new Error('the client left'))
    this.#sink = sink
    this.#upstream.pipe(this)
  }

  resume(): void {
    this.#upstream.resume()
  }

  cancel(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#upstream.cancel()
    this.watch.leave()
  }

  data(bytes: Uint8Array, isLast: boolean): void {
    if (this.#isOver) return
    try {
      const passed = this.watch.chunk(bytes)
      if (passed === null || passed.byteLength === 0) return
      if (!this.#sink!.write(passed, isLast)) this.#upstream.pause()
    } catch (error) {
      this.break(error)
    }
  }

  way(): SocketWriter | null {
    return this.#isOver || this.watch.pass === undefined ? null : (this.#sink?.way?.() ?? null)
  }

  full(): void {
    this.#sink!.fill!()
    this.#upstream.pause()
  }

  break(error: unknown): void {
    this.#upstream.cancel()
    this.fail(new UpstreamFailure('protocol', `relaying failed: ${String(error)}`))
  }

  end(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#sink!.end(this.watch.end())
  }

  fail(failure: UpstreamFailure): void {
    if (this.#isOver) return
    this.#isOver = true
    const tail = this.watch.fail(failure)
    if (tail === null) this.#sink!.break(failure)
    else this.#sink!.end(tail)
  }
}
