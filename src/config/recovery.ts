// What is tried again, whom breakers keep calls from, and how workers are probed.
import * as z from './form.ts'
import { about, count, flag, numeric, share, whole } from './kinds.ts'
import { duration } from './units.ts'

const statuses = (initial: number[]) => z.prefault(z.array(numeric(whole(400, 599))), initial)

export const recovery = {
  retries: about(count(3), 'further attempts after the first, before the first byte'),
  retryOn: about(statuses([429, 500, 502, 503, 504]), 'statuses of a worker after which another is tried'),
  retryTimeouts: about(
    flag(false),
    'another worker is tried, too, when one gave no first token or no whole answer in time',
  ),
  retryDelay: about(duration('50ms'), 'back-off before the same worker is tried again'),
  retryFactor: about(z.prefault(z.number().check(z.minimum(1)), 1.5), 'each back-off is this much longer'),
  retryMaxDelay: about(duration('30s'), 'longest back-off'),
  retryJitter: about(share(0.2), 'share of a back-off that is random'),
  retryBudget: about(share(0.1), 'retries as a share of calls, above the floor'),
  retryFloor: about(count(10), 'retries a second that are always allowed'),
  breakerFailures: about(count(5), 'consecutive failures that open a breaker; 0: no breaker'),
  breakerWindow: about(duration('60s'), 'failures further apart than this do not add up'),
  breakerOpen: about(duration('30s'), 'how long an open breaker keeps calls away'),
  breakerSuccesses: about(count(2), 'successes that close a half-open breaker'),
  breakerProbes: about(flag(false), 'good probes count as successes of a half-open breaker, too'),
  breakerClientErrors: about(flag(false), 'answers from 400 to 499 are failures of the worker, too'),
  busyOn: about(statuses([429, 503]), 'statuses that mean busy, not broken: no breaker counts them'),
}

export const health = {
  healthInterval: about(duration('10s'), 'time between probes; off: no probes'),
  healthTimeout: about(duration('5s'), 'how long a probe may take'),
  healthPath: about(z.prefault(z.string(), '/health'), 'path that is probed'),
  healthFailures: about(count(3), 'failed probes in a row that take a worker out'),
  removeAfter: about(
    duration('off'),
    'how long a worker that was taken out may fail its probes before it is removed; off: it is waited for',
  ),
  healthSuccesses: about(z.prefault(whole(1), 1), 'good probes in a row that bring it back'),
}
