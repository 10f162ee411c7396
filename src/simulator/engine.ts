// A simulated vLLM, SGLang or LMDeploy server as a pure fetch handler.
import { realClock, type EngineClock } from './clock.ts'
import { faultAfter, faultBefore, parseFaults, type Faults } from './faults.ts'
import { json, readBody, text, type Exchange } from './exchange.ts'
import { stringField } from './fields.ts'
import { takeKv, type SeenHandover } from './kv-offers.ts'
import { kvOutput, type KvOutput } from './kv-feed.ts'
import { loadOutput, type LoadOutput } from './load-output.ts'
import { lmdeploy } from './lmdeploy.ts'
import { askedRank } from './ranks.ts'
import { ConnectionBroken, EngineRefusal } from './refusal.ts'
import { findRoute, type Profile } from './routes.ts'
import { sglang } from './sglang.ts'
import { Simulation } from './simulation.ts'
import { vllm } from './vllm.ts'

export interface EngineOptions {
  readonly engine: 'vllm' | 'sglang' | 'lmdeploy'
  /** The first is the served model. Default: `demo-model`. */
  readonly models?: readonly string[]
  /** LoRA adapters that are served besides. */
  readonly adapters?: readonly string[]
  readonly role?: 'mixed' | 'prefill' | 'decode'
  /** Where decode engines meet a prefill engine of SGLang (8998), as it tells of itself; to listen there is its host's task. */
  readonly bootstrapPort?: number
  /** How a vLLM engine with a role hands KV over; Mooncake and MoRI-IO have one form here. Default: `nixl`. */
  readonly connector?: 'nixl' | 'p2p' | 'mooncake'
  /** Milliseconds that one half of a call waits for the other (10 s; the real engines wait for minutes). */
  readonly handoverTimeout?: number
  /** Reaches the engine that keeps the KV; the runtime's own by default. */
  readonly fetch?: typeof globalThis.fetch
  /** Asked of every call but those that the real engine leaves open. */
  readonly apiKey?: string
  readonly prefillTokensPerSecond?: number
  /** Milliseconds of a decode step, and what each running sequence adds to it. */
  readonly stepMs?: number
  readonly perSequenceMs?: number
  /** Data-parallel ranks, each with a cache of that size and a batch of its own. */
  readonly dpSize?: number
  /** Size of the KV cache. */
  readonly blocks?: number
  readonly blockTokens?: number
  readonly maxModelLength?: number
  readonly maxSequences?: number
  /** Factor on all times; 0: answers come at once, and streams as fast as they are read. */
  readonly speed?: number
  /** Makes ids and other chance repeatable. */
  readonly seed?: number
  /** Faults for all inference calls, or those that their `path=` names, in the words of the `x-fault` header (see faults.ts). */
  readonly fault?: string
}

/** A request as the engine got it. */
export interface SeenRequest {
  readonly method: string
  /** With the query. */
  readonly path: string
  readonly headers: readonly (readonly [string, string])[]
  /** At most 1 MB of it. */
  readonly body: string
}

export interface Seen {
  readonly requests: readonly SeenRequest[]
  readonly running: number
  readonly waiting: number
  readonly finished: number
  readonly aborted: number
  /** Output tokens made. */
  readonly tokens: number
  /** Hand-overs of KV that it gave or took, by room, request or session. */
  readonly handovers: readonly SeenHandover[]
}

export interface Engine {
  /** Rejects with a TypeError where a real server would break or refuse the connection. */
  fetch(request: Request): Promise<Response>
  /** What the engine saw since the start or the last reset. */
  seen(): Seen
  /** Forgets what was seen, and all counters with it. */
  reset(): void
  /** Breaks all open answers; later calls are refused like connections to a closed port. */
  kill(): void
  revive(): void
  /** What it tells of its KV cache. */
  readonly kv: KvOutput
  /** How busy it is, for those who publish it. */
  readonly load: LoadOutput
}

const PROFILES: Readonly<Record<EngineOptions['engine'], Profile>> = { vllm, sglang, lmdeploy }
/** Between simulated engines alone. */
const KV_PATH = '/sim/kv/'
const SEEN_BYTES = 1_000_000
/** Requests and characters of bodies kept for `seen()`; older ones are dropped, so that a long run keeps its memory. */
const SEEN_REQUESTS = 10_000
const SEEN_CHARACTERS = 64_000_000

/** Makes an engine. Its clock is the runtime's unless parts of it are given. */
export function createEngine(options: EngineOptions, clock: Partial<EngineClock> = {}): Engine {
  const sim = new Simulation(options, { ...realClock(options.seed), ...clock })
  const profile = PROFILES[options.engine]
  let requests: SeenRequest[] = []
  let characters = 0
  let forgotten = { finished: 0, aborted: 0, tokens: 0 }
  let isDead = false
  const faultBox = new FaultBox(options.fault ?? '')

  const serve = async (request: Request): Promise<Response> => {
    if (isDead) throw new ConnectionBroken('fetch failed')
    const exchange = await openExchange(sim, request)
    if (isDead) throw new ConnectionBroken('fetch failed')
    const path = exchange.url.pathname
    if (path.startsWith(KV_PATH)) return takeKv({ ...exchange, params: { key: path.slice(KV_PATH.length) } })
    const seen = seenRequest(exchange)
    characters += seen.body.length
    if (requests.length >= SEEN_REQUESTS || characters > SEEN_CHARACTERS) {
      requests = requests.slice(Math.ceil(requests.length / 2))
      characters = requests.reduce((sum, request) => sum + request.body.length, seen.body.length)
    }
    requests.push(seen)
    if (path === '/fault' && request.method === 'POST') return faultBox.set(exchange)
    const faults = faultBox.faultsFor(exchange)
    if (faults instanceof Response) return faults
    if (faults.size === 0) return answer(exchange, profile)
    await faultBefore(exchange, faults)
    const status = Number(faults.get('status') ?? 0)
    const response = status > 0 ? faultReply(profile, status, faults) : await answer(exchange, profile)
    return faultAfter(exchange, response, faults)
  }

  return {
    fetch: serve,
    seen: () => ({
      requests,
      running: sim.scheduler.running,
      waiting: sim.scheduler.waiting,
      finished: sim.tally.finished - forgotten.finished,
      aborted: sim.tally.aborted - forgotten.aborted,
      tokens: sim.scheduler.totals.generatedTokens - forgotten.tokens,
      handovers: sim.offers.seen(),
    }),
    reset() {
      requests = []
      characters = 0
      const { finished, aborted } = sim.tally
      forgotten = { finished, aborted, tokens: sim.scheduler.totals.generatedTokens }
    },
    kill() {
      isDead = true
      for (const die of sim.breakers) die()
      sim.forget()
    },
    revive() {
      isDead = false
    },
    ...outputsOf(sim),
  }
}

