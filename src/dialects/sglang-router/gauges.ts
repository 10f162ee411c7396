// The SGLang router's gauges, and its counters of what pools and sources of discovery count.
import type { PoolView } from '../../actors/pool-view.ts'
import type { SourceStatus } from '../../discovery/source.ts'
import type { Flights } from '../gateway/flights.ts'
import type { Runs } from '../gateway/runs.ts'
import type { Tally } from '../gateway/tally.ts'
import { Totals } from '../gateway/totals.ts'

export const STATES = { closed: 0, open: 1, half_open: 2 } as const
const ROLES: Readonly<Record<string, string>> = { prefill: 'prefill', decode: 'decode' }
const WORKERS = ['requests_active', 'health', 'cb_state', 'pool_size', 'cb_consecutive_failures']
const CLEARED = [...WORKERS, 'cb_consecutive_successes', 'routing_keys_active', 'connections_active']
/** From one state of a breaker to another, by what the pool calls it. */
export const MOVES = [
  ['closed_open', 'closed', 'open'],
  ['open_half_open', 'open', 'half_open'],
  ['half_open_open', 'half_open', 'open'],
  ['half_open_closed', 'half_open', 'closed'],
] as const
/** Bounds of the ages of calls under way, seconds. */
const AGES = [0, 30, 60, 180, 300, 600, 1200, 3600, 7200, 14400, 28800, 86400, Infinity]

export class Workers {
  readonly #totals = new Totals()

  /** All workers as they are now; `model`: the one that they serve. */
  show(tally: Tally, view: PoolView, { runs, model }: { readonly runs: Runs; readonly model: string }): void {
    for (const name of CLEARED) tally.clear(`smg_worker_${name}`)
    const counts = new Map<string, { size: number; active: number }>()
    for (const { id, url: worker, role, state, breaker, in_flight, ...seat } of view.workers) {
      tally.set('smg_worker_requests_active', { worker }, in_flight)
      tally.set('smg_worker_health', { worker }, state === 'up' || state === 'busy' ? 1 : 0)
      tally.set('smg_worker_cb_state', { worker }, STATES[breaker])
      for (const [move, from, to] of MOVES) {
        const count = seat.breaker_moves[move]
        if (count > 0) tally.count('smg_worker_cb_transitions_total', { worker, from, to }, count)
      }
      const worker_type = ROLES[role] ?? 'regular'
      const known = counts.get(worker_type) ?? { size: 0, active: 0 }
      counts.set(worker_type, { size: known.size + 1, active: known.active + in_flight })
      for (const [result, count] of [
        ['success', seat.probes.good],
        ['failure', seat.probes.bad],
      ] as const) {
        const total = this.#totals.add(`${worker_type} ${result}`, id, count)
        if (total > 0) tally.count('smg_worker_health_checks_total', { worker_type, result }, total)
      }
    }
    for (const [worker, { failures, successes }] of runs.of(view)) {
      tally.set('smg_worker_cb_consecutive_failures', { worker }, failures)
      tally.set('smg_worker_cb_consecutive_successes', { worker }, successes)
    }
    for (const [worker_type, { size, active }] of counts) {
      tally.set('smg_worker_pool_size', { worker_type, connection_mode: 'http', model }, size)
      tally.set('smg_worker_connections_active', { worker_type, connection_mode: 'http' }, active)
    }
  }
}

/** How many calls under way are how old. */
export function showAges(tally: Tally, flights: Flights, now: number): void {
  for (let i = 1; i < AGES.length; i++) {
    const [above, upTo] = [AGES[i - 1] as number, AGES[i] as number]
    const labels = { gt: String(above), le: upTo === Infinity ? '+Inf' : String(upTo) }
    tally.setOwn('smg_http_inflight_request_age_count', labels, flights.aged(now, above, upTo))
  }
}

/** Who came and went by discovery. */
export function showSources(tally: Tally, sources: readonly SourceStatus[]): void {
  for (const { name: source, workers, counts } of sources) {
    tally.set('smg_discovery_workers_discovered', { source }, workers)
    tally.count('smg_discovery_registrations_total', { source, result: 'success' }, counts['came'] ?? 0)
    tally.count('smg_discovery_deregistrations_total', { source, reason: 'pod_deleted' }, counts['went'] ?? 0)
  }
}
