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
  /** Of the engine's data-parallel ranks. Default: the first. */
  readonly rank?: number
  /** Batches kept for that, as in the engines' default. */
  readonly buffer?: number
}

const BUFFER = 10_000
const NOTHING = new Uint8Array(0)

export class KvPublisher {
  readonly #publishing: KvPublishing
  readonly #topic: Uint8Array
  readonly #kept: { readonly seq: number; readonly batch: Uint8Array }[] = []
  #publisher: Publisher | null = null
  #router: Router | null = null
  #losing = 0
  /** The number of the next batch. */
  next = 0

  private constructor(publishing: KvPublishing) {
    this.#publishing = publishing
    this.#topic = new TextEncoder().encode(publishing.topic ?? '')
  }

  /** Begins to publish, and lets the engine say where. Rejects when an address is taken. */
  static async bind(
    engine: Engine,
    on: { sockets: Sockets; clock: Clock },
    publishing: KvPublishing,
  ): Promise<KvPublisher> {
    const own = new KvPublisher(publishing)
    const { endpoint, replay, topic = '' } = publishing
    own.#publisher = await Publisher.bind({ ...on, address: parseEndpoint(endpoint) })
    if (replay !== undefined) {
      const onMessage = (from: string, parts: readonly Uint8Array[]) => own.#again(from, parts)
      own.#router = await Router.bind({ ...on, address: parseEndpoint(replay), onMessage })
    }
    engine.kv.listen((batch) => own.#take(batch), publishing.rank)
    engine.kv.announce({ endpoint: own.endpoint, replay: own.replay, topic }, publishing.rank)
    return own
  }

  /** With the port that was taken. */
  get endpoint(): string {
    return endpointOf({ ...parseEndpoint(this.#publishing.endpoint), port: this.#publisher?.port ?? 0 })
  }

  get replay(): string | null {
    const { replay } = this.#publishing
    return replay === undefined
      ? null
      : endpointOf({ ...parseEndpoint(replay), port: this.#router?.port ?? 0 })
  }

  /** Subscribers that stand. */
  get peers(): number {
    return this.#publisher?.peers ?? 0
  }

  /** Whether anybody would get the next batch. */
  get isHeard(): boolean {
    return this.#publisher?.hasHearers(this.#publishing.topic) ?? false
  }

  /** Loses the next batch on its way. */
  loseNext(): void {
    this.#losing++
  }

  close(): void {
    this.#publisher?.close()
    this.#router?.close()
  }

  /** A process that begins anew counts from 0, remembers nothing, and has no connections. */
  #take(batch: Uint8Array | null): void {
    if (batch === null) {
      this.next = 0
      this.#kept.length = 0
      this.#publisher?.hangUp()
      this.#router?.hangUp()
      return
    }
    const seq = this.next++
    this.#kept.push({ seq, batch })
    if (this.#kept.length > (this.#publishing.buffer ?? BUFFER)) this.#kept.shift()
    if (this.#losing > 0) this.#losing--
    else this.#publisher?.publish([this.#topic, sequenceBytes(seq), batch])
  }

  /** An empty part and the number to begin at; answered with all from there on, and a last one with −1. */
  #again(from: string, parts: readonly Uint8Array[]): void {
    const start = readSequence(parts.at(-1))
    if (start === null) return
    for (const { seq, batch } of this.#kept)
      if (seq >= start) this.#router?.send(from, [NOTHING, this.#topic, sequenceBytes(seq), batch])
    this.#router?.send(from, [NOTHING, NOTHING, sequenceBytes(-1), NOTHING])
  }
}
