// A circuit breaker as plain data and pure functions: closed → open → half-open → closed.

export interface BreakerRules {
  /** Consecutive failures inside the window that open it; 0: never opens. */
  readonly failures: number
  readonly window: number
  /** How long it stays open, ms. */
  readonly open: number
  /** Successes in a row that close it again. */
  readonly successes: number
  /** Statuses that mean busy, not broken: they are not counted. */
  readonly busyOn: readonly number[]
  /** Statuses from 400 to 499 are failures, too. */
  readonly clientErrors?: boolean
}

export type BreakerState = 'closed' | 'open' | 'half_open'

/** How often a breaker went from one state to another. */
export interface BreakerMoves {
  closed_open: number
  open_half_open: number
  half_open_open: number
  half_open_closed: number
}

export interface Breaker {
  state: BreakerState
  /** Times of the consecutive failures, oldest first; at most `failures` of them. */
  failedAt: number[]
  openedAt: number
  successes: number
  /** A half-open breaker lets one call through at a time. */
  probing: boolean
  readonly moves: BreakerMoves
}

export const createBreaker = (): Breaker => ({
  state: 'closed',
  failedAt: [],
  openedAt: 0,
  successes: 0,
  probing: false,
  moves: { closed_open: 0, open_half_open: 0, half_open_open: 0, half_open_closed: 0 },
})

/** True when a call may go through now. Does not change anything: `enter` does. */
export function allows(breaker: Breaker, rules: BreakerRules, now: number): boolean {
  if (breaker.state === 'closed') return true
  if (breaker.state === 'open') return now >= breaker.openedAt + rules.open
  return !breaker.probing
}

/**
 * A call goes through: an open breaker whose time is up becomes half-open, and the call is its probe. Returns true when the state
 * changed.
 */
export function enter(breaker: Breaker): boolean {
  if (breaker.state === 'closed') return false
  const changed = breaker.state === 'open'
  if (changed) {
    breaker.successes = 0
    breaker.moves.open_half_open++
  }
  breaker.state = 'half_open'
  breaker.probing = true
  return changed
}

/** A call went well. Returns true when that closed the breaker. */
export function succeed(breaker: Breaker, rules: BreakerRules): boolean {
  // To set a length takes the engine long, and each good call comes by here.
  if (breaker.failedAt.length > 0) breaker.failedAt.length = 0
  if (breaker.state !== 'half_open') return false
  breaker.probing = false
  if (++breaker.successes < rules.successes) return false
  breaker.state = 'closed'
  breaker.moves.half_open_closed++
  return true
}

/** A call failed by the worker's fault. Returns true when that opened the breaker. */
export function fail(breaker: Breaker, rules: BreakerRules, now: number): boolean {
  if (rules.failures === 0 || breaker.state === 'open') return false
  if (breaker.state === 'half_open') return open(breaker, now)
  const { failedAt } = breaker
  failedAt.push(now)
  while ((failedAt[0] as number) <= now - rules.window) failedAt.shift()
  return failedAt.length >= rules.failures && open(breaker, now)
}

/** A call ended without telling anything of the worker (the client left, it was busy): a probe's place is free again. */
export function release(breaker: Breaker): void {
  breaker.probing = false
}

/** What was known of the worker counts no more: it is closed, as a new one is. */
export function forget(breaker: Breaker): void {
  Object.assign(breaker, createBreaker(), { moves: breaker.moves })
}

function open(breaker: Breaker, now: number): boolean {
  breaker.moves[breaker.state === 'closed' ? 'closed_open' : 'half_open_open']++
  breaker.state = 'open'
  breaker.openedAt = now
  breaker.failedAt.length = 0
  breaker.probing = false
  return true
}
