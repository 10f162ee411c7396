// What a journey is given: a router with its fleet behind it, and short ways to call it and to look at it.
import assert from 'node:assert/strict'
import type { ConfigInput } from '../../src/config/schema.ts'
import {
  createEngine,
  type Engine,
  type EngineOptions,
  type SeenRequest,
} from '../../src/simulator/engine.ts'

/** Engines by the URLs that the configuration names; null: nobody listens there. */
export type Fleet = Readonly<Record<string, Engine | null>>

export interface OpenOptions {
  /** Routers that are opened with the same name share what they store. */
  readonly store?: string
  /** A clock that `pass` moves; only where the runtime has no gap `real-clock`. */
  readonly movesClock?: boolean
}

/** A router on some runtime. */
export interface Opened {
  /** As a client over the network sees it: an abort closes the connection. */
  fetch(request: Request): Promise<Response>
  /** The URL by which the router knows that engine of the fleet. */
  url(name: string): string
  /** Readiness goes off, as at SIGTERM. */
  drain(): void
  /** Puts another configuration into force. */
  reload(config: ConfigInput): Promise<void>
  /** Moves the clock that was asked for. */
  pass?(ms: number): Promise<void>
  close(): Promise<void>
}

/** Starts a router; probes are off unless the configuration says otherwise. Resolves when it takes calls. */
export type Open = (config: ConfigInput, fleet: Fleet, options: OpenOptions) => Promise<Opened>

/**
 * What a runtime can't do. `real-clock`: its time can't be moved, so that limits are short and waited for. `early-leave`: a
 * client that leaves before its answer has begun is not noticed. `blind-connect`: a connection that was refused looks like one
 * that broke. `fixed-configuration`: it changes with a new deployment alone, and so does readiness.
 * `no-sockets`: it opens no TCP connections to what engines publish.
 * `no-tables`: it keeps no files and batches.
 * `dialled-in`: workers come by themselves, so that nobody adds one by its URL.
 */
export type Gap =
  | 'real-clock'
  | 'early-leave'
  | 'blind-connect'
  | 'fixed-configuration'
  | 'dialled-in'
  | 'no-sockets'
  | 'no-tables'

/** A journey that no runtime with that gap can make. */
export const unless = <T extends object>(gap: Gap, journey: T): T & { readonly gap: Gap } =>
  Object.assign(journey, { gap })

// oxlint-disable-next-line typescript/no-explicit-any -- replies are read as the journeys need them
export type Json = any

export interface Reply {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  /** The text as JSON; undefined when it is none. */
  readonly body: Json
}

export interface Sent {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  /** A string or form goes as it is, anything else as JSON. */
  readonly body?: unknown
  readonly signal?: AbortSignal
}

export const W1 = 'http://w1:8000'
export const W2 = 'http://w2:8000'
export const W3 = 'http://w3:8000'
export const CHAT = '/v1/chat/completions'
export const WORKERS = '/fetchway/v1/workers'

/** An engine that answers at once. */
export const engine = (options: Partial<EngineOptions> = {}): Engine =>
  createEngine({ engine: 'vllm', speed: 0, seed: 1, models: ['m'], ...options })

/** A chat's body. */
export const chat = (more: Readonly<Record<string, unknown>> = {}) => ({
  model: 'm',
  messages: [{ role: 'user', content: 'Say something.' }],
  max_tokens: 8,
  ...more,
})

const OWN = new Set([
  '/health',
  '/v1/models',
  '/version',
  '/metrics',
  '/kv_event_sources',
  '/server_info',
  '/load',
  '/v1/loads',
  '/get_load',
])

/** The inference calls that an engine got, without what the router asked of its own. */
export const callsOf = (worker: Engine): readonly SeenRequest[] =>
  worker.seen().requests.filter(({ method, path }) => method !== 'GET' || !OWN.has(path.split('?')[0] ?? ''))

