// Where SGLang publishes its load by itself: as /server_info says.
import { endpointOf } from '../zmtp/address.ts'
import type { EngineFacts } from './engine.ts'
import { hostOf, reachable } from './kv-sources.ts'
import { positive } from './reply.ts'

/** The socket of one data-parallel rank. Plain data. */
export interface LoadSource {
  readonly rank: number
  /** `tcp://HOST:PORT`. */
  readonly endpoint: string
  readonly topic: string
}

/** `kv_events` of `GET /server_info` names a port, counted on from for each rank, where --load-publish-endpoint is set. None otherwise. */
export function loadSourcesOf(url: string, facts: EngineFacts | null): LoadSource[] {
  const host = hostOf(url)
  if (facts?.engine !== 'sglang' || host === '') return []
  const told = facts.kvEvents
  if (typeof told !== 'object' || told === null) return []
  const { load_endpoint_port_base, load_topic, endpoint_host, dp_size } = told as Record<string, unknown>
  const named = typeof endpoint_host === 'string' && endpoint_host !== '' ? endpoint_host : '*'
  const topic = typeof load_topic === 'string' ? load_topic : 'load'
  const ranks = positive(dp_size) ?? facts.dpSize ?? 1
  const base = positive(load_endpoint_port_base)
  if (base === undefined || !Number.isInteger(base) || base + ranks > MOST_PORT) return []
  try {
    return Array.from({ length: ranks }, (_, rank) => ({
      rank,
      endpoint: reachable(endpointOf({ host: named.replace(/^\[|\]$/g, ''), port: base + rank }), host),
      topic,
    }))
  } catch {
    return [] // no address
  }
}

const MOST_PORT = 65_536
