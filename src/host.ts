// What a runtime lends the app. Everything that differs between Node, Deno, Bun and Workers is behind this seam.
import type { Registry } from './actors/registry.ts'
import type { Pool } from './actors/pool.ts'
import type { Limiter } from './actors/limiter.ts'
import type { Batches } from './actors/batches.ts'
import type { Tables } from './batches/tables.ts'
import type { Config } from './config/schema.ts'
import type { Extend } from './extensions/extension.ts'
import type { ActorRef } from './actors/actor.ts'
import type { ProcessReadings } from './metrics/process-readings.ts'
import type { Reading } from './metrics/reading.ts'
import type { Parts } from './parts.ts'
import type { Recorder } from './replay/recorder.ts'
import type { Waiter } from './soon.ts'
import type { Sockets } from './zmtp/wire.ts'

/** Header names and values in wire order: `[name, value, name, value, …]`, names spelled as they came. */
export type HeaderList = readonly string[]

/** What is needed to reach one worker. Plain data: it travels inside a plan. */
export interface WorkerRef {
  /** Opaque and stable for one URL; the only name of a worker that clients see. */
  readonly id: string
  /** Origin and base path without a trailing slash, e.g. `http://gpu1:8000`, or `unix:/run/vllm.sock`. */
  readonly url: string
  readonly engine: string
  /** Sent as `Authorization: Bearer …` in place of the client's key. */
  readonly apiKey?: string
  /** Sent in its place with what the router itself asks. */
  readonly probeKey?: string
  /** Extra headers for this worker (Access service tokens and the like). */
  readonly headers?: Readonly<Record<string, string>>
  /** How the worker is told a name for each call, by which its KV events tell whose blocks they are; absent: not at all. */
  readonly kvSession?: 'header' | 'body'
  /** The binding that its calls go through, where a runtime has such things (Workers). */
  readonly via?: { readonly binding: string }
  /** Data-parallel rank behind one URL, and how many there are. */
  readonly rank?: number
  readonly ranks?: number
  /** The body field that tells an engine the rank of a call, besides the header; absent: the header is enough. */
  readonly rankField?: 'data_parallel_rank' | 'routed_dp_rank'
  /** Of a prefill worker: where its bootstrap server listens; absent: 8998, null: it is not told. */
  readonly bootstrapPort?: number | null
  /** `HOST:PORT` at which its KV connector is met, where that is not the URL's. */
  readonly kvAddress?: string
  /** What it told of its MoRI-IO connector. */
  readonly transfer?: { readonly mode: 'READ' | 'WRITE'; readonly tpSize: number; readonly dpSize: number }
}

/** A buffered body is a list of slices that are sent one after the other (edits never copy); a stream is sent once. */
export type OutgoingBody = null | readonly Uint8Array[] | ReadableStream<Uint8Array>

/** What tells that something is over before its end: an AbortSignal, or as much of one as is needed. It happens once. */
export interface Signal {
  readonly aborted: boolean
  readonly reason: unknown
  addEventListener(
    type: 'abort',
    listener: (() => void) | { handleEvent(): void },
    options?: { readonly once: boolean },
  ): void
  removeEventListener(type: 'abort', listener: (() => void) | { handleEvent(): void }): void
}

/** One request to one worker. Header names are lower-case; hop-by-hop headers, host and content-length are not in it. */
export interface Outgoing {
  readonly method: string
  /** Path and query as the worker gets them. */
  readonly path: string
  readonly headers: HeaderList
  readonly body: OutgoingBody
  /** Milliseconds until a connection must stand (0: no limit). */
  readonly connectTimeout: number
  /** It makes state: a host must never send it a second time on its own, whatever became of a kept connection. */
  readonly isOnce?: boolean
  readonly signal: Signal
}

/** A worker's answer whose head is here and whose body is still on its way. */
export interface Upstream {
  readonly status: number
  /** As the engine sent them, minus hop-by-hop headers. */
  readonly headers: HeaderList
  /** The first bytes are here already: `first` need not be waited for. A host that can't tell leaves it out. */
  readonly hasBegun?: boolean
  /** The first bytes of the body, or null when it ended empty. Rejects with `UpstreamFailure` when it dies before. Call it before `relay`. */
  first(): Promise<Uint8Array | null>
  /** Reads the whole rest (after `first`, including it) up to `limit` bytes; for small answers that the router itself needs. */
  bytes(limit: number): Promise<Uint8Array>
  /** What it sent waits, for the client reads no further: silence is the client's then. A host that can't tell leaves it out. */
  readonly isHeld?: boolean
  /**
   * The body as `Request.bytes` gave it: nobody reads it any more, nor sends it again. A host may use its memory for another, where
   * it knows that its bytes went out; one that leaves that to the collector leaves this out.
   */
  free?(body: Uint8Array): void
  /** Closes the connection; the worker notices at once. */
  cancel(): void
}

