// Host.relay by Web Streams alone: a stream that the client's runtime pulls.
import { UpstreamFailure } from '../../src/host.ts'
import type { Answer, Upstream, Watch } from '../../src/host.ts'
import { WebUpstream } from './upstream.ts'

/** Relays by a stream that reads when the client does; its cancel is the client's leave. */
export function relayStream(upstream: Upstream, answer: Answer, watch: Watch): Response {
  if (!(upstream instanceof WebUpstream)) throw new TypeError('relay needs an upstream of this host')
  let isOver = false
  const source = {
    async pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
      try {
        for (;;) {
          const bytes = await upstream.next()
          if (isOver) return
          if (bytes === null) {
            isOver = true
            return finish(controller, watch.end())
          }
          const passed = watch.chunk(bytes)
          if (passed !== null && passed.byteLength > 0) return controller.enqueue(passed)
        }
      } catch (error) {
        if (isOver) return
        isOver = true
        upstream.cancel()
        const failure =
          error instanceof UpstreamFailure ? error : new UpstreamFailure('protocol', String(error))
        const tail = watch.fail(failure)
        if (tail === null) controller.error(failure)
        else finish(controller, tail)
      }
    },
    cancel() {
      if (isOver) return
      isOver = true
      upstream.cancel()
      watch.leave()
    },
  }
  if (isBare(answer)) return relayNothing(upstream, answer, watch)
  const body = new ReadableStream(source, { highWaterMark: 0 })
  return new Response(body, { status: answer.status, headers: headersOf(answer) })
}

/** Statuses whose responses can't have a body. */
export const isBare = ({ status }: Answer): boolean => status === 204 || status === 205 || status === 304

/** The Response without a body. */
export function relayNothing(upstream: Upstream, answer: Answer, watch: Watch): Response {
  upstream.cancel()
  watch.end()
  return new Response(null, { status: answer.status, headers: headersOf(answer) })
}

/** The headers of an answer; names that come twice stay two. */
export function headersOf({ headers: list }: Answer): Headers {
  const headers = new Headers()
  for (let i = 0; i < list.length; i += 2) headers.append(list[i]!, list[i + 1]!)
  return headers
}

function finish(controller: ReadableStreamDefaultController<Uint8Array>, tail: Uint8Array | null): void {
  if (tail !== null && tail.byteLength > 0) controller.enqueue(tail)
  controller.close()
}
