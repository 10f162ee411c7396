// Where an ask may go now: sorts the workers that serve it into those to choose from, those to wait for, and those that are out.
import { allows, type BreakerRules } from '../forward/breaker.ts'
import type { Choose, PoolSense } from '../policies/policy.ts'
import type { Ask, RefusalValue } from './ask.ts'
import type { Exclusion, Seat } from './seat.ts'

/** What a call has behind it. */
export interface Turn {
  /** Ids of the workers that it was sent to. */
  readonly tried: readonly string[]
  /** 1 for the first. */
  readonly attempt: number
  /** It waited though there was room. */
  readonly isHeld?: boolean
}

export interface PlacementRules {
  readonly choose: Choose
  readonly breaker: BreakerRules
  /** 0: no limit. */
  readonly maxInFlightPerWorker: number
}

export type Placement =
  | {
      readonly kind: 'seat'
      readonly seat: Seat
      readonly isAgain: boolean
      /** Those that it was chosen from. */
      readonly candidates: readonly Seat[]
      /** The worker that computes the prompt first, where that is another one. */
      readonly prefill?: { readonly seat: Seat; readonly candidates: readonly Seat[] }
    }
  | { readonly kind: 'full' }
  | { readonly kind: 'refused'; readonly refusal: RefusalValue }

/** Why a worker can't be chosen now; null: it can. A pinned call goes to a draining worker too, which holds its state. */
export function exclusionOf(seat: Seat, ask: Ask, rules: PlacementRules, now: number): Exclusion | null {
  if (seat.member.draining && ask.pin !== seat.id) return 'draining'
  if (seat.isDown || (ask.model !== null && seat.failing.size > 0 && seat.failing.has(ask.model)))
    return 'down'
  if (!allows(seat.breaker, rules.breaker, now)) return 'breaker_open'
  const limit = seat.member.maxInFlight ?? rules.maxInFlightPerWorker
  return limit > 0 && seat.inFlight + seat.beside.calls >= limit ? 'full' : null
}

/**
 * Chooses by the policy among the workers that are well; if there are none, waits for one that is full; else takes one that is
 * busy or suspect; else one that was tried already in this call.
 */
export function place(
  ask: Ask,
  seats: readonly Seat[],
  tried: readonly string[],
  by: { sense: PoolSense; rules: PlacementRules },
): Placement {
  const { rules, sense } = by
  if (tried.length === 0 && seats.length > 0 && areGood(seats, ask, by)) return seated(ask, seats, by, false)
  const good: Seat[] = []
  const doubtful: Seat[] = []
  const again: Seat[] = []
  let isFull = false
  for (const seat of seats) {
    const exclusion = exclusionOf(seat, ask, rules, sense.now)
    if (exclusion === 'full') isFull = true
    if (exclusion !== null) continue
    if (tried.length > 0 && tried.includes(seat.id)) again.push(seat)
    else if (seat.isSuspect || seat.busyUntil > sense.now) doubtful.push(seat)
    else good.push(seat)
  }
  if (good.length > 0) return seated(ask, good, by, false)
  if (isFull) return { kind: 'full' }
  if (doubtful.length > 0) return seated(ask, doubtful, by, false)
  if (again.length > 0) return seated(ask, again, by, true)
  return { kind: 'refused', refusal: nobody(ask, seats, rules, sense.now) }
}

/** The usual case, for which no lists are made. */
function areGood(
  seats: readonly Seat[],
  ask: Ask,
  { sense, rules }: { sense: PoolSense; rules: PlacementRules },
): boolean {
  for (const seat of seats) {
    if (seat.isSuspect || seat.busyUntil > sense.now) return false
    if (exclusionOf(seat, ask, rules, sense.now) !== null) return false
  }
  return true
}

function seated(
  ask: Ask,
  candidates: readonly Seat[],
  { sense, rules }: { sense: PoolSense; rules: PlacementRules },
  isAgain: boolean,
): Placement {
  // One candidate is chosen too: sticky policies remember it.
  const chosen = rules.choose(ask, candidates, sense)
  return { kind: 'seat', seat: candidates[chosen] as Seat, isAgain, candidates }
}

function nobody(ask: Ask, seats: readonly Seat[], rules: PlacementRules, now: number): RefusalValue {
  const counts = new Map<string, number>()
  let soonest = Infinity
  for (const seat of seats) {
    const reason = exclusionOf(seat, ask, rules, now) ?? 'unknown'
    counts.set(reason, (counts.get(reason) ?? 0) + 1)
    if (reason === 'breaker_open')
      soonest = Math.min(soonest, seat.breaker.openedAt + rules.breaker.open - now)
    if (reason === 'down') soonest = Math.min(soonest, 5000)
  }
  const why = [...counts].map(([reason, count]) => `${count} ${reason.replace('_', ' ')}`).join(', ')
  const whom = ask.model === null ? 'this call' : `the model ${JSON.stringify(ask.model)}`
  return {
    status: 503,
    code: 'no_workers',
    message: `No worker can take ${whom} now (${why || 'none serves it'}). Try again soon; GET /fetchway/v1/workers shows their state.`,
    retryAfter: Math.max(1, Math.ceil((soonest < Infinity ? soonest : 5000) / 1000)),
  }
}