export type FailureKind =
  | 'connect' // never connected: nothing was sent
  | 'connect_timeout'
  | 'first_token_timeout'
  | 'idle_timeout'
  | 'total_timeout'
  | 'reset' // the connection broke after the request was sent
  | 'protocol' // the worker spoke broken HTTP
  | 'aborted' // our own signal ended it

/** Why a worker gave no (whole) answer. Thrown by `Host.fetch`, `Upstream.first` and handed to `Watch.fail`. */
export class UpstreamFailure extends Error {
  readonly kind: FailureKind
  /** Set where it was the prefill worker of a pair. */
  readonly leg?: 'prefill'
  constructor(kind: FailureKind, message: string, leg?: 'prefill') {
    super(message)
    this.name = 'UpstreamFailure'
    this.kind = kind
    if (leg !== undefined) this.leg = leg
  }
}

/** Pieces of a body in memory that is used again after the call: of `bytes` from `places[0]` up to `places[1]`, and so on. */
export interface Pieces {
  readonly bytes: Uint8Array
  readonly places: ArrayLike<number>
  readonly count: number
}

/**
 * Looks at a body while the host relays it. Chunks that come back unchanged are passed on as they are.
 * Exactly one of `end`, `fail`, `leave` is called, once.
 */
export interface Watch {
  /**
   * Bytes from the worker, in order, which the watch may change. Returns what the client gets in their place (most often the same
   * object; null: nothing now).
   */
  chunk(bytes: Uint8Array): Uint8Array | null
  /** Whether the client gets all of these pieces as they are, which saves copying them. If not, none was noted: they come to `chunk`. */
  pass?(pieces: Pieces): boolean
  /** Asked after a chunk by a host that can pass bytes unseen: may it from here on? After a yes only one of the three below is called. */
  mayPassUnseen?(): boolean
  /** The worker's body ended as it should. Returns last bytes for the client, or null. */
  end(): Uint8Array | null
  /** The worker's body broke. Returns bytes to end the client's body with, or null: break the client's connection. */
  fail(failure: UpstreamFailure): Uint8Array | null
  /** The client left; the host has closed the worker's side already. */
  leave(): void
}

export interface Answer {
  readonly status: number
  readonly headers: HeaderList
}

/** A log line: never holds prompt text, keys, or a client's body. */
export interface LogEvent {
  readonly level: 'debug' | 'info' | 'warn' | 'error'
  /** A sentence for people. */
  readonly message: string
  /** snake_case details for machines. */
  readonly [key: string]: unknown
}

/** A sum that several share: apps of one router in several threads count the bytes that they hold in one place. */
export interface Tally {
  /** What all of them hold together. */
  readonly total: number
  /** Adds to (or takes from) what this one holds. */
  add(amount: number): void
}

/** The other apps of this router, when several serve side by side: whichever is asked answers for all. */
export interface Peers {
  /** Calls there that have not ended yet. */
  live(): Promise<number>
  /** Tells them the metrics of this app, and returns those of all together. */
  metrics(own: Reading): Promise<Reading>
}

/** Where dialled-in workers come in. Requests to `tunnel:` URLs go through `Host.fetch` like any. */
export interface TunnelDoor {
  /** Answers a WebSocket handshake of a worker; who it is, its first frame tells. */
  accept(request: Request): Promise<Response>
  /** The worker with that id and URL was removed: its link ends behind what is under way. Harmless for any other worker. */
  drop(workerId: string, url: string): void
  /** A new configuration: workers whose token is none any more are cut off and removed. */
  configure(config: Config): void
}

/** Where calls are recorded, when that was asked for (`record`). */
export interface Recording {
  /** Four random words that hashes are mixed with, the same for all apps of a router; nowhere written. */
  readonly salt: Uint32Array
  /** Takes a line without its line break. Never throws; what is too much is dropped. */
  write(line: string): void
}