export const headerOf = (request: SeenRequest | undefined, name: string): string | undefined =>
  request?.headers.find(([given]) => given.toLowerCase() === name)?.[1]

/** The request with that very signal: one that follows another is deaf as soon as its Request is collected as garbage. */
export const heeding = (request: Request, signal: AbortSignal): Request =>
  Object.defineProperty(request, 'signal', { value: signal, configurable: true })

/** The data of a stream's events, without `[DONE]`. */
export function eventsOf(text: string): Json[] {
  const data = [...text.matchAll(/^data: (.*)$/gm)].map((match) => match[1] as string)
  return data.filter((one) => one !== '[DONE]').map((one) => JSON.parse(one) as Json)
}

/** A stream that has begun: so many of its events are here. `rest` reads on, and returns all of its text. */
export async function begun(response: Response, events = 1): Promise<{ rest(): Promise<string> }> {
  const reader = (response.body as ReadableStream<Uint8Array>).getReader()
  const decoder = new TextDecoder()
  let text = ''
  const read = async (): Promise<boolean> => {
    const { done, value } = await reader.read()
    text += decoder.decode(value, { stream: !done })
    return done
  }
  while (text.split('\ndata: ').length + Number(text.startsWith('data: ')) <= events)
    if (await read()) assert.fail(`the stream ended: ${text}`)
  return {
    async rest() {
      while (!(await read()));
      return text
    },
  }
}

/** What a chat stream says. */
export const saidIn = (text: string): string =>
  eventsOf(text)
    .map((event) => (event.choices?.[0]?.delta?.content as string | null) ?? '')
    .join('')

/** Longer than any machine needs for what comes at once. */
const PATIENCE = 20_000

