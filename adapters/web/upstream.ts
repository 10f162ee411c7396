// A worker's answer by fetch and Web Streams: what the hosts of web standards have in common.
import { join } from '../../src/openai/bytes.ts'
import { UpstreamFailure } from '../../src/host.ts'
import type { HeaderList, Outgoing, Signal, Upstream, WorkerRef } from '../../src/host.ts'

export type Send = (url: string, init: RequestInit) => Promise<Response>

/** `connectTimeout` is not kept here: fetch does not tell connecting from waiting. The first-token limit bounds both. */
export async function fetchUpstream(
  send: Send,
  worker: WorkerRef,
  { method, path, headers, body, signal }: Outgoing,
): Promise<WebUpstream> {
  if (!URL.canParse(worker.url)) throw new UpstreamFailure('connect', 'the worker has no valid URL')
  if (signal.aborted) throw failureOf(signal.reason, signal)
  const controller = new AbortController()
  const abort = () => controller.abort(signal.reason)
  const release = () => signal.removeEventListener('abort', abort)
  signal.addEventListener('abort', abort)
  try {
    const init = {
      method,
      headers: pairs(headers),
      redirect: 'manual',
      signal: controller.signal,
      ...bodyOf(body),
    }
    const response = await send(worker.url.replace(/\/+$/, '') + path, init as RequestInit)
    const { status, body: stream } = response
    return new WebUpstream(
      { status, headers: headersOf(response.headers), body: stream },
      { controller, signal, release },
    )
  } catch (error) {
    release()
    throw failureOf(error, signal)
  }
}

function pairs(headers: HeaderList): [string, string][] {
  const list: [string, string][] = []
  let isIdentity = false
  for (let i = 0; i < headers.length; i += 2) {
    isIdentity ||= headers[i] === 'accept-encoding'
    list.push([headers[i]!, headers[i + 1]!])
  }
  // fetch decodes behind our back, and the length would be wrong then.
  if (!isIdentity) list.push(['accept-encoding', 'identity'])
  return list
}

/** A body for fetch, with its length where that is known. */
export function bodyOf(body: Outgoing['body']): { body?: BodyInit; duplex?: 'half' } {
  if (body === null) return {}
  if ('getReader' in body) return { body, duplex: 'half' }
  if (body.length === 1) return { body: body[0] as Uint8Array<ArrayBuffer> }
  // A Blob is sent with its length, and its parts are not joined by us.
  return { body: new Blob(body as Uint8Array<ArrayBuffer>[]) }
}

const UNREACHED =
  /ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|UND_ERR_CONNECT|bad port|connection refused|unable to connect|dns error/i

/** The runtimes word their errors differently; what is known of the cause is in `code`, where there is one. */
function failureOf(error: unknown, signal: Signal): UpstreamFailure {
  if (error instanceof UpstreamFailure) return error
  if (signal.aborted) {
    const reason: unknown = signal.reason
    return reason instanceof UpstreamFailure
      ? reason
      : new UpstreamFailure('aborted', 'the call was ended by the router')
  }
  const text = causes(error)
  if (UNREACHED.test(text)) {
    return new UpstreamFailure(/TIMEOUT/i.test(text) ? 'connect_timeout' : 'connect', text)
  }
  if (/HPE_|PARSE|invalid http/i.test(text)) return new UpstreamFailure('protocol', text)
  return new UpstreamFailure('reset', text)
}

function causes(error: unknown): string {
  let text = ''
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    text += `${text && ': '}${cause.message}${'code' in cause ? ` (${String(cause.code)})` : ''}`
  }
  return text || String(error)
}

interface Call {
  readonly controller: AbortController
  readonly signal: Signal
  /** Stops listening to the caller's signal. */
  readonly release: () => void
}

/** A response as its worker sent it. */
interface WebAnswer {
  readonly status: number
  readonly headers: HeaderList
  readonly body: ReadableStream<Uint8Array> | null
}

const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

export class WebUpstream implements Upstream {
  readonly status: number
  readonly headers: HeaderList
  /** Set by a relay that waits for the client. */
  isHeld = false
  readonly #call: Call
  readonly #body: ReadableStream<Uint8Array> | null
  readonly #reader: ReadableStreamDefaultReader<Uint8Array> | null
  #first: Promise<Uint8Array | null> | null = null
  #isFirstTaken = false

  constructor({ status, headers, body }: WebAnswer, call: Call) {
    this.status = status
    this.headers = headers
    this.#call = call
    this.#body = body
    this.#reader = body?.getReader() ?? null
    if (!this.#reader) call.release()
  }

  first(): Promise<Uint8Array | null> {
    return (this.#first ??= this.#read())
  }

  /** The next bytes, the first ones included; null at the end. Rejects with `UpstreamFailure`. */
  next(): Promise<Uint8Array | null> {
    if (this.#isFirstTaken) return this.#read()
    this.#isFirstTaken = true
    return this.first()
  }

  async bytes(limit: number): Promise<Uint8Array> {
    const parts: Uint8Array[] = []
    let room = limit
    for (let part = await this.next(); part; part = await this.next()) {
      parts.push(part.subarray(0, room))
      room -= part.byteLength
      if (room >= 0) continue
      this.cancel()
      break
    }
    return join(parts)
  }

  /** What was not read yet, for the runtime to pass on by itself; from here on only `cancel` may be called. Null: no body. */
  rest(): ReadableStream<Uint8Array> | null {
    this.#reader?.releaseLock()
    return this.#body
  }

  /** Why a body that was given away by `rest` broke. */
  failure(error: unknown): UpstreamFailure {
    this.#call.release()
    return failureOf(error, this.#call.signal)
  }

  cancel(): void {
    this.#call.release()
    this.#call.controller.abort()
    this.#reader?.cancel().catch(() => undefined) // it is aborted already: that is what is wanted
  }

  async #read(): Promise<Uint8Array | null> {
    if (!this.#reader) return null
    try {
      for (;;) {
        const { done, value } = await this.#reader.read()
        // What is given up may end as if it were whole.
        if (done && this.#call.controller.signal.aborted) throw this.#call.signal.reason
        if (!done && value.byteLength === 0) continue
        if (done) this.#call.release()
        return done ? null : value
      }
    } catch (error) {
      this.#call.release()
      throw failureOf(error, this.#call.signal)
    }
  }
}

function headersOf(headers: Headers): HeaderList {
  const named = new Set((headers.get('connection') ?? '').split(',').map((name) => name.trim().toLowerCase()))
  // A body that was decoded in spite of all has neither its coding nor its length any more.
  const isDecoded = headers.has('content-encoding') && headers.get('content-encoding') !== 'identity'
  const list: string[] = []
  for (const [name, value] of headers) {
    if (HOP_BY_HOP.has(name) || named.has(name)) continue
    if (isDecoded && (name === 'content-encoding' || name === 'content-length')) continue
    list.push(name, value)
  }
  return list
}
