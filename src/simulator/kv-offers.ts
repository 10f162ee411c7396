// The KV that a prefill engine keeps until a decode engine takes it: what was computed, for whom it waits, and what became of it.
import { json, readBody, type Exchange, type Handler } from './exchange.ts'
import { listField } from './fields.ts'
import { EngineRefusal } from './refusal.ts'
import { readText } from './text.ts'
import type { Prompt } from './plan.ts'

/** `received` and `refused` are told by the decode engine, all others by the prefill engine. */
export type KvState =
  | 'computing'
  | 'ready'
  | 'taken'
  | 'aborted'
  | 'expired'
  | 'freed'
  | 'received'
  | 'refused'

/** A hand-over as an engine saw it. */
export interface SeenHandover {
  /** Room, request or session that it goes by. */
  readonly key: string
  readonly state: KvState
}

export interface KvOffer {
  readonly key: string
  state: KvState
  /** Stand for the KV: one for each prompt of the call. */
  digests: readonly string[]
  /** Resolves when it was taken, aborted, freed or expired. */
  readonly ended: Promise<KvState>
  end(state: KvState): void
}

/** Hand-overs remembered at most. */
const KEPT = 10_000

export class KvOffers {
  readonly #offers = new Map<string, KvOffer>()
  readonly #received = new Map<string, KvState>()

  /** A call whose KV is being computed. The same key again is another hand-over. */
  open(key: string): KvOffer {
    const { promise, resolve } = Promise.withResolvers<KvState>()
    const offer: KvOffer = {
      key,
      state: 'computing',
      digests: [],
      ended: promise,
      end(state) {
        if (offer.state !== 'computing' && offer.state !== 'ready') return
        offer.state = state
        resolve(state)
      },
    }
    keep(this.#offers, key, offer)
    return offer
  }

  get(key: string): KvOffer | undefined {
    return this.#offers.get(key)
  }

  /** Notes what came of a hand-over on the side of the taker. */
  received(key: string, state: 'received' | 'refused'): void {
    keep(this.#received, key, state)
  }

  seen(): SeenHandover[] {
    const given = [...this.#offers.values()].map(({ key, state }) => ({ key, state }))
    return [...given, ...[...this.#received].map(([key, state]) => ({ key, state }))]
  }

  /** The process has died, and its KV with it. */
  clear(): void {
    for (const offer of this.#offers.values()) offer.end('aborted')
    this.#offers.clear()
    this.#received.clear()
  }
}

function keep<T>(map: Map<string, T>, key: string, value: T): void {
  map.delete(key)
  map.set(key, value)
  const [oldest] = map.keys()
  if (map.size > KEPT && oldest !== undefined) map.delete(oldest)
}

/** What stands for the KV of a prompt. */
export const digestOf = (prompt: Prompt): string =>
  (readText(prompt.text).hash >>> 0).toString(16).padStart(8, '0')

/** POST /sim/kv/KEY `{"digests": […]}`: how simulated engines move KV. 200 taken, 425 not yet, 404 unknown, 409 other prompts, 410 gone. */
export const takeKv: Handler = (exchange) => {
  const { sim, params } = exchange
  const offer = sim.offers.get(decodeURIComponent(params['key'] ?? ''))
  if (!offer) return json({ error: 'unknown' }, 404)
  if (offer.state === 'computing') return json({ error: 'not computed yet' }, 425)
  if (offer.state !== 'ready') return json({ error: offer.state }, 410)
  const asked = listField(readBody(exchange), 'digests')
  if (asked.join() !== offer.digests.join()) return json({ error: 'this is the KV of other prompts' }, 409)
  offer.end('taken')
  return json({ taken: true })
}

/** Milliseconds between two looks at an engine that is not ready. */
const LOOK_AGAIN = 10

/**
 * Fetches the KV of prompts from where a hand-over says that it is; refuses when it is another's, gone, or does not come in time.
 * @param home `http://host:port` of the engine that computed it
 */
export async function takeFrom(
  exchange: Exchange,
  home: string,
  key: string,
  prompts: readonly Prompt[],
): Promise<void> {
  const { sim, signal } = exchange
  const { fetch = globalThis.fetch, handoverTimeout = HANDOVER_TIMEOUT } = sim.options
  const deadline = sim.clock.now() + handoverTimeout
  const body = JSON.stringify({ digests: prompts.map(digestOf) })
  const headers = { 'content-type': 'application/json' }
  const url = `${home}/sim/kv/${encodeURIComponent(key)}`
  let problem = 'nobody answers there'
  while (sim.clock.now() < deadline) {
    const response = await fetch(url, { method: 'POST', headers, body, signal }).catch(() => null)
    await response?.body?.cancel()
    if (response?.status === 200) return sim.offers.received(key, 'received')
    if (response) problem = PROBLEMS[response.status] ?? `status ${response.status}`
    if (response?.status === 409 || response?.status === 410) break
    await sim.clock.sleep(LOOK_AGAIN, signal)
  }
  sim.offers.received(key, 'refused')
  throw new EngineRefusal('internal', `KVTransferError(${key}): ${problem}`)
}

/** Real engines wait for minutes. */
export const HANDOVER_TIMEOUT = 10_000

const PROBLEMS: Readonly<Record<number, string>> = {
  404: 'the prefill engine knows nothing of it',
  409: 'it is the KV of another prompt',
  410: 'the prefill engine gave it up',
  425: 'it was not computed in time',
}
