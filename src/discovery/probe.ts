// Active health checks. A pool probes its own members; what requests see (passive signals) counts more than a slow /health.
import type { Seat } from '../actors/seat.ts'
import { allows, enter, succeed, type BreakerRules } from '../forward/breaker.ts'
import type { Host } from '../host.ts'
import { askWorker } from './ask.ts'
import { check, type Checked } from './checks.ts'

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

/** Probes one server and writes what it found into its seats (of a server without ranks there is one). A change for each. */
export async function probe(
  host: Pick<Host, 'fetch' | 'timer' | 'now'>,
  seats: readonly Seat[],
  rules: ProbeRules,
): Promise<ProbeChange[]> {
  const [first] = seats
  if (!first) return []
  const startedAt = host.now()
  for (const seat of seats) seat.probeAt = startedAt + rules.interval + rules.timeout
  const { found: answer, failing } = await look(host, first.member, rules)
  // A server that takes its time while any of its ranks answers tokens is busy, not dead.
  const isBusy = answer === 'late' && seats.some((seat) => isAlive(seat, startedAt - rules.interval))
  const found = answer === 'good' ? answer : isBusy ? 'busy' : 'bad'
  for (const seat of seats) if (found !== 'busy') seat.failing = failing
  return seats.map((seat) => judge(seat, found, rules, host.now()))
}

interface Found {
  readonly found: Checked
  /** Models that failed while others did not. */
  readonly failing: ReadonlySet<string>
}

const NONE: ReadonlySet<string> = new Set()

/** By its path of health, or by real calls to each of its models: it is down when all of them fail. */
async function look(
  host: Pick<Host, 'fetch' | 'timer'>,
  { ref, probes }: Seat['member'],
  { path, timeout }: ProbeRules,
): Promise<Found> {
  if (probes) {
    const results = await Promise.all(probes.map((one) => check(host, ref, one, timeout)))
    const bad = new Set(probes.filter((_, i) => results[i] !== 'good').map(({ model }) => model))
    if (probes.some(({ model }) => !bad.has(model))) return { found: 'good', failing: bad }
    return { found: results.includes('late') ? 'late' : 'bad', failing: NONE }
  }
  const asked = await askWorker(host, ref, { method: 'GET', path, timeout })
  // A client error (no such path, no key) still comes from a live server: requests will tell.
  if (asked.status > 0 && asked.status < 500) return { found: 'good', failing: NONE }
  return { found: 'timedOut' in asked && asked.timedOut ? 'late' : 'bad', failing: NONE }
}

function judge(seat: Seat, found: 'good' | 'busy' | 'bad', rules: ProbeRules, now: number): ProbeChange {
  if (found === 'good' && rules.breaker) trust(seat, rules.breaker, now)
  if (found !== 'busy') seat.probes[found]++
  const change =
    found === 'good' ? recover(seat, rules) : found === 'busy' ? 'none' : weaken(seat, rules, now)
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

/** It answers tokens, or has since then. */
const isAlive = ({ streaming, lastGoodAt }: Seat, since: number): boolean =>
  streaming > 0 || lastGoodAt >= since

/** One failure is enough for a suspect, whose request could not reach it either. */
function weaken(seat: Seat, rules: ProbeRules, now: number): ProbeChange {
  if (seat.probeFailures === 0) seat.failingSince = now
  seat.probeFailures++
  seat.probeSuccesses = 0
  if (seat.isDown || (!seat.isSuspect && seat.probeFailures < rules.failures)) return 'none'
  seat.isDown = true
  return 'down'
}
