// What is tried again, whom breakers keep calls from, and how workers are probed.
import * as z from './form.ts'
import { count, flag, numeric, share, whole } from './kinds.ts'
import { duration } from './units.ts'

const statuses = (initial: number[]) => z.prefault(z.array(numeric(whole(400, 599))), initial)

export const recovery = {
  retries: count(3),
  retryOn: statuses([429, 500, 502, 503, 504]),
  retryTimeouts: flag(false),
  retryDelay: duration('50ms'),
  retryFactor: z.prefault(z.number().check(z.minimum(1)), 1.5),
  retryMaxDelay: duration('30s'),
  retryJitter: share(0.2),
  retryBudget: share(0.1),
  retryFloor: count(10),
  breakerFailures: count(5),
  breakerWindow: duration('60s'),
  breakerOpen: duration('30s'),
  breakerSuccesses: count(2),
  breakerProbes: flag(false),
  breakerClientErrors: flag(false),
  busyOn: statuses([429, 503]),
}

export const health = {
  healthInterval: duration('10s'),
  healthTimeout: duration('5s'),
  healthPath: z.prefault(z.string(), '/health'),
  healthFailures: count(3),
  removeAfter: duration('off'),
  healthSuccesses: z.prefault(whole(1), 1),
}
