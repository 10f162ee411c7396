// How a pool is joined to those beside it: the shards of its own, or the pools of other routers.
import type { Config } from '../config/schema.ts'
import type { ActorState } from './actor.ts'
import { Exchange, type ExchangeSeams } from './exchange.ts'
import type { Knowledge } from './knowledge.ts'
import { isLookedAfterBy, shardsBeside } from './shards.ts'
import type { Seat } from './seat.ts'

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
  const { name, neighbours = shardsBeside(name, poolShards, state.pool) } = state
  const isShards = isOwn(config, state)
  return new Exchange({
    ...seams,
    state,
    neighbours,
    isOwn: (seat) => poolShards > 1 && isShards(seat),
    placed: ({ worker, prefix }) => seams.knowledge.view.hold(worker, prefix, state.now()),
  })
}
