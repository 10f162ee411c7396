// Host.relay on Bun: a worker's body goes to the client's socket by one call for each read, without a queue or promises between.
import { UpstreamFailure } from '../../src/host.ts'
import type { Answer, Upstream, Watch } from '../../src/host.ts'
import { NodeUpstream } from '../node/upstream.ts'
import type { BodySink } from '../node/upstream.ts'
import type { Frames } from '../node/wire/frames.ts'
import { isNamed } from '../../src/forward/names.ts'
import { refuse } from '../../src/routes/reply.ts'
import { isBare, relayNothing } from '../web/relay.ts'
import { statusOf } from '../web/socket-relay.ts'
import { Views } from './views.ts'

/** What Bun gives a stream of type `direct` to write to. It copies what it gets. */
interface Controller {
  /** A promise: the client reads slower than this, until it settles. */
  write(bytes: Uint8Array): number | Promise<number>
  flush(): void
  end(): void
  /** With an error: the connection breaks. */
  close(error: Error): void
}

/** The client's Response for an upstream made by `createFetch`. Its bytes start to flow when the Response is sent. */
export function relay(upstream: Upstream, answer: Answer, watch: Watch): Response {
  if (!(upstream instanceof NodeUpstream)) throw new TypeError('relay needs an upstream of this host')
  if (isBare(answer)) return relayNothing(upstream, answer, watch)
  const source = new Relay(upstream, watch)
  if (upstream.isWhole && hasLength(answer)) return relayWhole(source, answer)
  const body = new ReadableStream({
    type: 'direct',
    pull: (controller: Controller) => source.pull(controller),
    cancel: () => source.leave(),
  } as unknown as UnderlyingDefaultSource<Uint8Array>)
  return responseOf(answer, body)
}

/** In place of an answer of which nothing is out. */
const BROKEN = {
  status: 502,
  code: 'worker_died',
  message: 'The worker broke off before its answer was complete.',
}

/** The Response of an answer whose last byte is here: half as dear as a stream of one piece, and its length stays known. */
function relayWhole(source: Relay, answer: Answer): Response {
  const body = new Gathered()
  void source.pull(body)
  return body.isBroken ? refuse(BROKEN) : responseOf(answer, body.bytes())
}

/** Headers are put where they stay: to have those of a list copied costs Bun 1 µs more. */
function responseOf(answer: Answer, body: BodyInit | null): Response {
  const response = new Response(body, { status: statusOf(answer) })
  const { headers } = response
  const { headers: list } = answer
  for (let i = 0; i < list.length; i += 2) headers.append(list[i]!, list[i + 1]!)
  return response
}

class Gathered implements Controller {
  readonly #parts: Uint8Array<ArrayBuffer>[] = []
  isBroken = false

  write(bytes: Uint8Array): number {
    return this.#parts.push(bytes as Uint8Array<ArrayBuffer>)
  }

  flush(): void {}

  end(): void {}

  close(): void {
    this.isBroken = true
  }

  bytes(): BodyInit {
    return this.#parts.length === 1 ? this.#parts[0]! : Buffer.concat(this.#parts)
  }
}

function hasLength({ headers }: Answer): boolean {
  for (let i = 0; i < headers.length; i += 2) if (isNamed(headers[i]!, 'content-length')) return true
  return false
}

const views = new Views()

/** Exactly one of the watch's `end`, `fail` and `leave` is called: whichever comes first. */
class Relay implements BodySink {
  readonly #upstream: NodeUpstream
  readonly #watch: Watch
  #controller: Controller | null = null
  #isOver = false
  #finish: () => void = nothing

  constructor(upstream: NodeUpstream, watch: Watch) {
    this.#upstream = upstream
    this.#watch = watch
  }

  /** Starts to write; resolves when there is nothing more to write. */
  pull(controller: Controller): Promise<void> | undefined {
    this.#controller = controller
    this.#upstream.pipe(this)
    if (this.#isOver) return undefined
    return new Promise((resolve) => (this.#finish = resolve))
  }

  data(bytes: Uint8Array): void {
    if (this.#isOver) return
    try {
      const passed = this.#watch.chunk(bytes)
      if (passed !== null && passed.byteLength > 0) this.#write(passed)
    } catch (error) {
      this.#break(error)
    }
  }

  pass(frames: Frames): boolean {
    if (this.#isOver) return false
    try {
      if (this.#watch.pass?.(frames) !== true) return false
      this.#write(views.of(frames))
    } catch (error) {
      this.#break(error)
    }
    return true
  }

  end(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#close(this.#watch.end())
  }

  fail(failure: UpstreamFailure): void {
    if (this.#isOver) return
    this.#isOver = true
    const tail = this.#watch.fail(failure)
    if (tail !== null) return this.#close(tail)
    this.#controller!.close(failure)
    this.#finish()
  }

  leave(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#upstream.cancel()
    this.#watch.leave()
    this.#finish()
  }

  #write(bytes: Uint8Array): void {
    const controller = this.#controller!
    const written = controller.write(bytes)
    controller.flush()
    if (typeof written === 'number') return
    this.#upstream.pause()
    const goOn = () => this.#upstream.resume()
    // It rejects for a client that has left, which `leave` tells.
    written.then(goOn, nothing)
  }

  #break(error: unknown): void {
    this.#upstream.cancel()
    this.fail(new UpstreamFailure('protocol', `relaying failed: ${String(error)}`))
  }

  #close(tail: Uint8Array | null): void {
    const controller = this.#controller!
    if (tail !== null && tail.byteLength > 0) void controller.write(tail)
    controller.end()
    this.#finish()
  }
}

function nothing(): void {}
