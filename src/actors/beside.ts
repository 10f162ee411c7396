// How a pool is joined to those beside it: the shards of its own, or the pools of other routers.
import { opaqueId } from '../hash.ts'
import type { Config } from '../config/schema.ts'
import type { ActorState } from './actor.ts'
import { Exchange, type ExchangeSeams } from './exchange.ts'
import type { Knowledge } from './knowledge.ts'
import { isLookedAfterBy, shardsBeside } from './shards.ts'
import type { Seat } from './seat.ts'

/** Routers tell each other that often, ms: unsynced they lose twice the time to first token, at 10 ms nothing. */
const ROUTERS_GAP = 10
/** And shards of one pool: each call between Durable Objects costs as much as a decision. */
const SHARDS_GAP = 25

export interface BesideSeams extends Pick<
  ExchangeSeams,
  'roster' | 'ledger' | 'suspect' | 'reported' | 'changed' | 'eased'
> {
  readonly knowledge: Pick<Knowledge, 'view'>
}

/** Of several shards one looks after each worker; routers each look after all. */
export const isOwn =
  ({ poolShards }: Config, { name }: ActorState) =>
  ({ url }: Seat): boolean =>
    isLookedAfterBy(name, poolShards, url)

/** The exchange of one pool. */
export function exchangeOf(config: Config, state: ActorState, seams: BesideSeams): Exchange {
  const { poolShards } = config
  const isOneOfMany = poolShards > 1
  const neighbours =
    state.neighbours ??
    (isOneOfMany ? shardsBeside(state.name, poolShards, state.pool) : (state.peers?.(config) ?? []))
  // Pools of other routers have the same name.
  const name = config.peers.length > 0 ? opaqueId('p', String(state.random())) : state.name
  const isShards = isOwn(config, state)
  return new Exchange({
    ...seams,
    name,
    state,
    neighbours,
    gap: isOneOfMany ? SHARDS_GAP : ROUTERS_GAP,
    isOwn: (seat) => isOneOfMany && isShards(seat),
    placed: ({ worker, prefix }) => seams.knowledge.view.hold(worker, prefix, state.now()),
  })
}
