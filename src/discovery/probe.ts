// Active health checks. A pool probes its own members; what requests see (passive signals) counts more than a slow /health.
import type { Seat } from '../actors/seat.ts'
import { allows, enter, succeed, type BreakerRules } from '../forward/breaker.ts'
import type { Host } from '../host.ts'
import { askWorker } from './ask.ts'

export interface ProbeRules {
  readonly path: string
  readonly interval: number
  readonly timeout: number
  /** Failed probes in a row that take a worker out. */
  readonly failures: number
  /** Good probes in a row that bring it back. */
  readonly successes: number
  /** How long one that is out may go on failing before it is removed, ms; 0: for ever. */
  readonly removeAfter?: number
  /** Good probes count as successes of a breaker that is half open; null: calls alone do. */
  readonly breaker: BreakerRules | null
}

/** A worker that is out or suspect is looked at more often, so that it is back soon. */
const SUSPECT_INTERVAL = 1000

export type ProbeChange = 'none' | 'down' | 'up'

/** Probes one worker and writes what it found into its seat. */
export async function probe(
  host: Pick<Host, 'fetch' | 'timer' | 'now'>,
  seat: Seat,
  rules: ProbeRules,
): Promise<ProbeChange> {
  const startedAt = host.now()
  seat.probeAt = startedAt + rules.interval + rules.timeout
  const asked = await askWorker(host, seat.member.ref, {
    method: 'GET',
    path: rules.path,
    timeout: rules.timeout,
  })
  const now = host.now()
  // A client error (no such path, no key) still comes from a live server: requests will tell.
  const isGood = asked.status > 0 && asked.status < 500
  if (isGood && rules.breaker) trust(seat, rules.breaker, now)
  const change = isGood
    ? recover(seat, rules)
    : isBusy(seat, asked, startedAt, rules)
      ? 'none'
      : weaken(seat, rules, now)
  seat.probeAt =
    now +
    (seat.isDown || seat.isSuspect || (rules.breaker && seat.breaker.state !== 'closed')
      ? Math.min(SUSPECT_INTERVAL, rules.interval)
      : rules.interval)
  return change
}

/** An open breaker whose time is up becomes half open by it, as by a call. */
function trust({ breaker }: Seat, rules: BreakerRules, now: number): void {
  if (breaker.state === 'closed' || (breaker.state === 'open' && !allows(breaker, rules, now))) return
  if (breaker.state === 'open') enter(breaker)
  succeed(breaker, rules)
}

function recover(seat: Seat, { successes }: ProbeRules): ProbeChange {
  seat.isSuspect = false
  seat.probeFailures = 0
  seat.failingSince = 0
  if (!seat.isDown || ++seat.probeSuccesses < successes) return 'none'
  seat.isDown = false
  return 'up'
}

/** A worker whose /health times out while it answers tokens is busy, not dead. */
function isBusy(
  seat: Seat,
  asked: { status: number; timedOut?: boolean },
  startedAt: number,
  rules: ProbeRules,
): boolean {
  if (asked.status !== 0 || !asked.timedOut) return false
  return seat.streaming > 0 || seat.lastGoodAt >= startedAt - rules.interval
}

/** One failure is enough for a suspect, whose request could not reach it either. */
function weaken(seat: Seat, rules: ProbeRules, now: number): ProbeChange {
  if (seat.probeFailures === 0) seat.failingSince = now
  seat.probeFailures++
  seat.probeSuccesses = 0
  if (seat.isDown || (!seat.isSuspect && seat.probeFailures < rules.failures)) return 'none'
  seat.isDown = true
  return 'down'
}
