// Host.relay on Deno and Bun: a worker's body over our own connections, as the stream that the runtime's server reads.
import { UpstreamFailure } from '../../src/host.ts'
import type { Answer, Upstream, Watch } from '../../src/host.ts'
import { NodeUpstream } from '../node/upstream.ts'
import { headersOf, isBare, relayNothing } from './relay.ts'

/** Bytes that may wait for a slow client before its worker is held back. */
const HIGH_WATER = 65_536

/** The client's Response for an upstream made by `createFetch`. Its cancel is the client's leave. */
export function relay(upstream: Upstream, answer: Answer, watch: Watch): Response {
  if (!(upstream instanceof NodeUpstream)) throw new TypeError('relay needs an upstream of this host')
  if (isBare(answer)) return relayNothing(upstream, answer, watch)
  const body = new ReadableStream(sourceOf(upstream, watch), {
    highWaterMark: HIGH_WATER,
    size: (bytes) => bytes?.byteLength ?? 0,
  })
  return new Response(body, { status: statusOf(answer), headers: headersOf(answer) })
}

/**
 * An answer's status where a Response can have it; above that there are none, and whoever gets one shall take it for a 5xx (RFC 9110,
 * 15).
 */
export const statusOf = ({ status }: Answer): number => (status > 599 ? 502 : status)

/** Exactly one of the watch's `end`, `fail` and `leave` is called: whichever comes first. */
function sourceOf(upstream: NodeUpstream, watch: Watch): UnderlyingDefaultSource<Uint8Array> {
  let isOver = false
  const start = (controller: ReadableStreamDefaultController<Uint8Array>) => {
    const fail = (failure: UpstreamFailure) => {
      if (isOver) return
      isOver = true
      const tail = watch.fail(failure)
      if (tail === null) controller.error(failure)
      else finish(controller, tail)
    }
    const data = (bytes: Uint8Array) => {
      if (isOver) return
      try {
        const passed = watch.chunk(bytes)
        if (passed === null || passed.byteLength === 0) return
        controller.enqueue(passed)
        if ((controller.desiredSize ?? 0) <= 0) upstream.pause()
      } catch (error) {
        upstream.cancel()
        fail(new UpstreamFailure('protocol', `relaying failed: ${String(error)}`))
      }
    }
    const end = () => {
      if (isOver) return
      isOver = true
      finish(controller, watch.end())
    }
    upstream.pipe({ data, end, fail })
  }
  const cancel = () => {
    if (isOver) return
    isOver = true
    upstream.cancel()
    watch.leave()
  }
  return { start, pull: () => upstream.resume(), cancel }
}

function finish(controller: ReadableStreamDefaultController<Uint8Array>, tail: Uint8Array | null): void {
  if (tail !== null && tail.byteLength > 0) controller.enqueue(tail)
  controller.close()
}
