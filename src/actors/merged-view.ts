// One view of a pool out of the views of its shards.
import type { PoolView } from './pool-view.ts'
import type { SeatView } from './seat.ts'
import { mergeShadows } from './merged-shadow.ts'

/** From good to bad: a worker is in the worst state that any shard sees it in. */
const STATES: readonly SeatView['state'][] = ['up', 'busy', 'suspect', 'down', 'draining']
const BREAKERS: readonly SeatView['breaker'][] = ['closed', 'half_open', 'open']
/** As many times of answers as one pool keeps. */
const RECENT = 15

/** What shards count is added up; what each believes of a worker is the mean, or the worst. */
export function mergeViews(views: readonly PoolView[]): PoolView {
  const [first] = views as readonly [PoolView]
  const seats = new Map<string, SeatView[]>()
  for (const { workers } of views)
    for (const seat of workers) seats.set(seat.id, [...(seats.get(seat.id) ?? []), seat])
  const sum = (of: (view: PoolView) => number) => views.reduce((total, view) => total + of(view), 0)
  return {
    ...first,
    workers: [...seats.values()].map(mergeSeats),
    in_flight: sum((view) => view.in_flight),
    queued: sum((view) => view.queued),
    leases: sum((view) => view.leases),
    service_ms: Math.round(sum((view) => view.service_ms) / views.length),
    index_bytes: sum((view) => view.index_bytes),
    index_limit_bytes: sum((view) => view.index_limit_bytes),
    shadow: mergeShadows(views.map(({ shadow }) => shadow)),
  }
}

function mergeSeats(seats: readonly SeatView[]): SeatView {
  const [first] = seats as readonly [SeatView]
  const sum = (of: (seat: SeatView) => number) => seats.reduce((total, seat) => total + of(seat), 0)
  const most = (of: (seat: SeatView) => number) => Math.max(...seats.map(of))
  const known = seats.filter(({ latency_ms: ms }) => ms > 0)
  const loads = seats.flatMap(({ load }) => load ?? [])
  return {
    ...first,
    state: STATES[most(({ state }) => STATES.indexOf(state))]!,
    breaker: BREAKERS[most(({ breaker }) => BREAKERS.indexOf(breaker))]!,
    breaker_trips: sum((seat) => seat.breaker_trips),
    breaker_moves: {
      closed_open: sum((seat) => seat.breaker_moves.closed_open),
      open_half_open: sum((seat) => seat.breaker_moves.open_half_open),
      half_open_open: sum((seat) => seat.breaker_moves.half_open_open),
      half_open_closed: sum((seat) => seat.breaker_moves.half_open_closed),
    },
    probes: { good: sum((seat) => seat.probes.good), bad: sum((seat) => seat.probes.bad) },
    in_flight: sum((seat) => seat.in_flight),
    backlog_tokens: sum((seat) => seat.backlog_tokens),
    speed: Math.round(sum((seat) => seat.speed) / seats.length),
    // Each knows of the others'.
    held_tokens: most((seat) => seat.held_tokens),
    capacity_tokens: most((seat) => seat.capacity_tokens),
    index_tokens: sum((seat) => seat.index_tokens),
    latency_ms: Math.round(
      known.reduce((total, seat) => total + seat.latency_ms, 0) / Math.max(1, known.length),
    ),
    predicted_cached_tokens: sum((seat) => seat.predicted_cached_tokens),
    cached_tokens: sum((seat) => seat.cached_tokens),
    prediction_error_tokens: sum((seat) => seat.prediction_error_tokens),
    served: sum((seat) => seat.served),
    failed: sum((seat) => seat.failed),
    recent_ms: seats.flatMap((seat) => seat.recent_ms).slice(-RECENT),
    load: loads.toSorted((a, b) => a.age_ms - b.age_ms)[0] ?? null,
    load_failures: sum((seat) => seat.load_failures),
    kv_events: seats.find((seat) => seat.kv_events !== null)?.kv_events ?? null,
  }
}
