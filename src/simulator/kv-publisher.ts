// Publishes a simulated engine's KV events on real sockets, as engines do: a PUB that listens, and a ROUTER for what was missed.
import { readSequence, sequenceBytes } from '../prefix/kv-sequence.ts'
import { endpointOf, parseEndpoint } from '../zmtp/address.ts'
import { Publisher, Router } from '../zmtp/binding.ts'
import type { Clock, Sockets } from '../zmtp/wire.ts'
import type { Engine } from './engine.ts'

export interface KvPublishing {
  /** `tcp://HOST:PORT`; port 0 takes a free one. */
  readonly endpoint: string
  /** Where missed batches can be asked for; none: nowhere. */
  readonly replay?: string
  readonly topic?: string
  /** Batches kept for that, as in the engines' default. */
  readonly buffer?: number
}

export interface KvPublished {
  /** With the ports that were taken. */
  readonly endpoint: string
  readonly replay: string | null
  /** The number of the next batch. */
  readonly next: number
  /** Subscribers that stand. */
  readonly peers: number
  /** Loses the next batch on its way. */
  loseNext(): void
  close(): void
}

const BUFFER = 10_000
const NOTHING = new Uint8Array(0)

/** Begins to publish, and lets the engine say where. Rejects when an address is taken. */
export async function publishKvEvents(
  engine: Engine,
  on: { sockets: Sockets; clock: Clock },
  publishing: KvPublishing,
): Promise<KvPublished> {
  const topic = publishing.topic ?? ''
  const topicBytes = new TextEncoder().encode(topic)
  const kept: (readonly [seq: number, batch: Uint8Array])[] = []
  let next = 0
  let losing = 0
  const address = parseEndpoint(publishing.endpoint)
  const publisher = await Publisher.bind({ ...on, address })
  const router = publishing.replay === undefined ? null : await bindReplay(publishing.replay)

  function bindReplay(replay: string): Promise<Router> {
    return Router.bind({ ...on, address: parseEndpoint(replay), onMessage: again })
  }

  /** An empty part and the number to begin at; answered with all from there on, and a last one with −1. */
  function again(from: string, parts: readonly Uint8Array[]): void {
    const start = readSequence(parts.at(-1))
    if (start === null) return
    for (const [seq, batch] of kept)
      if (seq >= start) router?.send(from, [NOTHING, topicBytes, sequenceBytes(seq), batch])
    router?.send(from, [NOTHING, NOTHING, sequenceBytes(-1), NOTHING])
  }

  engine.kvEvents((batch) => {
    if (batch === null) {
      next = 0
      kept.length = 0
      return
    }
    const seq = next++
    kept.push([seq, batch])
    if (kept.length > (publishing.buffer ?? BUFFER)) kept.shift()
    if (losing > 0) losing--
    else publisher.publish([topicBytes, sequenceBytes(seq), batch])
  })
  const endpoint = endpointOf({ ...address, port: publisher.port })
  const replay =
    router === null ? null : endpointOf({ ...parseEndpoint(publishing.replay as string), port: router.port })
  engine.announce({ endpoint, replay, topic })
  return {
    endpoint,
    replay,
    get next() {
      return next
    },
    get peers() {
      return publisher.peers
    },
    loseNext() {
      losing++
    },
    close() {
      publisher.close()
      router?.close()
    },
  }
}
