// Hand-overs of KV between a prefill and a decode engine: vLLM's transfer parameters, SGLang's bootstrap fields,
// LMDeploy's migration requests. Only the words are simulated; the KV itself is the hash of the prompt it was made from.
import type { Exchange } from './exchange.ts'
import { isFields, stringField, type Fields } from './fields.ts'
import type { Part } from './generation.ts'
import type { Prompt } from './plan.ts'
import { EngineRefusal } from './refusal.ts'
import { readText } from './text.ts'

/** What a call hands over or takes over. */
export interface Handover {
  /** The reply's id where the hand-over needs one of its own. */
  readonly id: string | null
  /** Tokens that this engine makes at most: a prefill engine makes one. */
  readonly cap: number
  /** The prompt as the model sees it: with the KV of another prompt, something else than was asked. */
  accept(prompt: Prompt): Prompt
  /** Prompt tokens that need not be computed. */
  transferred(prompt: Prompt): number
  /** Fields for the top level of the reply. */
  reply(parts: readonly Part[]): Record<string, unknown>
}

const NONE: Handover = {
  id: null,
  cap: Infinity,
  accept: (prompt) => prompt,
  transferred: () => 0,
  reply: () => ({}),
}

const TAKEN: Handover = { ...NONE, transferred: (prompt) => prompt.tokens.length }

/** Reads the hand-over fields of a call; an engine without a role has no connector and ignores them. */
export function readHandover(exchange: Exchange, body: Fields): Handover {
  const { engine, role = 'mixed' } = exchange.sim.options
  if (engine === 'lmdeploy') return readMigration(exchange, body)
  if (role === 'mixed') return NONE
  return engine === 'vllm' ? readTransfer(exchange, body) : readBootstrap(exchange, body)
}

const digestOf = (prompt: Prompt): string => (readText(prompt.text).hash >>> 0).toString(16).padStart(8, '0')

function readTransfer(exchange: Exchange, body: Fields): Handover {
  const params = body['kv_transfer_params']
  if (!isFields(params)) return NONE
  if (params['do_remote_decode'] === true) return { ...NONE, reply: (parts) => offer(exchange, parts) }
  if (params['do_remote_prefill'] !== true) return NONE
  const { blockTokens } = exchange.sim.limits
  const given = blockCount(params['remote_block_ids'])
  if (given === null || stringField(params, 'remote_engine_id') === null || !('remote_port' in params)) {
    throw new EngineRefusal(
      'internal',
      'EngineCore encountered an issue. See stack trace (above) for the root cause.',
    )
  }
  return {
    ...TAKEN,
    accept(prompt) {
      // A real decode engine's process ends here: the KV does not fit the blocks.
      if (Math.ceil(prompt.tokens.length / blockTokens) > given) {
        throw new EngineRefusal(
          'internal',
          'EngineCore encountered an issue. See stack trace (above) for the root cause.',
        )
      }
      const digest = stringField(params, 'remote_prompt_digest')
      // Foreign KV is used without a word, as in the real engine: only the text shows it.
      return digest === digestOf(prompt)
        ? prompt
        : { ...prompt, text: `${digest ?? 'unknown'}\n${prompt.text}` }
    },
  }
}

/** What the prefill engine tells the decode engine. `remote_prompt_digest` is ours: it stands for the KV. */
function offer(exchange: Exchange, parts: readonly Part[]): Record<string, unknown> {
  const { sim } = exchange
  const prompt = parts[0]?.prompt
  if (!prompt) return {}
  const blocks = Math.ceil(prompt.tokens.length / sim.limits.blockTokens)
  return {
    kv_transfer_params: {
      do_remote_prefill: true,
      do_remote_decode: false,
      remote_block_ids: [Array.from({ length: blocks }, (_, i) => i + 1)],
      remote_engine_id: sim.engineId,
      remote_request_id: `cmpl-${sim.hex()}-0-${sim.hex(8)}`,
      remote_host: '127.0.0.1',
      remote_port: 5600,
      tp_size: 1,
      dcp_size: 1,
      pp_size: 1,
      remote_num_tokens: prompt.tokens.length,
      remote_blocks_expiry_time: null,
      transfer_mode: 'pull',
      remote_prefill_cached_tokens: 0,
      remote_prompt_digest: digestOf(prompt),
    },
  }
}

/** Blocks in `[[1, 2, …]]` (a list for each cache group) or in a flat list. */
function blockCount(value: unknown): number | null {
  if (!Array.isArray(value)) return null
  return Array.isArray(value[0]) ? value[0].length : value.length
}

function readBootstrap(exchange: Exchange, body: Fields): Handover {
  const room = body['bootstrap_room']
  if (room === undefined || room === null) {
    throw new EngineRefusal('bad_request', 'Disaggregated request received without bootstrap room id.')
  }
  return exchange.sim.options.role === 'prefill' ? { ...NONE, cap: 1 } : TAKEN
}

function readMigration(exchange: Exchange, body: Fields): Handover {
  if (isFields(body['migration_request'])) return TAKEN
  if (body['with_cache'] !== true) return NONE
  const { sim } = exchange
  return {
    ...NONE,
    id: String(sim.nextSession()),
    reply: (parts) => ({
      cache_block_ids: Array.from(
        { length: Math.ceil((parts[0]?.prompt.tokens.length ?? 0) / sim.limits.blockTokens) },
        (_, i) => i,
      ),
      remote_token_ids: [...(parts[0]?.plan.tokens ?? [])],
    }),
  }
}

/** The root of a call's block hashes: adapters and salts share no blocks. */
export function cacheRoot(exchange: Exchange, body: Fields): number {
  const model = stringField(body, 'model') ?? ''
  const adapter = exchange.sim.adapters.has(model) ? model : (stringField(body, 'lora_path') ?? '')
  const salt = stringField(body, 'cache_salt') ?? ''
  return adapter + salt === '' ? 0 : readText(`${adapter}\n${salt}`).hash >>> 0
}