/** Waits for a state that nothing announces. */
export async function eventually(isSo: () => boolean | Promise<boolean>, why: () => string): Promise<void> {
  const end = performance.now() + PATIENCE
  while (!(await isSo())) {
    if (performance.now() > end) assert.fail(why())
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}

/** A router under test, and its fleet. */
export class Rig {
  readonly #opened: Opened
  readonly #fleet: Fleet
  readonly #key: string | undefined

  constructor(opened: Opened, fleet: Fleet, adminKey: string | undefined) {
    this.#opened = opened
    this.#fleet = fleet
    this.#key = adminKey
  }

  /** The Response as it comes; the caller reads it. */
  request(path: string, sent: Sent = {}): Promise<Response> {
    const { body, signal = new AbortController().signal } = sent
    const isRaw = typeof body === 'string' || body instanceof FormData || body instanceof Uint8Array
    const headers: Record<string, string> = { ...sent.headers }
    if (body !== undefined && !(body instanceof FormData)) headers['content-type'] ??= 'application/json'
    const method = sent.method ?? (body === undefined ? 'GET' : 'POST')
    const payload = body === undefined ? null : ((isRaw ? body : JSON.stringify(body)) as BodyInit)
    const request = new Request(`http://router${path}`, { method, headers, body: payload })
    return this.#opened.fetch(heeding(request, signal))
  }

  /** A whole reply. */
  async ask(path: string, sent: Sent = {}): Promise<Reply> {
    const response = await this.request(path, sent)
    const text = await response.text()
    let body: Json
    try {
      body = JSON.parse(text)
    } catch {
      // Not every reply is JSON.
    }
    return { status: response.status, headers: response.headers, text, body }
  }

  post(path: string, body: unknown, headers: Readonly<Record<string, string>> = {}): Promise<Reply> {
    return this.ask(path, { body, headers })
  }

  /** Asks the control plane, with its key. */
  admin(method: string, path: string, body?: unknown): Promise<Reply> {
    const headers: Record<string, string> =
      this.#key === undefined ? {} : { authorization: `Bearer ${this.#key}` }
    return this.ask(path, { method, headers, ...(body !== undefined && { body }) })
  }

  async workers(): Promise<Json[]> {
    return (await this.admin('GET', WORKERS)).body.data as Json[]
  }

  /** A worker as the control plane shows it. */
  async worker(name: string): Promise<Json> {
    const url = this.url(name)
    const found = (await this.workers()).find((one) => one.url === url)
    return found ?? assert.fail(`no worker ${url}`)
  }

  async status(): Promise<Json> {
    return (await this.admin('GET', '/fetchway/v1/status')).body
  }

  /** Sum of a metric over the series whose labels hold the text. */
  async metric(name: string, labels = ''): Promise<number> {
    return sumOf((await this.admin('GET', '/metrics')).text, name, labels)
  }

  url(name: string): string {
    return this.#opened.url(name)
  }

  drain(): void {
    this.#opened.drain()
  }

  reload(config: ConfigInput): Promise<void> {
    return this.#opened.reload(config)
  }

  /** Lets a limit of that length pass: moves the clock, or waits. */
  async pass(ms: number): Promise<void> {
    if (this.#opened.pass) await this.#opened.pass(ms)
  }

  /** Waits until a call is being answered by an engine. */
  async busy(worker: Engine, calls = 1): Promise<void> {
    await eventually(
      () => callsOf(worker).length >= calls,
      () => `the engine saw ${callsOf(worker).length} calls`,
    )
  }

  async queued(count: number): Promise<void> {
    await eventually(
      async () => (await this.status()).queued === count,
      () => `never ${count} queued`,
    )
  }

  /**
   * Fails unless it is so within half a second. Where the machine has had no time for the router, that is as long as the
   * router takes to answer twenty times: what it owed by then, it has seen to before.
   */
  async soon(isSo: () => boolean | Promise<boolean>, why: () => string): Promise<void> {
    const end = performance.now() + 500
    while (!(await isSo()) && performance.now() < end) await new Promise((resolve) => setTimeout(resolve, 2))
    for (let turn = 0; turn < 20 && !(await isSo()); turn++) await this.ask('/livez')
    assert.ok(await isSo(), why())
  }

  /** What calls still hold, as JSON: places, queue, memory, the engines' work; null: nothing, or it is not told. */
  async held(): Promise<string | null> {
    const { status, body } = await this.admin('GET', '/fetchway/v1/status')
    if (status === 403) return null
    const { in_flight, queued, live, buffered_bytes, workers } = body
    const loads = (workers as Json[]).flatMap(({ in_flight: one, backlog_tokens }) => [one, backlog_tokens])
    const running = Object.values(this.#fleet).map((one) => one?.seen().running ?? 0)
    const all = [in_flight, queued, live, buffered_bytes, ...loads, ...running]
    if (all.every((value) => value === 0)) return null
    return JSON.stringify({ in_flight, queued, live, buffered_bytes, loads, running })
  }

  /** Waits until a call that was answered counts for nothing any more: what is left of it weighs against its worker. */
  settled(): Promise<void> {
    return eventually(
      async () => (await this.held()) === null,
      () => 'calls never ended',
    )
  }

  /** Fails unless all that a call takes is given back: places, queue, memory, gauges, the engines' work. */
  async rests(): Promise<void> {
    let left: string | null = null
    await eventually(
      async () => (left = await this.held()) === null,
      () => `the router did not come to rest: ${left}`,
    )
    const { text } = await this.admin('GET', '/metrics')
    for (const gauge of GAUGES) assert.equal(sumOf(text, `fetchway_${gauge}`, ''), 0, `gauge ${gauge}`)
  }
}

const GAUGES = [
  'in_flight',
  'leases',
  'queue_depth',
  'buffered_bytes',
  'worker_in_flight',
  'worker_backlog_tokens',
]

function sumOf(text: string, name: string, labels: string): number {
  let sum = 0
  for (const line of text.split('\n')) {
    const isIt = line.startsWith(`${name} `) || line.startsWith(`${name}{`)
    if (isIt && line.includes(labels)) sum += Number(line.slice(line.lastIndexOf(' ') + 1))
  }
  return sum
}
