// A pool as people and /metrics see it.
import type { Knowledge } from './knowledge.ts'
import type { Ledger } from './ledger.ts'
import type { Roster } from './roster.ts'
import { viewOfSeat, type SeatView } from './seat.ts'
import type { ShadowView } from './shadow.ts'

export interface PoolView {
  readonly workers: readonly SeatView[]
  readonly in_flight: number
  readonly queued: number
  readonly leases: number
  readonly service_ms: number
  /** What is known of the workers' KV caches, and the most that it may take. */
  readonly index_bytes: number
  readonly index_limit_bytes: number
  /** Null: no shadow policy decides. */
  readonly shadow: ShadowView | null
}

/** A pool as people and `/metrics` see it at that time. */
export function viewOfPool(
  { seats }: Roster,
  { leases, serviceTime }: Ledger,
  { view, sense }: Knowledge,
  { queued, shadow, now }: Pick<PoolView, 'queued' | 'shadow'> & { readonly now: number },
): PoolView {
  return {
    workers: [...seats.values()].map((seat) => viewOfSeat(seat, sense.treeTokens(seat.id), now)),
    in_flight: leases.size,
    queued,
    leases: leases.size,
    service_ms: Math.round(serviceTime),
    index_bytes: view.bytes,
    index_limit_bytes: view.limit,
    shadow,
  }
}
