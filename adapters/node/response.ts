// A Response look-alike that carries a native body: the server writes it to the socket without web streams.
import type { HeaderList } from '../../src/host.ts'
import type { SocketWriter } from './writer.ts'
import { HeaderView } from './headers.ts'

/** Where a body goes: a client's socket, or a web stream. */
export interface Sink {
  /** False: full; the source gives at most what it has at hand, and waits for `resume`. `isLast`: the end follows at once. */
  write(bytes: Uint8Array, isLast: boolean): boolean
  /** Where whole chunks may go with their framing from now on, past it, until it is ended; null: not yet. */
  way?(): SocketWriter | null
  /** That has no room for more: it waits for `resume`, as behind a `write` that said so. */
  fill?(): void
  end(bytes: Uint8Array | null): void
  /** Breaks off in a way that can't be taken for an end. */
  break(error: Error): void
}

/** A body on its way, pushed into one sink. */
export interface Source {
  /** Starts: what is here already comes before this returns. */
  flow(sink: Sink): void
  /** The sink has room again. */
  resume(): void
  /** The sink is gone: the client left. Harmless after the end. */
  cancel(): void
}

/** Stands for a `Response`. Touching `body`, or reading it, makes a web stream of the source. */
export class NativeResponse {
  readonly #status: number
  readonly #list: HeaderList
  readonly #source: Source
  #headers: HeaderView | null = null
  #body: ReadableStream<Uint8Array> | null = null
  #real: Response | null = null

  constructor(status: number, headers: HeaderList, source: Source) {
    this.#status = status
    this.#list = headers
    this.#source = source
  }

  get status(): number {
    return this.#status
  }

  get ok(): boolean {
    return this.#status >= 200 && this.#status < 300
  }

  get statusText(): string {
    return ''
  }

  get type(): ResponseType {
    return 'default'
  }

  get url(): string {
    return ''
  }

  get redirected(): boolean {
    return false
  }

  get headers(): Headers {
    this.#headers ??= new HeaderView(this.#list)
    return this.#headers as unknown as Headers
  }

  /** Headers to send, in order and spelling. */
  get list(): HeaderList {
    return this.#headers ? this.#headers.list : this.#list
  }

  /** The native body, or null once somebody took it as a web stream. */
  get source(): Source | null {
    return this.#body === null ? this.#source : null
  }

  get body(): ReadableStream<Uint8Array> | null {
    if (this.#real) return this.#real.body
    this.#body ??= streamOf(this.#source)
    return this.#body
  }

  get bodyUsed(): boolean {
    return this.#real?.bodyUsed ?? this.#body?.locked ?? false
  }

  bytes(): Promise<Uint8Array> {
    return this.#asReal().bytes()
  }

  arrayBuffer(): Promise<ArrayBuffer> {
    return this.#asReal().arrayBuffer()
  }

  text(): Promise<string> {
    return this.#asReal().text()
  }

  json(): Promise<unknown> {
    return this.#asReal().json()
  }

  blob(): Promise<Blob> {
    return this.#asReal().blob()
  }

  formData(): Promise<FormData> {
    return this.#asReal().formData()
  }

  clone(): Response {
    return this.#asReal().clone()
  }

  #asReal(): Response {
    if (this.#real) return this.#real
    const hasBody = this.#status !== 204 && this.#status !== 205 && this.#status !== 304
    const init = { status: this.#status, headers: [...this.headers] }
    this.#real = new Response(hasBody ? this.body : null, init)
    return this.#real
  }
}

/** The source of a body that is here to its last byte. */
export const atHand = (bytes: Uint8Array): Source => ({
  flow(sink) {
    sink.write(bytes, true)
    sink.end(null)
  },
  resume() {},
  cancel() {},
})

/** A web stream over a source, with backpressure; cancelling it cancels the source. */
function streamOf(source: Source): ReadableStream<Uint8Array> {
  let isFlowing = false
  let isOver = false
  let controller: ReadableStreamDefaultController<Uint8Array>
  const sink: Sink = {
    write(bytes) {
      controller.enqueue(bytes)
      return (controller.desiredSize ?? 0) > 0
    },
    end(bytes) {
      if (isOver) return
      isOver = true
      if (bytes && bytes.byteLength > 0) controller.enqueue(bytes)
      controller.close()
    },
    break(error) {
      if (!isOver) controller.error(error)
      isOver = true
    },
  }
  return new ReadableStream<Uint8Array>(
    {
      start(given) {
        controller = given
      },
      pull() {
        if (isFlowing) return source.resume()
        isFlowing = true
        source.flow(sink)
      },
      cancel() {
        isOver = true
        source.cancel()
      },
    },
    { highWaterMark: 65_536, size: (bytes) => bytes?.byteLength ?? 0 },
  )
}
