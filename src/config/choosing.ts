// The options of the policies. A policy that does not know one leaves it alone.
import * as z from './form.ts'
import { count, share, whole } from './kinds.ts'
import { duration, size } from './units.ts'

export const choosing = {
  costAlpha: z.prefault(z.number().check(z.minimum(0)), 3),
  costBeta: duration('20ms'),
  costGamma: duration('10s'),
  costTau: duration('30s'),
  coldBand: duration('25ms'),
  binding: z.prefault(z.enum(['early', 'late']), 'early'),
  bindingThreshold: duration('100ms'),
  bindingFairness: z.prefault(z.number().check(z.minimum(0)), 10),
  slowStart: duration('10s'),
  prefillSpeed: z.prefault(z.number().check(z.minimum(1)), 20_000),
  kvCapacity: count(400_000),
  indexSize: size('256MiB'),
  cacheAwareVariant: z.prefault(z.enum(['readme', 'release']), 'readme'),
  cacheThreshold: z.optional(z.number().check(z.minimum(0), z.maximum(1))),
  balanceAbs: z.optional(whole(0)),
  balanceRel: z.optional(z.number().check(z.minimum(1))),
  treeSize: size('64MiB'),
  treeInterval: duration('off'),
  prefixTokens: z.prefault(whole(1), 256),
  prefixLoadFactor: z.prefault(z.number().check(z.minimum(1)), 1.25),
  prefixMinMatch: count(0),
  kvTemperature: z.prefault(z.number().check(z.minimum(0)), 0),
  kvSessionIdle: duration('off'),
  kvHostWorth: share(0.8),
  kvExternalWorth: share(0.6),
  kvDiskWorth: share(0.3),
  kvAwareThreshold: count(2000),
  manualAssignment: z.prefault(z.enum(['random', 'min_load', 'min_group']), 'random'),
  manualIdle: duration('4h'),
  stickyIdle: duration('2h'),
  bucketInterval: duration('5s'),
  vllmKeyPrefix: z.prefault(z.string(), 'header:x-session-id:'),
}
