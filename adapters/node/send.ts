// Writes a Response to a client, by the shortest way that its body allows.
import { headerOf } from '../../src/forward/headers.ts'
import type { HeaderList } from '../../src/host.ts'
import type { Exchange, Head } from './client/exchange.ts'
import { listOf } from './headers.ts'
import { NativeResponse } from './response.ts'
import type { Source } from './response.ts'
import { TextResponse } from './text-response.ts'

/** What the server lets know that the client has gone before the end. */
export type Leaving = Pick<Source, 'cancel'>

/** Sends a response; `extra` headers are put behind its own. Returns the source of its body, where it has one. */
export function sendResponse(response: Response, exchange: Exchange, extra: HeaderList): Leaving | null {
  if (response instanceof TextResponse && response.source) return sendText(response, exchange, extra)
  if (response instanceof NativeResponse) {
    const { source, status, list } = response
    if (source) return sendSource(source, exchange, { status, statusText: '', headers: joined(list, extra) })
  }
  const { status, statusText, body } = response
  const headers = [...listOf(response.headers), ...extra]
  if (body !== null) return sendStream(body, exchange, { status, statusText, headers })
  const isBare = status === 204 || status === 304 || exchange.isHead
  if (!isBare && headerOf(headers, 'content-length') === undefined) headers.push('Content-Length', '0')
  exchange.begin({ status, statusText, headers }, { resume: nothing })
  exchange.end(null)
  return null
}

function joined(list: HeaderList, extra: HeaderList): HeaderList {
  return extra.length === 0 ? list : [...list, ...extra]
}

function sendSource(source: Source, exchange: Exchange, head: Head): Leaving {
  exchange.begin(head, source)
  source.flow(exchange)
  // A body that has not begun yet must not hold back its head.
  exchange.flush()
  return source
}

/** As `pump` sends a stream that is whole at once. */
function sendText({ status, list, content }: TextResponse, exchange: Exchange, extra: HeaderList): null {
  const headers = [...list, ...extra, 'Content-Length', String(content.byteLength)]
  exchange.begin({ status, statusText: '', headers }, { resume: nothing })
  exchange.end(content.byteLength > 0 ? content : null)
  return null
}

function sendStream(
  body: ReadableStream<Uint8Array>,
  exchange: Exchange,
  head: Head & { headers: string[] },
): Leaving {
  const reader = body.getReader()
  let isGone = false
  let wake = nothing
  const room = () => new Promise<void>((resolve) => (isGone ? resolve() : (wake = resolve)))
  const begin = () => exchange.begin(head, { resume: () => wake() })
  pump(reader, exchange, { head, begin, room }).catch((error: unknown) => {
    // The body broke: its maker knows why; the client must see that it did.
    if (!isGone) exchange.break(error as Error)
  })
  const cancel = () => {
    isGone = true
    wake()
    reader.cancel(new Error('the client left')).catch(nothing) // a source may be closed already
  }
  return { cancel }
}

interface Pumped {
  readonly head: Head & { headers: string[] }
  begin(): void
  /** Resolves when there is room again, or the client is gone. */
  room(): Promise<void>
}

/** Writes a web stream. A body that is whole at once (text, JSON) gets a Content-Length. */
async function pump(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  exchange: Exchange,
  { head, begin, room }: Pumped,
): Promise<void> {
  const isSized = headerOf(head.headers, 'content-length') !== undefined
  let pending = reader.read()
  const first = await soon(pending)
  if (first !== null && !first.done && !isSized) {
    const following = reader.read()
    const second = await soon(following)
    if (second?.done) head.headers.push('Content-Length', String(first.value.byteLength))
    begin()
    if (second?.done) return exchange.end(first.value)
    if (!exchange.write(first.value, false)) await room()
    pending = following
  } else {
    if (first?.done && !isSized) head.headers.push('Content-Length', '0')
    begin()
    // A stream that stays silent must not hold back its head.
    if (first === null) exchange.flush()
  }
  for (let next = await pending; !next.done; next = await reader.read()) {
    if (!exchange.write(next.value, false)) await room()
  }
  exchange.end(null)
}

/** What the promise gives, if it does so before the event loop goes on; else null. */
function soon<T>(promise: Promise<T>): Promise<T | null> {
  return Promise.race([promise, new Promise<null>((resolve) => setImmediate(() => resolve(null)))])
}

function nothing(): void {}

/** Frees what a response holds that nobody will send (the client left while it was made). */
export function dropResponse(response: Response): void {
  if (response instanceof NativeResponse && response.source) return response.source.cancel()
  if (response.body && !response.body.locked) response.body.cancel().catch(() => undefined) // it may be over already
}
