// LMDeploy's hand-over (DistServe): engines are introduced to each other, the prefill engine keeps a session's blocks, and the
// decode engine migrates them.
import type { Exchange } from './exchange.ts'
import { isFields, stringField, type Fields } from './fields.ts'
import { digestOf, takeFrom } from './kv-offers.ts'
import { NONE, promptsOf, taken, type Handover } from './handover.ts'
import { EngineRefusal } from './refusal.ts'

/** Reads `with_cache` (prefill) and `migration_request` (decode). */
export function readMigration(exchange: Exchange, body: Fields): Handover {
  const migration = body['migration_request']
  if (isFields(migration)) return migrating(exchange, migration)
  return body['with_cache'] === true ? keeping(exchange, body) : NONE
}

function migrating(exchange: Exchange, migration: Fields): Handover {
  const home = stringField(migration, 'remote_engine_id')
  const session = String(migration['remote_session_id'])
  if (migration['is_dummy_prefill'] === true) return taken(() => undefined)
  if (home === null || !Array.isArray(migration['remote_block_ids']))
    throw new EngineRefusal('internal', 'migration_request: Field required')
  if (!exchange.sim.links.has(home))
    throw new EngineRefusal('internal', `Engine ${home} is not connected: call p2p_connect first.`)
  return taken((parts) => takeFrom(exchange, home, session, promptsOf(parts)))
}

function keeping(exchange: Exchange, body: Fields): Handover {
  const { sim } = exchange
  const session = String(sim.nextSession())
  const offer = sim.offers.open(session)
  return {
    ...NONE,
    id: session,
    give(parts) {
      offer.digests = promptsOf(parts).map(digestOf)
      // Blocks that nobody asked to preserve are gone when the answer is.
      if (body['preserve_cache'] !== true) offer.end('freed')
      else if (offer.state === 'computing') offer.state = 'ready'
    },
    reply: (parts) => ({
      cache_block_ids: Array.from(
        { length: Math.ceil((parts[0]?.prompt.tokens.length ?? 0) / sim.limits.blockTokens) },
        (_, i) => i,
      ),
      remote_token_ids: [...(parts[0]?.plan.tokens ?? [])],
    }),
  }
}
