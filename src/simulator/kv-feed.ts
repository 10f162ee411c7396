// What a simulated engine publishes of its KV cache: the events of vLLM or SGLang, a batch for each step.
import { encode } from '@msgpack/msgpack'
import { json, type Exchange } from './exchange.ts'
import type { Sequence } from './sequence.ts'
import { tokenAt, type Scheduler } from './scheduler.ts'
import type { Simulation } from './simulation.ts'

/** Where an engine's events are published, as it tells who asks. */
export interface KvSourceFacts {
  readonly endpoint: string
  readonly replay: string | null
  readonly topic: string
}

type Hear = (batch: Uint8Array | null) => void
type KvEventFields = Readonly<Record<string, unknown>>

/** Spreads 52 bits over 64, so that a reader that loses some of them is found out; odd, and so undone by its inverse. */
const SPREAD = 0x9e3779b97f4a7c15n

export class KvFeed {
  readonly #sim: Simulation
  readonly #rank: number
  readonly #hearers: Hear[] = []
  #events: KvEventFields[] = []

  /** `rank`: whose cache it tells of. */
  constructor(sim: Simulation, rank: number) {
    this.#sim = sim
    this.#rank = rank
    const scheduler = sim.scheduler.all[rank] as Scheduler
    scheduler.stored = (sequence, first, count) => this.#stored(sequence, first, count)
    scheduler.cache.hearer = {
      evicted: (hash) =>
        this.#tell({ type: 'BlockRemoved', block_hashes: [this.#hash(hash)], medium: 'GPU' }),
      cleared: () => this.#tell({ type: 'AllBlocksCleared' }),
    }
  }

  listen(hear: Hear): void {
    this.#hearers.push(hear)
  }

  /** The process begins anew: what it has not told yet is lost. */
  restart(): void {
    this.#events = []
    for (const hear of this.#hearers) hear(null)
  }

  /** vLLM tells of all new blocks of a sequence at once, SGLang of each page. */
  #stored(sequence: Sequence, first: number, count: number): void {
    const each = this.#isSglang ? 1 : count
    for (let from = first; from < first + count; from += each)
      this.#tell(this.#storedEvent(sequence, from, each))
  }

  #storedEvent(sequence: Sequence, first: number, count: number): KvEventFields {
    const { blockTokens } = this.#sim.limits
    const { prompt, output, session } = sequence.job
    const hashes = sequence.heldHashes
    const tokens = Array.from({ length: count * blockTokens }, (_, i) =>
      tokenAt(prompt, output, first * blockTokens + i),
    )
    return {
      type: 'BlockStored',
      block_hashes: hashes.slice(first, first + count).map((hash) => this.#hash(hash)),
      parent_block_hash: first === 0 ? null : this.#hash(hashes[first - 1] as number),
      token_ids: tokens,
      block_size: blockTokens,
      lora_id: null,
      medium: 'GPU',
      ...(!this.#isSglang && { lora_name: null, group_idx: 0, kv_cache_spec_kind: 'full_attention' }),
      ...(session && { session_id: session }),
    }
  }

  #tell(event: KvEventFields): void {
    const isVllm = !this.#isSglang && event['type'] === 'BlockRemoved'
    if (this.#events.push(isVllm ? { ...event, group_idx: 0 } : event) === 1)
      queueMicrotask(() => this.#flush())
  }

  #flush(): void {
    if (this.#events.length === 0) return
    const batch = encode([this.#sim.clock.now() / 1000, this.#events, this.#rank], { useBigInt64: true })
    this.#events = []
    for (const hear of this.#hearers) hear(batch)
  }

  #hash(hash: number): bigint {
    const wide = BigInt.asUintN(64, BigInt(hash) * SPREAD)
    return this.#isSglang ? BigInt.asIntN(64, wide) : wide
  }

  get #isSglang(): boolean {
    return this.#sim.options.engine === 'sglang'
  }
}

/** An engine's KV events for those who publish them. */
export interface KvOutput {
  /** Hears of the cache from now on: batches as vLLM or SGLang publish them, in MessagePack; null: the engine was restarted. */
  listen(hear: Hear, rank?: number): void
  /** The engine says, where it is asked, that the events of a rank are published there. */
  announce(source: KvSourceFacts, rank?: number): void
}

export const kvOutput = (sim: Simulation): KvOutput => ({
  listen(hear, rank = 0) {
    const feed = sim.kvFeeds.get(rank) ?? new KvFeed(sim, rank)
    sim.kvFeeds.set(rank, feed)
    feed.listen(hear)
  },
  announce(source, rank = 0) {
    sim.kvSources.set(rank, source)
  },
})

/** The name that a request gives to its call, for the events: vLLM takes a header or a field, SGLang the field. */
export function sessionOf({ sim, headers, bytes }: Exchange): string | null {
  const header = sim.options.engine === 'vllm' ? headers.get('x-session-id') : null
  try {
    const { session_id: named } = JSON.parse(new TextDecoder().decode(bytes)) as { session_id?: unknown }
    return typeof named === 'string' ? named : header
  } catch {
    // A form, or nothing.
    return header
  }
}

/** vLLM's GET /kv_event_sources. */
export const kvEventSources = ({ sim }: Exchange): Response =>
  json(
    Array.from(sim.kvSources, ([rank, { endpoint, replay, topic }]) => ({
      data_parallel_rank: rank,
      endpoint,
      replay_endpoint: replay,
      topic,
    })),
  )

/** `kv_events` of SGLang's /server_info: the ports of the first rank, from which all others count on. */
export function sglangKvEvents({ sim }: Exchange): KvEventFields | null {
  const first = sim.kvSources.get(0)
  if (!first) return null
  const { endpoint, replay, topic } = first
  const at = (text: string) => /^tcp:\/\/(.*):(\d+)$/.exec(text)
  const [, host = '*', port] = at(endpoint) ?? []
  const replayPort = replay === null ? undefined : at(replay)?.[2]
  const loadPort = sim.loadEndpoint === null ? undefined : at(sim.loadEndpoint)?.[2]
  return {
    publisher: 'zmq',
    endpoint_host: host,
    endpoint_port_base: Number(port),
    topic,
    block_size: sim.limits.blockTokens,
    dp_size: sim.scheduler.all.length,
    ...(replayPort !== undefined && { replay_endpoint_port_base: Number(replayPort) }),
    ...(loadPort !== undefined && { load_endpoint_port_base: Number(loadPort), load_topic: 'load' }),
  }
}
