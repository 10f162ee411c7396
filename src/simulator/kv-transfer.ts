// Hand-overs of KV between a prefill and a decode engine, in the words of each engine. Only the KV itself is simulated: it is
// the hash of the prompt that it was made from, and a decode engine without the right one refuses.
import type { Exchange } from './exchange.ts'
import { stringField, type Fields } from './fields.ts'
import { readBootstrap } from './handover-bootstrap.ts'
import { readMigration } from './handover-migration.ts'
import { readTransfer } from './handover-transfer.ts'
import { NONE, type Handover } from './handover.ts'
import { readText } from './text.ts'

/** Reads the hand-over fields of a call; an engine without a role has no connector and ignores them. */
export function readHandover(exchange: Exchange, body: Fields): Handover {
  const { engine, role = 'mixed' } = exchange.sim.options
  if (engine === 'lmdeploy') return readMigration(exchange, body)
  if (role === 'mixed') return NONE
  return engine === 'vllm' ? readTransfer(exchange, body) : readBootstrap(exchange, body)
}

/** The root of a call's block hashes: adapters and salts share no blocks. */
export function cacheRoot(exchange: Exchange, body: Fields): number {
  const model = stringField(body, 'model') ?? ''
  const adapter = exchange.sim.adapters.has(model) ? model : (stringField(body, 'lora_path') ?? '')
  const salt = stringField(body, 'cache_salt') ?? ''
  return adapter + salt === '' ? 0 : readText(`${adapter}\n${salt}`).hash >>> 0
}
