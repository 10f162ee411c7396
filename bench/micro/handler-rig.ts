// The whole app on a host in memory: engines that answer at once, so that what is left is the router's own work.
import { createTimers } from '../../adapters/web/timers.ts'
import { HeaderView } from '../../adapters/node/headers.ts'
import { localActors, memoryStorage } from '../../src/actors/local.ts'
import { createApp, type App } from '../../src/app.ts'
import { Stop } from '../../src/forward/stop.ts'
import type { HeadMemory } from '../../src/openai/head.ts'
import { configSchema } from '../../src/config/schema.ts'
import type { Answer, Host, Outgoing, Upstream, Watch, WorkerRef } from '../../src/host.ts'
import { allParts } from '../../src/parts.ts'
import type { Waiter } from '../../src/soon.ts'
import { eventCount, makeBodies, type Bodies, type Column } from '../bodies.ts'

/** What is sent and what comes back. */
export interface Shape {
  readonly name: string
  /** Bytes of the request's body. */
  readonly bytes: number
  /** One JSON object, or 64 events, each a chunk of its own. */
  readonly reply: 'json' | 'sse0'
}

export const shapes: readonly Shape[] = [
  { name: '1 KB JSON', bytes: 1024, reply: 'json' },
  { name: '16 KB JSON', bytes: 16 * 1024, reply: 'json' },
  { name: '128 KB JSON', bytes: 128 * 1024, reply: 'json' },
  { name: 'SSE 64 events', bytes: 1024, reply: 'sse0' },
]

export interface Rig {
  readonly app: App
  /** Sends one request of a shape and reads the answer to its end; returns the bytes that the client got. */
  send(shape: Shape): Promise<number>
  /** Sends so many, sixteen at a time: as the router meets them. */
  sendMany(shape: Shape, count: number): Promise<void>
  close(): void
}

const encoder = new TextEncoder()
const about = '"created":1700000000,"model":"bench-model"'
const usage =
  '"usage":{"prompt_tokens":256,"completion_tokens":64,"total_tokens":320,"prompt_tokens_details":{"cached_tokens":0}}'
const wholeAnswer = encoder.encode(
  `{"id":"chatcmpl-bench","object":"chat.completion",${about},"choices":[{"index":0,"message":{"role":"assistant","content":"${'An answer of a usual length. '.repeat(16)}"},"finish_reason":"stop"}],${usage}}`,
)
const event = (data: string) => encoder.encode(`data: ${data}\n\n`)
const events = [
  ...Array.from({ length: eventCount }, (_, index) =>
    event(
      `{"id":"chatcmpl-bench","object":"chat.completion.chunk",${about},"choices":[{"index":0,"delta":{"content":" word${index}"},"logprobs":null,"finish_reason":${index === eventCount - 1 ? '"stop"' : 'null'}}]}`,
    ),
  ),
  event(`{"id":"chatcmpl-bench","object":"chat.completion.chunk",${about},"choices":[],${usage}}`),
  event('[DONE]'),
]
const models = encoder.encode(
  '{"object":"list","data":[{"id":"bench-model","object":"model","owned_by":"vllm"}]}',
)
const jsonHead = ['content-type', 'application/json', 'content-length', String(wholeAnswer.length)]
const sseHead = ['content-type', 'text/event-stream; charset=utf-8', 'cache-control', 'no-cache']

/** An answer whose head and body are here already. */
class Ready implements Upstream {
  /** As on Node, where an answer that is here comes with its head. */
  readonly hasBegun = true
  readonly status: number
  readonly headers: readonly string[]
  readonly chunks: readonly Uint8Array[]

  constructor(status: number, headers: readonly string[], chunks: readonly Uint8Array[]) {
    this.status = status
    this.headers = headers
    this.chunks = chunks
  }

  first(): Promise<Uint8Array | null> {
    return Promise.resolve(this.chunks[0] ?? null)
  }

  bytes(): Promise<Uint8Array> {
    return Promise.resolve(this.chunks[0] ?? new Uint8Array(0))
  }

  cancel(): void {}
}

/** What the app returns for an answer that it passes on. */
class Relayed {
  readonly upstream: Ready
  readonly answer: Answer
  readonly watch: Watch

  constructor(upstream: Ready, answer: Answer, watch: Watch) {
    this.upstream = upstream
    this.answer = answer
    this.watch = watch
  }

