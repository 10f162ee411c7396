// A Request look-alike over what the server has: every part of it is made only when somebody touches it.
import { Stop } from '../../src/forward/stop.ts'
import type { HeadMemory } from '../../src/openai/head.ts'
import { bodies } from './body-memory.ts'
import { plain, readBody, streamBody } from './body.ts'
import type { Incoming } from './client/exchange.ts'
import { HeaderView } from './headers.ts'

/** What the server knows besides the message itself. */
export interface RequestContext {
  readonly origins: Origins
  /** Largest body that `bytes()` and its kin take, 0: any. */
  readonly maxBody: number
  /** The client asked for a WebSocket: no body follows its head. */
  readonly isUpgrade: boolean
}

const HOST = /^(?:[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?$/

/** Stands for a `Request`. Besides the standard's parts it has `received` and `atHand`. */
export class NodeRequest {
  readonly #incoming: Incoming
  readonly #context: RequestContext
  #url: string | null = null
  #headers: HeaderView | null = null
  #controller: AbortController | null = null
  #leaving: Stop | null = null
  #hasLeft = false
  #counted = 0
  #isUsed = false
  #body: ReadableStream<Uint8Array> | null = null
  #real: Request | null = null

  constructor(incoming: Incoming, context: RequestContext) {
    this.#incoming = incoming
    this.#context = context
  }

  get method(): string {
    return this.#incoming.method
  }

  get url(): string {
    this.#url ??= absoluteUrl(this.#incoming, this.#context.origins)
    return this.#url
  }

  get headers(): Headers {
    this.#headers ??= new HeaderView(this.#incoming.headers)
    return this.#headers as unknown as Headers
  }

  /** What is kept with a head that comes again. */
  get memory(): HeadMemory | null {
    if (this.#headers?.isChanged) return null
    return this.#incoming.memory ?? null
  }

  /** Aborts when the client left before its response was finished; never after a normal end. */
  get signal(): AbortSignal {
    if (!this.#controller) {
      this.#controller = new AbortController()
      if (this.#hasLeft) this.#controller.abort()
    }
    return this.#controller.signal
  }

  /** The same, for the router: at a tenth of the cost. */
  get leaving(): Stop {
    this.#leaving ??= new Stop()
    if (this.#hasLeft) this.#leaving.abort()
    return this.#leaving
  }

  /** Bytes of the body that came in so far. */
  get received(): number {
    return this.#counted + this.#incoming.waiting
  }

  /** Address of the client as its socket tells it. */
  get remoteAddress(): string | undefined {
    return this.#incoming.remoteAddress
  }

  /** The server will join this client's socket with another when it is answered by an `UpgradeResponse`. */
  get isUpgrade(): boolean {
    return this.#context.isUpgrade
  }

  get bodyUsed(): boolean {
    return this.#body ? this.#real?.bodyUsed === true || this.#body.locked : this.#isUsed
  }

  get body(): ReadableStream<Uint8Array> | null {
    if (this.#body) return this.#body
    if (!this.#hasBody()) return null
    this.#start()
    this.#body = streamBody(this.#incoming, (bytes) => (this.#counted += bytes))
    return this.#body
  }

  /** The whole body without waiting: null where it has not come, or not in one piece. It can still be read then. */
  atHand(): Uint8Array | null {
    const { maxBody } = this.#context
    const { length } = this.#incoming
    const isSmall = length !== null && (maxBody === 0 || length <= maxBody)
    if (!isSmall || this.#isUsed || !this.#hasBody()) return null
    const bytes = this.#incoming.takeWhole()
    if (bytes === null) return null
    this.#start()
    this.#counted = bytes.byteLength
    return bodies.mark(plain(bytes))
  }

  async bytes(): Promise<Uint8Array> {
    if (this.#body) return this.#asReal().bytes()
    if (!this.#hasBody()) return new Uint8Array(0)
    this.#start()
    return readBody(this.#incoming, this.#context.maxBody, (bytes) => (this.#counted += bytes))
  }

  async arrayBuffer(): Promise<ArrayBuffer> {
    const bytes = await this.bytes()
    const buffer = bytes.buffer as ArrayBuffer
    const isWhole = bytes.byteLength === buffer.byteLength
    return isWhole ? buffer : buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength)
  }

  async text(): Promise<string> {
    return new TextDecoder().decode(await this.bytes())
  }

  async json(): Promise<unknown> {
    return JSON.parse(await this.text())
  }

  async blob(): Promise<Blob> {
    return this.#asReal().blob()
  }

  async formData(): Promise<FormData> {
    return this.#asReal().formData()
  }

  clone(): Request {
    return this.#asReal().clone()
  }

  /** Called by the server once the client is gone too early. */
  leave(): void {
    this.#hasLeft = true
    this.#leaving?.abort()
    this.#controller?.abort()
  }

  #hasBody(): boolean {
    return this.#incoming.length !== 0 && !this.#context.isUpgrade
  }

  #start(): void {
    if (this.#isUsed) throw new TypeError('the request body was read already')
    this.#isUsed = true
  }

  /** A real Request, for the rare parts of the standard that have no short cut here. */
  #asReal(): Request {
    if (this.#real) return this.#real
    const { method, url, headers, signal, body } = this
    const canCarry = method !== 'GET' && method !== 'HEAD'
    const init = { method, headers: [...headers], signal, body: canCarry ? body : null, duplex: 'half' }
    this.#real = new Request(url, init)
    return this.#real
  }

  static {
    // What is not told apart above behaves as in a fresh Request.
    const rest = [
      'cache',
      'credentials',
      'destination',
      'integrity',
      'keepalive',
      'mode',
      'redirect',
      'referrer',
    ] as const
    for (const name of [...rest, 'referrerPolicy'] as const) {
      Object.defineProperty(this.prototype, name, {
        get(this: NodeRequest) {
          return this.#asReal()[name]
        },
      })
    }
  }
}

/** The origins that clients name by their Host header. Most name the same one, so the last is kept. */
export class Origins {
  readonly #scheme: 'http' | 'https'
  #host: string | null = null
  #origin = ''
  #target = ''
  #url = ''

  constructor(scheme: 'http' | 'https') {
    this.#scheme = scheme
  }

  /** `http://HOST`; of localhost where that is no host. */
  of(host: string): string {
    if (host === this.#host) return this.#origin
    const origin = `${this.#scheme}://${host}`
    this.#origin = HOST.test(host) && URL.canParse(origin) ? origin : `${this.#scheme}://localhost`
    this.#host = host
    this.#url = ''
    return this.#origin
  }

  /** The URL of a path: the very same text for the same request, so that nobody has to look at it again. */
  urlOf(host: string, target: string): string {
    const origin = this.of(host)
    if (this.#url === '' || target !== this.#target) {
      this.#target = target
      this.#url = origin + target
    }
    return this.#url
  }
}

function absoluteUrl({ target, host }: Incoming, origins: Origins): string {
  // Behind a valid origin any path is valid.
  if (target.startsWith('/')) return origins.urlOf(host, target)
  if (/^https?:\/\//i.test(target) && URL.canParse(target)) return target
  return `${origins.of('')}/${target === '*' ? '' : encodeURIComponent(target)}`
}
