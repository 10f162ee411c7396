// Host.relay on Workers: through JavaScript while the watch must see the bytes, natively from then on.
import { headerOf, isEventStream } from '../../src/forward/headers.ts'
import { UpstreamFailure } from '../../src/host.ts'
import type { Answer, Host, Watch } from '../../src/host.ts'
import { headersOf, isBare, relayNothing } from '../web/relay.ts'
import { WebUpstream } from '../web/upstream.ts'
import { Awake } from './awake.ts'

/**
 * A chunk passed natively costs a ninth of one that JavaScript sees. Never `tee`: it hides that the client left. A stream of events
 * that falls silent while it is watched is written to each `keepAlive` ms (0: never), for only a write tells that its client has left.
 */
export function createRelay(
  { after, timer }: Pick<Host, 'after' | 'timer'>,
  keepAlive: number,
): Host['relay'] {
  return (upstream, answer, watch) => {
    if (!(upstream instanceof WebUpstream)) throw new TypeError('relay needs an upstream of this host')
    if (isBare(answer)) return relayNothing(upstream, answer, watch)
    const { readable, writable } = streamFor(answer)
    const awake = mayGrow(answer) && keepAlive > 0 ? new Awake(timer, keepAlive) : null
    after(pass(upstream, writable, { watch, awake }))
    return new Response(readable, { status: answer.status, headers: headersOf(answer) })
  }
}

/** Whether comments may be put into it. */
const mayGrow = ({ headers }: Answer): boolean =>
  isEventStream(headers) && headerOf(headers, 'content-length') === undefined

/**
 * Unlike `new TransformStream()` these tell a client that left from an answer that ended. Only a body of known length can be broken so
 * that its client sees it: workerd ends others properly, whatever happened.
 */
function streamFor({ headers }: Answer): IdentityTransformStream {
  const length = headerOf(headers, 'content-length')
  return length === undefined ? new IdentityTransformStream() : new FixedLengthStream(Number(length))
}

/** Never rejects. */
async function pass(
  upstream: WebUpstream,
  writable: WritableStream<Uint8Array>,
  by: { readonly watch: Watch; readonly awake: Awake | null },
): Promise<void> {
  const { watch } = by
  let failure: UpstreamFailure | null = null
  try {
    const isOver = await passSeen(upstream, writable, by)
    if (!isOver) await passUnseen(upstream, writable)
  } catch (error) {
    if (error instanceof ClientGone) {
      upstream.cancel()
      return watch.leave()
    }
    failure = error instanceof UpstreamFailure ? error : new UpstreamFailure('protocol', String(error))
    upstream.cancel()
  }
  const tail = failure === null ? watch.end() : watch.fail(failure)
  await end(writable, tail, failure)
}

/** The client's side of the stream broke. */
class ClientGone extends Error {}

/** True when the body ended; false when the rest may pass unseen. */
async function passSeen(
  upstream: WebUpstream,
  writable: WritableStream<Uint8Array>,
  { watch, awake }: { readonly watch: Watch; readonly awake: Awake | null },
): Promise<boolean> {
  const writer = writable.getWriter()
  awake?.begin(writer, upstream)
  try {
    for (;;) {
      const bytes = await upstream.next()
      if (awake?.hasLeft) throw new ClientGone('it left in silence')
      if (bytes === null) return true
      const passed = watch.chunk(bytes)
      upstream.isHeld = true
      if (passed !== null && passed.byteLength > 0) await writer.write(passed)
      upstream.isHeld = false
      awake?.passed(passed)
      if (watch.mayPassUnseen?.()) return false
    }
  } catch (error) {
    // Held: it was being written.
    throw upstream.isHeld || awake?.hasLeft ? new ClientGone(String(error)) : error
  } finally {
    awake?.end()
    writer.releaseLock()
  }
}

async function passUnseen(upstream: WebUpstream, writable: WritableStream<Uint8Array>): Promise<void> {
  const rest = upstream.rest()
  try {
    await rest?.pipeTo(writable, { preventAbort: true, preventClose: true })
  } catch (error) {
    const failure = upstream.failure(error)
    // Both sides break with the same error, and only a write tells whether there still is a client. What passes unseen is an
    // event stream: one more line end does no harm to it, for the error that follows begins with a blank line.
    const writer = writable.getWriter()
    await writer.write(LINE_END).catch((gone: unknown) => {
      throw new ClientGone(String(gone))
    })
    writer.releaseLock()
    throw failure
  }
}

const LINE_END = new Uint8Array([10])

async function end(
  writable: WritableStream<Uint8Array>,
  tail: Uint8Array | null,
  failure: UpstreamFailure | null,
): Promise<void> {
  const writer = writable.getWriter()
  try {
    if (tail !== null && tail.byteLength > 0) await writer.write(tail)
    if (failure === null || tail !== null) await writer.close()
    else await writer.abort(failure)
  } catch {
    // The client left at the last moment: the call has ended already.
  }
}
