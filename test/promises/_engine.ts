// An engine on a bare socket whose behaviour is a function: it keeps what it got byte by byte, and when connections closed.
import { once } from 'node:events'
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import type { TestContext } from 'node:test'
import { freePort } from '../journeys/_sockets.ts'
import { lived } from '../_lived.ts'

/** What an engine does with a call. What it leaves undone stays undone: the call then hangs. */
export type Behaviour = (call: EngineCall) => unknown

export interface EngineOptions {
  /** Who its models say made them, by which the router knows an engine; `nobody` has no model list. */
  readonly owner?: 'vllm' | 'sglang' | 'lmdeploy' | 'else'
  readonly models?: readonly string[]
  /** Asked of everything. */
  readonly apiKey?: string
  readonly port?: number
  /** Answers probes and questions in place of the usual ones; false: not handled. */
  readonly probe?: (call: EngineCall) => boolean
}

/** What Node reads from a socket at once, when so much is there. */
const FULL_READ = 65_536

const QUESTIONS = new Set([
  '/health',
  '/v1/models',
  '/version',
  '/metrics',
  '/load',
  '/v1/loads',
  '/get_load',
  '/kv_event_sources',
  '/server_info',
  '/get_server_info',
  '/get_model_info',
  '/model_info',
])

/** One request as it came, and the means to answer it. */
export class EngineCall {
  readonly method: string
  readonly path: string
  /** The head as it came, without its last blank line. */
  readonly head: string
  /** Names and values in order, as they came. */
  readonly headers: readonly string[]
  readonly body: Buffer
  readonly socket: Socket
  readonly at = performance.now()
  /** When, by `lived`, the connection closed before the call was answered; null: not so. */
  closedAt: number | null = null
  isAnswered = false
  readonly #done: () => void
  #isChunked = false

  constructor(head: string, body: Buffer, socket: Socket, done: () => void) {
    const [line = '', ...rest] = head.split('\r\n')
    const [method = '', path = ''] = line.split(' ')
    this.method = method
    this.path = path
    this.head = head
    this.headers = rest.flatMap((one) => {
      const colon = one.indexOf(':')
      return [one.slice(0, colon), one.slice(colon + 1).trim()]
    })
    this.body = body
    this.socket = socket
    this.#done = done
  }

  /** All values of a header, or undefined. */
  header(name: string): string | undefined {
    const values = this.headers.filter((_, i) => i % 2 === 1 && this.headers[i - 1]?.toLowerCase() === name)
    return values.length > 0 ? values.join(', ') : undefined
  }

  get text(): string {
    return this.body.toString()
  }

  json(): Record<string, unknown> {
    return JSON.parse(this.text) as Record<string, unknown>
  }

  /** A whole answer. */
  answer(status: number, body: string | Buffer, headers: Readonly<Record<string, string>> = {}): void {
    const bytes = Buffer.from(body)
    const all = { 'content-type': 'application/json', 'content-length': String(bytes.length), ...headers }
    this.socket.write(`${headOf(status, all)}`, 'latin1')
    this.socket.write(bytes)
    this.#finish()
  }

  /** The head of a chunked answer. */
  begin(type = 'text/event-stream', headers: Readonly<Record<string, string>> = {}): this {
    this.#isChunked = true
    this.socket.write(
      headOf(200, { 'content-type': type, 'transfer-encoding': 'chunked', ...headers }),
      'latin1',
    )
    return this
  }

  /** The next bytes of a chunked answer. */
  write(text: string | Buffer): this {
    const bytes = Buffer.from(text)
    if (!this.socket.writable) return this
    this.socket.write(`${bytes.length.toString(16)}\r\n`)
    this.socket.write(bytes)
    this.socket.write('\r\n')
    return this
  }

  end(): void {
    if (this.#isChunked && this.socket.writable) this.socket.write('0\r\n\r\n')
    this.#finish()
  }

  /** Breaks the connection, as a process that dies does. */
  die(): void {
    breakOff(this.socket)
  }

  #finish(): void {
    this.isAnswered = true
    this.#done()
  }
}

