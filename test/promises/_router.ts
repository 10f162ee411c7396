// The router under test: in this process, on a real port; and a client that sees bytes, ends and breaks.
import assert from 'node:assert/strict'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import type { TestContext } from 'node:test'
import { createHost } from '../../adapters/node/host.ts'
import { serve } from '../../adapters/node/http.ts'
import { createLog } from '../../adapters/node/log.ts'
import { createApp, type App } from '../../src/app.ts'
import { configSchema, type ConfigInput } from '../../src/config/schema.ts'
import { lived } from '../_lived.ts'

export interface Router {
  readonly url: string
  readonly adminUrl: string
  readonly app: App
  /** Everything logged so far, at debug level. */
  readonly logs: string[]
  /** What `GET /fetchway/v1/status` says. */
  status(): Promise<Status>
  workers(): Promise<WorkerStatus[]>
  /** Sum of a metric over the series whose labels hold the text. */
  metric(name: string, labels?: string): Promise<number>
  /** Waits until every gauge is back at 0; fails when that does not come. */
  rests(): Promise<void>
  close(): Promise<void>
}

export interface WorkerStatus {
  readonly id: string
  readonly url: string
  readonly state: string
  readonly breaker: string
  readonly in_flight: number
  readonly backlog_tokens: number
  readonly source: string
  readonly draining: boolean
  readonly weight: number
}

export interface Status {
  readonly in_flight: number
  readonly queued: number
  readonly live: number
  readonly buffered_bytes: number
  readonly workers: readonly WorkerStatus[]
}

const GAUGES = [
  'in_flight',
  'leases',
  'queue_depth',
  'buffered_bytes',
  'worker_in_flight',
  'worker_backlog_tokens',
]

/** Starts a router. Probes are off unless asked for, so that only what the test does happens. */
export async function router(t: TestContext, input: ConfigInput = {}): Promise<Router> {
  const config = configSchema.parse({
    healthInterval: 'off',
    state: 'off',
    logLevel: 'debug',
    retryDelay: '5ms',
    ...input,
  })
  const logs: string[] = []
  const host = createHost(
    config,
    createLog(config, (line) => logs.push(line)),
  )
  const app = createApp(config, host)
  await app.start()
  const { maxHeader, maxBody } = config
  const served = await serve((request) => app.fetch(request), { maxHeader, maxBody })
  const admin = await serve((request) => app.admin(request))
  let isClosed = false
  const close = async () => {
    if (isClosed) return
    isClosed = true
    await Promise.all([served.close(0), admin.close(0)])
    await app.close()
    host.close()
  }
  t.after(close)
  const key = config.adminKey
  const headers: Record<string, string> = key === undefined ? {} : { authorization: `Bearer ${key}` }
  const get = async (path: string) => (await send(admin.url, { path, method: 'GET', headers })).text
  const metricsUrl = served.url
  const made: Router = {
    url: served.url,
    adminUrl: admin.url,
    app,
    logs,
    status: async () => JSON.parse(await get('/fetchway/v1/status')) as Status,
    workers: async () => (JSON.parse(await get('/fetchway/v1/workers')) as { data: WorkerStatus[] }).data,
    metric: async (name, labels = '') => {
      const { text } = await send(metricsUrl, { path: '/metrics', method: 'GET', headers })
      return sumOf(text, name, labels)
    },
    rests: () => rests(made),
    close,
  }
  // Until each worker was asked what it is.
  await host.registry('main').settled()
  return made
}

function sumOf(text: string, name: string, labels: string): number {
  let sum = 0
  for (const line of text.split('\n')) {
    if (!line.startsWith(`${name} `) && !line.startsWith(`${name}{`)) continue
    if (line.includes(labels)) sum += Number(line.slice(line.lastIndexOf(' ') + 1))
  }
  return sum
}

async function rests(made: Router): Promise<void> {
  let left: unknown
  await eventually(
    async () => {
      const { in_flight, queued, live, buffered_bytes, workers } = await made.status()
      left = { in_flight, queued, live, buffered_bytes, workers }
      const loads = workers.flatMap((worker) => [worker.in_flight, worker.backlog_tokens])
      return [in_flight, queued, live, buffered_bytes, ...loads].every((value) => value === 0)
    },
    () => `the router did not come to rest: ${JSON.stringify(left)}`,
  )
  const { text } = await send(made.url, { path: '/metrics', method: 'GET' })
  for (const gauge of GAUGES) assert.equal(sumOf(text, `fetchway_${gauge}`, ''), 0, `gauge ${gauge}`)
}