  /** Passes all of it by the watch. */
  flow(): number {
    let bytes = 0
    for (const chunk of this.upstream.chunks) bytes += this.watch.chunk(chunk)?.length ?? 0
    return bytes + (this.watch.end()?.length ?? 0)
  }
}

/** As a lean adapter hands a request over: parts are made when they are touched. */
class RigRequest {
  readonly method = 'POST'
  readonly url = 'http://127.0.0.1:8000/v1/chat/completions'
  readonly headers: HeaderView
  readonly memory: HeadMemory
  readonly received: number
  readonly #body: Uint8Array
  #leaving: Stop | null = null

  constructor({ headers, memory }: Pick<Source, 'headers' | 'memory'>, body: Uint8Array) {
    this.headers = new HeaderView(headers)
    this.memory = memory
    this.received = body.length
    this.#body = body
  }

  get leaving(): Stop {
    this.#leaving ??= new Stop()
    return this.#leaving
  }

  atHand(): Uint8Array {
    return this.#body
  }
}

function engine({ path, body }: Outgoing): Upstream {
  if (path === '/v1/chat/completions') {
    const isStream = (body as readonly Uint8Array[]).length > 1
    return isStream ? new Ready(200, sseHead, events) : new Ready(200, jsonHead, [wholeAnswer])
  }
  if (path === '/v1/models') return new Ready(200, ['content-type', 'application/json'], [models])
  return new Ready(404, [], [])
}

/** Two workers, the policy given, and everything else as it comes: metrics, ids, timeouts, breakers, decision records. */
export async function createRig(policy: string): Promise<Rig> {
  const config = configSchema.parse({
    policy,
    workers: [{ url: 'http://127.0.0.1:1' }, { url: 'http://127.0.0.1:2' }],
    healthInterval: 'off',
    loadInterval: 'off',
  })
  const timers = createTimers()
  const { timeOrigin } = performance
  const seams = {
    fetch: async (_worker: WorkerRef, outgoing: Outgoing) => engine(outgoing),
    send: (_worker: WorkerRef, outgoing: Outgoing, waiter: Waiter<Upstream>) =>
      queueMicrotask(() => waiter.came(engine(outgoing))),
    relay: (upstream: Upstream, answer: Answer, watch: Watch) =>
      new Relayed(upstream as Ready, answer, watch) as unknown as Response,
    now: () => timeOrigin + performance.now(),
    random: Math.random,
    timer: timers.start,
    after: (work: Promise<unknown>) => void work.catch((error: unknown) => console.error(error)),
    log() {},
    parts: allParts,
  }
  const host: Host = { ...seams, ...localActors(config, seams, () => memoryStorage()) }
  const app = createApp(config, host)
  await app.start()
  await host.registry('main').settled()
  const sources = new Map(shapes.map((shape) => [shape, new Source(shape)]))

  const send = async (shape: Shape): Promise<number> => {
    const source = sources.get(shape)!
    const request = new RigRequest(source, source.next()) as unknown as Request
    const response = (await app.answer(request).promise()) as unknown as Relayed | Response
    if (response instanceof Relayed) return response.flow()
    throw new Error(`${response.status}: ${await response.text()}`)
  }
  const sendMany = async (shape: Shape, count: number): Promise<void> => {
    let left = count
    const one = async () => {
      while (left-- > 0) await send(shape)
    }
    await Promise.all(Array.from({ length: 16 }, one))
  }
  return { app, send, sendMany, close: timers.close }
}

/** Bodies that differ each time, in one buffer that is written over. */
class Source {
  readonly headers: readonly string[]
  /** Kept with them, as a lane does that gets the same head again. */
  readonly memory: HeadMemory = {}
  readonly #bodies: Bodies
  readonly #buffer: Buffer

  constructor({ name, bytes, reply }: Shape) {
    const column: Column = { name, title: name, bytes, reply, clients: 1 }
    this.#bodies = makeBodies(column, 1000)
    this.#buffer = Buffer.allocUnsafeSlow(bytes)
    const plain = ['Host', '127.0.0.1:8000', 'Content-Type', 'application/json', 'Accept', '*/*']
    this.headers = [...plain, 'User-Agent', 'bench', 'Content-Length', String(bytes)]
  }

  next(): Uint8Array {
    this.#bodies.write(this.#buffer)
    return this.#buffer
  }
}