/** Certificates for one server, as PEM texts; what is left out is the system's. */
export interface OutsideTls {
  /** The authority that the server is checked by, in place of the system's. */
  readonly ca?: string
  /** What the router shows the server. */
  readonly cert?: string
  readonly key?: string
  /** The name that the server's certificate must have, in place of the URL's. */
  readonly serverName?: string
  /** Its certificate is not checked at all. */
  readonly isUnchecked?: boolean
}

/** What lies outside of the fleet and is needed to find it: other servers, files beside the program, its environment. */
export interface Outside {
  /** A GET. Rejects when there is no answer, and when this runtime can't use such certificates. The signal ends the body, too. */
  fetch(
    url: string,
    request: {
      readonly headers: Readonly<Record<string, string>>
      readonly signal: AbortSignal
      readonly tls: OutsideTls
    },
  ): Promise<Response>
  env(name: string): string | undefined
  /** Absent: this runtime has none. */
  readonly files?: {
    read(path: string): Promise<string>
    parseYaml(text: string): Promise<unknown>
  }
}

export interface Host {
  /** Sends one request. Resolves when the head is here; rejects with `UpstreamFailure`. Never follows redirects, never decodes. */
  fetch(worker: WorkerRef, outgoing: Outgoing): Promise<Upstream>
  /** The same, told in the turn of the event loop in which the head comes, with all that came with it; absent: `fetch` alone. */
  send?(worker: WorkerRef, outgoing: Outgoing, waiter: Waiter<Upstream>): void
  /** The client's Response for an upstream: passes its bytes through `watch` with backpressure, by the runtime's cheapest way. */
  relay(upstream: Upstream, answer: Answer, watch: Watch): Response
  /** The client's Response for an answer that is here to its last byte; default: a plain `Response`. */
  reply?(answer: Answer, bytes: Uint8Array): Response
  /** The two ends of a body that the router writes itself; default: a `TransformStream`. A write fails when the client has left. */
  pipe?(): { readonly readable: ReadableStream<Uint8Array>; readonly writable: WritableStream<Uint8Array> }
  /**
   * Joins a client's WebSocket upgrade with a worker's. Rejects with `UpstreamFailure` when the worker can't be reached. `closed` is
   * called once, when either side ended.
   */
  upgrade?(worker: WorkerRef, request: Request, outgoing: Outgoing, closed: () => void): Promise<Response>
  /** Milliseconds since the epoch, with fractions where the runtime has them; never goes back. */
  now(): number
  /** 0 ≤ x < 1. */
  random(): number
  /** Runs `run` once after `ms`; the function returned takes it back. */
  timer(ms: number, run: () => void): () => void
  /** Keeps the work alive after the response (waitUntil); rejections are logged. */
  after(work: Promise<unknown>): void
  log(event: LogEvent): void
  /** Lets workers dial in (GET /fetchway/v1/tunnel); absent: this runtime takes none. */
  readonly tunnels?: TunnelDoor
  /** Timers and promises end with the request that made them (Workers): nothing may be gathered, shared or waited for across requests. */
  readonly isPerRequest?: boolean
  /** Absent: nothing is recorded. */
  readonly recorder?: Recorder
  /** TCP, for what engines publish; absent: this runtime has none, and events come by HTTP. */
  readonly sockets?: Sockets
  /** What lies outside of the fleet; absent: nothing that this runtime reaches. */
  readonly outside?: Outside
  /** Dialects and sources of workers; absent: none is spoken, and nobody finds workers that are not named. */
  readonly parts?: Parts
  /** What the process can tell of itself, for /metrics. */
  readonly process?: ProcessReadings
  readonly peers?: Peers
  /** Makes what an operator puts around calls; absent: this runtime can't have it. */
  readonly extend?: Extend
  /** Bytes of request bodies in memory, when several apps share the budget. */
  readonly buffered?: Tally
  /** Opens what files and batches are kept in, where that is configured. Rejects when it can't be, or another router has it. */
  readonly tables?: () => Promise<Tables>
  readonly registry: ActorRef<Registry>
  readonly pool: ActorRef<Pool>
  readonly limiter: ActorRef<Limiter>
  /** Absent: this runtime has nothing to keep files and batches in. */
  readonly batches?: ActorRef<Batches>
}
