// vLLM's hand-over: the prefill engine answers with transfer parameters (NIXL, Mooncake) or keeps the KV under the request's id
// (P2P/NCCL), and the decode engine fetches it.
import type { Exchange } from './exchange.ts'
import { isFields, stringField, type Fields } from './fields.ts'
import type { Part } from './generation.ts'
import { digestOf, takeFrom } from './kv-offers.ts'
import { NONE, promptsOf, taken, type Handover } from './handover.ts'
import { EngineRefusal } from './refusal.ts'

/** Request ids that carry both addresses, as the P2P connector reads them. */
const PAIR = /^___prefill_addr_(.+?)___decode_addr_(.+?)_[0-9a-f-]{32,36}$/

/** Reads `kv_transfer_params`, or the request's id with the P2P connector. Without either, all is computed here. */
export function readTransfer(exchange: Exchange, body: Fields): Handover {
  const { connector = 'nixl' } = exchange.sim.options
  if (connector === 'p2p') return readPair(exchange)
  const params = body['kv_transfer_params']
  if (!isFields(params)) return NONE
  const transfer = stringField(params, 'transfer_id')
  if (params['do_remote_decode'] === true) return offering(exchange, transfer)
  if (params['do_remote_prefill'] !== true) return NONE
  return transfer === null ? pulling(exchange, params) : fetching(exchange, params, transfer)
}

const died = () =>
  new EngineRefusal(
    'internal',
    'EngineCore encountered an issue. See stack trace (above) for the root cause.',
  )

/** NIXL: the parameters name engine, request and blocks. */
function pulling(exchange: Exchange, params: Fields): Handover {
  const { blockTokens } = exchange.sim.limits
  const given = blockCount(params['remote_block_ids'])
  const host = stringField(params, 'remote_host')
  const request = stringField(params, 'remote_request_id')
  if (given === null || host === null || request === null || stringField(params, 'remote_engine_id') === null)
    throw died()
  const home = `http://${host}:${String(params['remote_port'])}`
  return taken((parts) => {
    const prompts = promptsOf(parts)
    // A real decode engine's process ends here: the KV does not fit the blocks.
    const needed = prompts.reduce((sum, { tokens }) => sum + Math.ceil(tokens.length / blockTokens), 0)
    if (needed > given) throw died()
    return takeFrom(exchange, home, request, prompts)
  })
}

/** Mooncake: the parameters name the transfer and the prefill engine's bootstrap server. */
function fetching(exchange: Exchange, params: Fields, transfer: string): Handover {
  const home = stringField(params, 'remote_bootstrap_addr')
  if (home === null || stringField(params, 'remote_engine_id') === null) throw died()
  return taken((parts) => takeFrom(exchange, home.replace(/\/$/, ''), transfer, promptsOf(parts)))
}

/** The prefill engine's side of NIXL and Mooncake: keeps the KV and answers at once. */
function offering(exchange: Exchange, transfer: string | null): Handover {
  const { sim } = exchange
  const key = transfer ?? `cmpl-${sim.hex()}-0-${sim.hex(8)}`
  const offer = sim.offers.open(key)
  return {
    ...NONE,
    give(parts) {
      offer.digests = promptsOf(parts).map(digestOf)
      if (offer.state === 'computing') offer.state = 'ready'
    },
    reply: (parts) =>
      transfer === null
        ? { kv_transfer_params: parameters(exchange, key, parts) }
        : { kv_transfer_params: null },
  }
}

/** What the prefill engine tells the decode engine. */
function parameters({ sim, url }: Exchange, key: string, parts: readonly Part[]): Record<string, unknown> {
  const prompts = promptsOf(parts)
  const count = prompts.reduce(
    (sum, { tokens }) => sum + Math.ceil(tokens.length / sim.limits.blockTokens),
    0,
  )
  return {
    do_remote_prefill: true,
    do_remote_decode: false,
    remote_block_ids: [Array.from({ length: count }, (_, i) => i + 1)],
    remote_engine_id: sim.engineId,
    remote_request_id: key,
    remote_host: url.hostname,
    remote_port: Number(url.port || 80),
    tp_size: 1,
    dcp_size: 1,
    pp_size: 1,
    remote_num_tokens: prompts.reduce((sum, { tokens }) => sum + tokens.length, 0),
    remote_blocks_expiry_time: null,
    transfer_mode: 'pull',
    remote_prefill_cached_tokens: 0,
  }
}

/** Blocks in `[[1, 2, …]]` (a list for each cache group) or in a flat list. */
function blockCount(value: unknown): number | null {
  if (!Array.isArray(value)) return null
  return Array.isArray(value[0]) ? value[0].length : value.length
}

/** P2P/NCCL: both calls have one id, which names both engines. */
function readPair(exchange: Exchange): Handover {
  const { sim } = exchange
  const id = exchange.headers.get('x-request-id') ?? ''
  const pair = PAIR.exec(id)
  if (!pair) return NONE
  if (sim.options.role === 'decode')
    return taken((parts) => takeFrom(exchange, `http://${pair[1]}`, id, promptsOf(parts)))
  const offer = sim.offers.open(id)
  return {
    ...NONE,
    give(parts) {
      offer.digests = promptsOf(parts).map(digestOf)
      if (offer.state === 'computing') offer.state = 'ready'
    },
  }
}