/** A reset, where the socket is not half closed yet: after that Node would never let go of it. */
function breakOff(socket: Socket): void {
  if (socket.readableEnded || socket.writableEnded) socket.destroy()
  else socket.resetAndDestroy()
}

function headOf(status: number, headers: Readonly<Record<string, string>>): string {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  return `HTTP/1.1 ${status} Some Reason\r\n${lines.join('')}\r\n`
}

export class ScriptedEngine {
  url = ''
  port = 0
  behave: Behaviour
  /** Inference calls, in order. */
  readonly calls: EngineCall[] = []
  /** What the router asked on its own account. */
  readonly questions: EngineCall[] = []
  inFlight = 0
  mostInFlight = 0
  connections = 0
  #server: Server | null = null
  readonly #sockets = new Set<Socket>()
  readonly #options: EngineOptions
  readonly #waiters = new Set<() => void>()

  constructor(behave: Behaviour, options: EngineOptions) {
    this.behave = behave
    this.#options = options
    this.port = options.port ?? 0
  }

  async start(): Promise<void> {
    // One that nobody else is given while the engine is stopped.
    this.port ||= await freePort()
    this.#server = createServer((socket) => this.#serve(socket))
    this.#server.listen(this.port, '127.0.0.1')
    await once(this.#server, 'listening')
    this.port = (this.#server.address() as AddressInfo).port
    this.url = `http://127.0.0.1:${this.port}`
  }

  /** Closes the port and breaks everything open. `start` opens the same port again. */
  async stop(): Promise<void> {
    const server = this.#server
    this.#server = null
    if (!server) return
    const closed = once(server, 'close')
    server.close()
    for (const socket of this.#sockets) breakOff(socket)
    await closed
  }

  /** Stops to listen; what is open goes on. */
  refuse(): void {
    this.#server?.close()
    for (const socket of this.#sockets) if (!this.#isBusy(socket)) socket.destroy()
  }

  /** Resolves with the n-th (from 1) inference call once it is here. */
  async call(n = 1): Promise<EngineCall> {
    await this.until(() => this.calls.length >= n)
    return this.calls[n - 1] as EngineCall
  }

  /** Waits for something that happens with a request, an answer or a close. */
  async until(isSo: () => boolean): Promise<void> {
    while (!isSo()) await new Promise<void>((resolve) => this.#waiters.add(resolve))
  }

  #isBusy(socket: Socket): boolean {
    return this.calls.some((call) => call.socket === socket && !call.isAnswered)
  }

  #wake(): void {
    for (const resolve of this.#waiters) resolve()
    this.#waiters.clear()
  }

  #serve(socket: Socket): void {
    this.connections++
    this.#sockets.add(socket)
    socket.setNoDelay(true)
    socket.on('error', () => undefined)
    let parts: Buffer[] = []
    socket.on('data', (bytes) => {
      parts.push(bytes)
      // A large body is put together now and then, and when it may be whole: a full read has more behind it.
      if (parts.length % 100 !== 1 && bytes.length === FULL_READ) return
      let pending: Buffer = parts.length === 1 ? bytes : Buffer.concat(parts)
      for (let read = readRequest(pending); read; read = readRequest(pending)) {
        pending = read.rest
        this.#onCall(read.head, read.body, socket)
      }
      parts = pending.length > 0 ? [pending] : []
    })
    // The other side's end is known a moment before the socket is closed, and before what came behind it on other sockets.
    socket.once('end', () => this.#onGone(socket))
    socket.once('close', () => {
      this.#sockets.delete(socket)
      this.#onGone(socket)
    })
  }

  #onGone(socket: Socket): void {
    for (const call of this.calls) {
      if (call.socket !== socket || call.isAnswered || call.closedAt !== null) continue
      call.closedAt = lived()
      this.inFlight--
    }
    this.#wake()
  }

  #onCall(head: string, body: Buffer, socket: Socket): void {
    let isCounted = false
    const call = new EngineCall(head, body, socket, () => {
      if (isCounted) this.inFlight--
      this.#wake()
    })
    const { apiKey, probe } = this.#options
    const path = call.path.split('?')[0] ?? ''
    const isQuestion = call.method === 'GET' && QUESTIONS.has(path)
    if (isQuestion) this.questions.push(call)
    if (apiKey !== undefined && call.header('authorization') !== `Bearer ${apiKey}`)
      return call.answer(401, '{"error":"Unauthorized"}')
    if (isQuestion) {
      if (!probe?.(call)) this.#reply(call, path)
      return this.#wake()
    }
    isCounted = true
    this.calls.push(call)
    this.mostInFlight = Math.max(this.mostInFlight, ++this.inFlight)
    this.#wake()
    void this.behave(call)
  }

  #reply(call: EngineCall, path: string): void {
    const { owner = 'vllm', models = ['m'] } = this.#options
    const cards = models.map((id) => ({
      id,
      object: 'model',
      owned_by: owner,
      // The first is the base of the others.
      ...(id !== models[0] && { parent: models[0] }),
    }))
    // On a kept connection that has rested for a second, the first call would be sent again when it breaks.
    const last = { connection: 'close' }
    if (path === '/v1/models') call.answer(200, JSON.stringify({ object: 'list', data: cards }), last)
    else if (path === '/health') call.answer(200, '', last)
    else call.answer(404, '{"detail":"Not Found"}', last)
    call.socket.end()
  }
}

/** Starts an engine that ends with the test. */
export async function engine(
  t: TestContext,
  behave: Behaviour = ok,
  options: EngineOptions = {},
): Promise<ScriptedEngine> {
  const made = new ScriptedEngine(behave, options)
  await made.start()
  t.after(() => made.stop())
  return made
}

export const ANSWER =
  '{"id":"chatcmpl-1","object":"chat.completion","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":1,"total_tokens":4}}'

export const delta = (content: string): string =>
  `data: {"id":"chatcmpl-1","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"content":${JSON.stringify(content)}},"finish_reason":null}]}\n\n`
export const LAST =
  'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
export const DONE = 'data: [DONE]\n\n'

/** Answers as it is asked to: a whole answer, or a stream of two tokens. */
export function ok(call: EngineCall): void {
  if (!/"stream"\s*:\s*true/.test(call.text)) return call.answer(200, ANSWER)
  call.begin().write(delta('a')).write(delta('b')).write(LAST).write(DONE).end()
}

/** Never answers. */
export const silent = (): void => undefined

/** The body of the given status in vLLM's words. */
export const error =
  (status: number, headers: Readonly<Record<string, string>> = {}): Behaviour =>
  (call) =>
    call.answer(status, `{"error":{"message":"engine says ${status}","code":${status}}}`, headers)

/** Takes one request off the front of the bytes; null when it is not complete yet. */
function readRequest(bytes: Buffer): { head: string; body: Buffer; rest: Buffer } | null {
  const end = bytes.indexOf('\r\n\r\n')
  if (end < 0) return null
  const head = bytes.toString('latin1', 0, end)
  const start = end + 4
  const length = /^content-length:\s*(\d+)/im.exec(head)?.[1]
  if (length !== undefined) {
    const stop = start + Number(length)
    return bytes.length < stop
      ? null
      : { head, body: bytes.subarray(start, stop), rest: bytes.subarray(stop) }
  }
  if (!/^transfer-encoding:\s*chunked/im.test(head))
    return { head, body: Buffer.alloc(0), rest: bytes.subarray(start) }
  const parts: Buffer[] = []
  for (let at = start; ;) {
    const line = bytes.indexOf('\r\n', at)
    if (line < 0) return null
    const size = Number.parseInt(bytes.toString('latin1', at, line), 16)
    const next = line + 2 + size + 2
    if (bytes.length < next) return null
    if (size === 0) return { head, body: Buffer.concat(parts), rest: bytes.subarray(next) }
    parts.push(bytes.subarray(line + 2, line + 2 + size))
    at = next
  }
}