const outputsOf = (sim: Simulation) => ({ kv: kvOutput(sim), load: loadOutput(sim) })

async function openExchange(sim: Simulation, request: Request): Promise<Exchange> {
  const bytes = request.body ? new Uint8Array(await request.arrayBuffer()) : new Uint8Array(0)
  return {
    sim,
    method: request.method,
    url: new URL(request.url),
    headers: request.headers,
    bytes,
    signal: request.signal,
    params: {},
    rank: null,
  }
}

function seenRequest(exchange: Exchange): SeenRequest {
  return {
    method: exchange.method,
    path: exchange.url.pathname + exchange.url.search,
    headers: [...exchange.headers],
    body: new TextDecoder().decode(exchange.bytes.subarray(0, SEEN_BYTES)),
  }
}

async function answer(exchange: Exchange, profile: Profile): Promise<Response> {
  const response = await route(exchange, profile)
  response.headers.set('server', 'uvicorn')
  const id = exchange.headers.get('x-request-id')
  if (id !== null && exchange.sim.options.engine === 'vllm') response.headers.set('x-request-id', id)
  return response
}

async function route(exchange: Exchange, profile: Profile): Promise<Response> {
  const { wording } = profile
  const path = exchange.url.pathname
  try {
    const key = exchange.sim.options.apiKey
    const isKnown = key === undefined || exchange.headers.get('authorization') === `Bearer ${key}`
    if (!isKnown && !wording.isOpen(path)) return wording.unauthorized()
    const found = findRoute(profile.routes, exchange.method, path)
    if (found === 'path') return json({ detail: 'Not Found' }, 404)
    if (found === 'method') return json({ detail: 'Method Not Allowed' }, 405)
    const rank = isInference(exchange) ? askedRank(exchange) : null
    return await found.handler({ ...exchange, params: found.params, rank })
  } catch (error) {
    if (error instanceof EngineRefusal) return json(wording.refusal(error), profile.statusOf(error))
    if (error instanceof ConnectionBroken || exchange.signal.aborted) throw error
    return text('Internal Server Error', 500)
  }
}

function faultReply(profile: Profile, status: number, faults: Faults): Response {
  const kind = status >= 500 ? (status === 503 ? 'unavailable' : 'internal') : 'bad_request'
  const refusal = new EngineRefusal(kind, `Injected fault: status ${status}.`, { status })
  const retryAfter = faults.get('retry-after')
  return json(
    profile.wording.refusal(refusal),
    status,
    retryAfter === undefined ? {} : { 'retry-after': retryAfter },
  )
}

/** Probes, metrics and the engine's controls are none. */
function isInference({ method, url }: Exchange): boolean {
  return (method === 'POST' || method === 'PUT') && INFERENCE.test(url.pathname)
}

const INFERENCE =
  /^\/(?:v\d+\/(?!(?:un)?load_lora_adapter$|(?:de)?tokenize$)|(?:generate|pooling|classify|score|rerank)$)/

/** The faults that are set for the engine as a whole. */
class FaultBox {
  #faults: Faults
  #left: number

  constructor(text: string) {
    this.#faults = parseFaults(text)
    this.#left = Number(this.#faults.get('times') ?? Infinity)
  }

  /** POST /fault `{"fault": "status=503"}`; an empty text ends the faults. */
  set(exchange: Exchange): Response {
    const fault = stringField(readBody(exchange), 'fault') ?? ''
    const faults = readFaults(fault)
    if (faults instanceof Response) return faults
    this.#faults = faults
    this.#left = Number(this.#faults.get('times') ?? Infinity)
    return json({ fault })
  }

  /** The engine's faults with those of the request's own header over them, or the refusal of that header. */
  faultsFor(exchange: Exchange): Faults | Response {
    const own = readFaults(exchange.headers.get('x-fault') ?? '')
    if (own instanceof Response) return own
    return new Map([...(this.#applies(exchange) ? this.#faults : []), ...own])
  }

  #applies(exchange: Exchange): boolean {
    if (this.#faults.size === 0 || this.#left <= 0) return false
    const path = this.#faults.get('path')
    if (path === undefined ? !isInference(exchange) : !exchange.url.pathname.startsWith(path)) return false
    if (exchange.sim.clock.random() >= Number(this.#faults.get('p') ?? 1)) return false
    this.#left--
    return true
  }
}

/** Faults as somebody asked for them by HTTP. */
function readFaults(words: string): Faults | Response {
  try {
    return parseFaults(words)
  } catch (error) {
    return json({ error: error instanceof Error ? error.message : String(error) }, 400)
  }
}
