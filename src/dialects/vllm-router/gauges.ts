// The vLLM router's gauges, and its counters of what pools and sources of discovery count.
import type { PoolView } from '../../actors/pool-view.ts'
import type { SourceStatus } from '../../discovery/source.ts'
import type { Tally } from '../gateway/tally.ts'
import { MOVES, STATES } from '../sglang-router/gauges.ts'

const GAUGES = ['cb_state', 'worker_health', 'worker_load', 'running_requests', 'tree_size']
const OF_PAIRS = [
  'prefill_occupancy',
  'active_prefill_tokens',
  'unknown_prefill_requests',
  'pending_decode_requests',
  'active_decode_requests',
]
const name = (rest: string): string => `vllm_router_${rest}`

/** All workers as they are now. */
export function showWorkers(tally: Tally, { workers }: PoolView): void {
  for (const gauge of GAUGES) tally.clear(name(gauge))
  const loads = workers.map(({ in_flight }) => in_flight)
  const isUp = (state: string) => state === 'up' || state === 'busy'
  for (const { url: worker, state, breaker, in_flight, ...seat } of workers) {
    tally.set(name('cb_state'), { worker }, STATES[breaker])
    tally.set(name('worker_health'), { worker }, isUp(state) ? 1 : 0)
    tally.set(name('worker_load'), { worker }, in_flight)
    tally.set(name('running_requests'), { worker }, in_flight)
    tally.set(name('tree_size'), { worker }, seat.index_tokens)
    for (const [move, from, to] of MOVES) {
      const count = seat.breaker_moves[move]
      if (count > 0) tally.count(name('cb_state_transitions_total'), { worker, from, to }, count)
    }
  }
  tally.set(name('active_workers'), {}, workers.filter(({ state }) => isUp(state)).length)
  tally.set(name('max_load'), {}, Math.max(0, ...loads))
  tally.set(name('min_load'), {}, loads.length > 0 ? Math.min(...loads) : 0)
}

/** What prefill and decode workers are at; ranks are not told apart. */
export function showPairs(tally: Tally, { workers }: PoolView): void {
  for (const gauge of OF_PAIRS) tally.clear(name(`pd_${gauge}`))
  for (const { url: worker, role, in_flight, backlog_tokens } of workers) {
    const labels = { worker, rank: 'aggregate' }
    if (role === 'prefill') {
      tally.set(name('pd_prefill_occupancy'), labels, in_flight)
      tally.set(name('pd_active_prefill_tokens'), labels, backlog_tokens)
      // Each prompt has a length here, if only a guessed one.
      tally.set(name('pd_unknown_prefill_requests'), labels, 0)
    } else if (role === 'decode') {
      tally.set(name('pd_pending_decode_requests'), labels, 0)
      tally.set(name('pd_active_decode_requests'), labels, in_flight)
    }
  }
}

/** Who came and went by discovery. */
export function showSources(tally: Tally, sources: readonly SourceStatus[]): void {
  if (sources.length === 0) return
  const sum = (count: string) => sources.reduce((total, { counts }) => total + (counts[count] ?? 0), 0)
  const [came, went] = [sum('came'), sum('went')]
  tally.count(name('discovery_updates_total'), {}, came + went)
  tally.set(name('discovery_workers_added'), {}, came)
  tally.set(name('discovery_workers_removed'), {}, went)
}