/** Longer than any machine needs for what comes at once, and shorter than what comes by a clock of the router. */
const PATIENCE = 20_000

/** Waits for a state that nothing announces. */
export async function eventually(
  isSo: () => boolean | Promise<boolean>,
  why: () => string = () => 'it did not come about in time',
  ms = PATIENCE,
): Promise<void> {
  const end = performance.now() + ms
  while (!(await isSo())) {
    if (performance.now() > end) assert.fail(why())
    await pause(2)
  }
}

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

export interface Sent {
  readonly path?: string
  readonly method?: string
  readonly headers?: Readonly<Record<string, string | string[]>>
  readonly body?: string | Buffer
}

/** A whole answer, or what came of it. */
export interface Got {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly rawHeaders: readonly string[]
  readonly text: string
  readonly bytes: Buffer
  /** The answer ended as its framing promised. */
  readonly isWhole: boolean
  /** Milliseconds from sending to the end; `lived`: without those in which this process did not get to run. */
  readonly took: number
  readonly lived: number
}

export const CHAT = '/v1/chat/completions'
export const MESSAGES = [{ role: 'user', content: 'hi' }]
export const chat = (more: Readonly<Record<string, unknown>> = {}): string =>
  JSON.stringify({ model: 'm', messages: MESSAGES, ...more })
export const STREAM = chat({ stream: true })

/** A client in the midst of a request, on a connection of its own. */
export class Client {
  text = ''
  status = 0
  headers: IncomingMessage['headers'] = {}
  /** Resolves when the answer has ended, whole or not; a client that left resolves, too. */
  readonly ended: Promise<Got>
  readonly #request: ReturnType<typeof httpRequest>
  readonly #waiters = new Set<() => void>()
  #isOver = false

  constructor(url: string, { path = CHAT, method = 'POST', headers = {}, body = chat() }: Sent) {
    const startedAt = performance.now()
    const livedThen = lived()
    const isBare = method === 'GET' || method === 'HEAD' || method === 'DELETE' || method === 'OPTIONS'
    const bytes = isBare ? Buffer.alloc(0) : Buffer.from(body)
    const framing = isBare
      ? {}
      : { 'content-type': 'application/json', 'content-length': String(bytes.length) }
    const { hostname, port } = new URL(url)
    this.#request = httpRequest({
      hostname,
      port,
      method,
      path,
      agent: false,
      headers: { ...framing, ...headers },
    })
    this.ended = new Promise((resolve) => {
      const chunks: Buffer[] = []
      let response: IncomingMessage | null = null
      const over = () => {
        if (this.#isOver) return
        this.#isOver = true
        this.#wake()
        const all = Buffer.concat(chunks)
        resolve({
          status: this.status,
          headers: this.headers,
          rawHeaders: response?.rawHeaders ?? [],
          text: all.toString(),
          bytes: all,
          isWhole: response?.complete ?? false,
          took: performance.now() - startedAt,
          lived: lived() - livedThen,
        })
      }
      this.#request.on('error', over)
      this.#request.on('response', (came) => {
        response = came
        this.status = came.statusCode ?? 0
        this.headers = came.headers
        came.on('data', (chunk: Buffer) => {
          chunks.push(chunk)
          this.text += chunk.toString()
          this.#wake()
        })
        came.on('error', over)
        came.on('close', over)
        this.#wake()
      })
    })
    this.#request.end(bytes)
  }

  /** Waits until the answer's head is here. */
  async begins(): Promise<this> {
    await this.#until(() => this.status !== 0)
    return this
  }

  /** Waits until the text has come. */
  async sees(part: string): Promise<this> {
    await this.#until(() => this.text.includes(part))
    return this
  }

  /** Breaks the connection. Returns when, by `lived`. */
  leave(): number {
    this.#request.destroy()
    return lived()
  }

  async #until(isSo: () => boolean): Promise<void> {
    while (!isSo()) {
      if (this.#isOver) assert.fail(`the answer ended: ${this.status} ${JSON.stringify(this.text)}`)
      await new Promise<void>((resolve) => this.#waiters.add(resolve))
    }
  }

  #wake(): void {
    for (const resolve of this.#waiters) resolve()
    this.#waiters.clear()
  }
}

export const open = (url: string, sent: Sent = {}): Client => new Client(url, sent)
/** Sends a request and waits for the end of its answer. */
export const send = (url: string, sent: Sent = {}): Promise<Got> => new Client(url, sent).ended

export const codeOf = (got: Got): unknown => (JSON.parse(got.text) as { error: { code: unknown } }).error.code
