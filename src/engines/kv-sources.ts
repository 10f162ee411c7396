// Where an engine publishes its KV events: as it says itself, or as it is configured.
import { BOUND, endpointsOf } from '../config/kv-endpoint.ts'
import type { WorkerSpec } from '../config/schema.ts'
import { endpointOf, isWildcard, parseEndpoint } from '../zmtp/address.ts'
import type { SocketAddress } from '../zmtp/wire.ts'
import type { EngineFacts } from './engine.ts'

/** One stream of events: of a worker, or of one of its data-parallel ranks. Plain data. */
export interface KvSourceSpec {
  readonly rank: number
  /** `tcp://HOST:PORT`. */
  readonly endpoint: string
  /** We listen there, and the engine connects. */
  readonly isBound: boolean
  /** Where missed events can be asked for; null: nowhere. */
  readonly replay: string | null
  readonly topic: string
}

/** The streams of a worker; none: it publishes nothing, or is not to be followed. */
export function kvSourcesOf(spec: WorkerSpec, facts: EngineFacts | null): KvSourceSpec[] {
  const { kvEvents, kvEventsReplay } = spec
  if (kvEvents === 'off' || kvEvents === 'push') return []
  const host = hostOf(spec.url)
  const told = toldBy(facts, host)
  if (kvEvents === undefined) return kvEventsReplay === 'off' ? told.map(withoutReplay) : told
  const endpoints = endpointsOf(kvEvents)
  const replays = kvEventsReplay?.startsWith('tcp:') ? endpointsOf(kvEventsReplay) : []
  const ranks = endpoints.length > 1 ? endpoints.length : (facts?.dpSize ?? 1)
  return Array.from({ length: ranks }, (_, rank) => {
    const written = ofRank(endpoints, rank) as string
    const isBound = written.startsWith(BOUND)
    const replay = ofRank(replays, rank)
    return {
      rank,
      endpoint: isBound ? written.slice(1) : reachable(written, host),
      isBound,
      replay: replay === null ? null : reachable(replay, host),
      topic: '',
    }
  })
}

/** The endpoint of a rank: that of its place in a list; of a single one the ports follow each other. Null: there is none. */
function ofRank(endpoints: readonly string[], rank: number): string | null {
  const [first] = endpoints
  if (first === undefined) return null
  if (endpoints.length > 1) return endpoints[rank] ?? null
  return first.startsWith(BOUND) ? BOUND + shifted(first.slice(1), rank) : shifted(first, rank)
}

const withoutReplay = (source: KvSourceSpec): KvSourceSpec => ({ ...source, replay: null })

function toldBy(facts: EngineFacts | null, host: string): KvSourceSpec[] {
  if (facts?.kvEvents === undefined || host === '') return []
  if (facts.engine === 'vllm') return toldByVllm(facts.kvEvents, host)
  return facts.engine === 'sglang' ? toldBySglang(facts.kvEvents, host) : []
}

/** `GET /kv_event_sources`: a list (in some versions under `sources`) of what each rank has bound. */
function toldByVllm(told: unknown, host: string): KvSourceSpec[] {
  const list = Array.isArray(told) ? (told as unknown[]) : (told as { sources?: unknown } | null)?.sources
  if (!Array.isArray(list)) return []
  const sources: KvSourceSpec[] = []
  for (const [i, one] of list.filter(isFields).entries()) {
    const endpoint = textOf(one['endpoint'])
    if (endpoint === null || !isEndpoint(endpoint)) continue
    const replay = textOf(one['replay_endpoint'])
    sources.push({
      rank: countOf(one['data_parallel_rank']) ?? i,
      endpoint: reachable(endpoint, host),
      isBound: false,
      replay: replay !== null && isEndpoint(replay) ? reachable(replay, host) : null,
      topic: textOf(one['topic']) ?? '',
    })
  }
  return sources
}

/** `kv_events` of `GET /server_info`: one port for each rank, counted from a base. */
function toldBySglang(told: unknown, host: string): KvSourceSpec[] {
  if (!isFields(told) || (told['publisher'] ?? 'zmq') !== 'zmq') return []
  const base = countOf(told['endpoint_port_base'])
  if (!base) return []
  const replayBase = countOf(told['replay_endpoint_port_base'])
  const named = textOf(told['endpoint_host']) ?? '*'
  const at = (port: number) => reachable(endpointOf({ host: named.replace(/^\[|\]$/g, ''), port }), host)
  return Array.from({ length: Math.max(1, countOf(told['dp_size']) ?? 1) }, (_, rank) => ({
    rank,
    endpoint: at(base + rank),
    isBound: false,
    replay: replayBase ? at(replayBase + rank) : null,
    topic: textOf(told['topic']) ?? '',
  }))
}

/** Every address of the worker's machine: the one that we reach it by. */
export function reachable(endpoint: string, host: string): string {
  const address = parseEndpoint(endpoint)
  return isWildcard(address) ? endpointOf({ ...address, host }) : endpoint
}

const shifted = (endpoint: string, by: number): string => {
  const address: SocketAddress = parseEndpoint(endpoint)
  return endpointOf({ ...address, port: address.port + by })
}

/** Empty where the worker is no address (a unix socket, a tunnel): what it says of itself can't be reached then. */
export function hostOf(url: string): string {
  if (!/^https?:/.test(url) || !URL.canParse(url)) return ''
  return new URL(url).hostname.replace(/^\[|\]$/g, '')
}

function isEndpoint(text: string): boolean {
  try {
    return parseEndpoint(text).port > 0
  } catch {
    // ipc:// and inproc:// are for the engine's own machine.
    return false
  }
}

const isFields = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const textOf = (value: unknown): string | null => (typeof value === 'string' && value !== '' ? value : null)

const countOf = (value: unknown): number | null =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : null
