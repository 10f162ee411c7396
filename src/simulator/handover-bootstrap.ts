// SGLang's hand-over: both engines get the call at once and meet in a room of the prefill engine's bootstrap server.
import type { Exchange } from './exchange.ts'
import type { Fields } from './fields.ts'
import { digestOf, HANDOVER_TIMEOUT, takeFrom } from './kv-offers.ts'
import { NONE, promptsOf, taken, type Handover } from './handover.ts'
import { EngineRefusal } from './refusal.ts'

/** Where SGLang's bootstrap server listens unless told otherwise. */
export const BOOTSTRAP_PORT = 8998

/** Reads `bootstrap_host`, `bootstrap_port` and `bootstrap_room`; lists where the call is a batch. Refuses a call without a room. */
export function readBootstrap(exchange: Exchange, body: Fields): Handover {
  const key = roomOf(exchange, body)
  if (key === null)
    throw new EngineRefusal('bad_request', 'Disaggregated request received without bootstrap room id.')
  const home = homeOf(body)
  return exchange.sim.options.role === 'prefill'
    ? giving(exchange, key)
    : taken((parts) => takeFrom(exchange, home, key, promptsOf(parts)))
}

/** The prefill engine answers when the decode engine has the KV, or when it waited too long for it. */
function giving({ sim, signal }: Exchange, key: string): Handover {
  const offer = sim.offers.open(key)
  const leave = () => offer.end('aborted')
  // It may have left while its call was read.
  if (signal.aborted) leave()
  else signal.addEventListener('abort', leave, { once: true })
  return {
    ...NONE,
    cap: 1,
    async give(parts) {
      offer.digests = promptsOf(parts).map(digestOf)
      if (offer.state === 'computing') offer.state = 'ready'
      const { handoverTimeout = HANDOVER_TIMEOUT } = sim.options
      void sim.clock.sleep(handoverTimeout, signal).then(
        () => offer.end('expired'),
        () => undefined,
      )
      const state = await offer.ended
      signal.removeEventListener('abort', leave)
      signal.throwIfAborted()
      if (state !== 'taken')
        throw new EngineRefusal('internal', `KVTransferError(bootstrap_room=${key}): ${state}`)
    },
  }
}

/**
 * The room as it was written: a number of 63 bits is more than JSON.parse can tell. A batch has a room for each prompt; they go
 * together here. Null when there is none.
 */
function roomOf({ bytes }: Exchange, body: Fields): string | null {
  const room = body['bootstrap_room']
  if (room === undefined || room === null) return null
  const written = new TextDecoder().decode(bytes)
  const found = [...written.matchAll(/"bootstrap_room"\s*:\s*(\[[\s\d,]*\]|\d+)/g)].at(-1)?.[1]
  return found?.replace(/[[\]\s]/g, '') ?? JSON.stringify(room)
}

function homeOf(body: Fields): string {
  const host: unknown = first(body['bootstrap_host'])
  const port: unknown = first(body['bootstrap_port'])
  return `http://${String(host)}:${typeof port === 'number' ? port : BOOTSTRAP_PORT}`
}

const first = (value: unknown): unknown => (Array.isArray(value) ? value[0] : value)
