// The options of the policies. A policy that does not know one leaves it alone.
import * as z from './form.ts'
import { about, count, share, whole } from './kinds.ts'
import { duration, size } from './units.ts'

export const choosing = {
  costAlpha: about(
    z.prefault(z.number().check(z.minimum(0)), 3),
    'least_cost: how much a token weighs that is computed though another worker holds it',
  ),
  costBeta: about(duration('20ms'), 'least_cost: what each call in flight counts for'),
  costGamma: about(duration('10s'), 'least_cost: what a KV cache counts for that would be twice full'),
  costTau: about(duration('30s'), 'least_cost: how fast the popularity of a prefix fades'),
  coldBand: about(
    duration('25ms'),
    'least_cost: costs this close are equal for prompts that no worker holds: hashing decides',
  ),
  binding: about(
    z.prefault(z.enum(['early', 'late']), 'early'),
    'least_cost: calls go to a worker as they come (early), or wait here until one has nearly read what it was sent (late)',
  ),
  bindingThreshold: about(
    duration('100ms'),
    'late binding: seconds of reading ahead below which a worker gets more; a far worker gets it sooner',
  ),
  bindingFairness: about(
    z.prefault(z.number().check(z.minimum(0)), 10),
    'late binding: seconds that a call lets pass those that came later, for each second by which they are shorter',
  ),
  slowStart: about(duration('10s'), 'least_cost: how long a worker that joins late gets less than its share'),
  prefillSpeed: about(
    z.prefault(z.number().check(z.minimum(1)), 20_000),
    'prompt tokens a second of a worker, until first tokens tell',
  ),
  kvCapacity: about(count(400_000), 'tokens that fit into the KV cache of a worker that does not tell'),
  indexSize: about(size('256MiB'), 'memory for what is known of the KV caches of the workers'),
  cacheAwareVariant: about(
    z.prefault(z.enum(['readme', 'release']), 'readme'),
    'cache_aware below its threshold: the smallest tree (readme), or the fewest calls in flight (release)',
  ),
  cacheThreshold: about(
    z.optional(z.number().check(z.minimum(0), z.maximum(1))),
    'cache_aware: cached share of a prompt above which it goes to its worker; none: 0.5 (release: 0.3)',
  ),
  balanceAbs: about(
    z.optional(whole(0)),
    'cache_aware, bucket: loads further apart than this, and by balanceRel, come first; none: 32 (release: 64)',
  ),
  balanceRel: about(
    z.optional(z.number().check(z.minimum(1))),
    'cache_aware, bucket: the factor to balanceAbs; none: 1.0001 (release: 1.5)',
  ),
  treeSize: about(
    size('64MiB'),
    'cache_aware, production_stack_prefixaware: bytes of prompts that are remembered of each worker',
  ),
  treeInterval: about(
    duration('off'),
    'cache_aware: how often what is more than treeSize is forgotten; off: at once',
  ),
  prefixTokens: about(
    z.prefault(whole(1), 256),
    'prefix_hash: tokens at the beginning of a prompt that name its worker',
  ),
  prefixLoadFactor: about(
    z.prefault(z.number().check(z.minimum(1)), 1.25),
    'prefix_hash: most that a worker takes, in mean loads',
  ),
  prefixMinMatch: about(
    count(0),
    'production_stack_prefixaware: prompt bytes of a match below which load decides',
  ),
  kvTemperature: about(
    z.prefault(z.number().check(z.minimum(0)), 0),
    'kv_aware: how much chance there is in a choice; 0: none',
  ),
  kvSessionIdle: about(
    duration('off'),
    'kv_aware: a session keeps its worker until it was unused for so long; off: it does not',
  ),
  kvHostWorth: about(
    share(0.8),
    'kv_aware: what a token cached in host memory is worth, one on the GPU being 1',
  ),
  kvExternalWorth: about(share(0.6), 'kv_aware: the same in a cache outside of the machine'),
  kvDiskWorth: about(share(0.3), 'kv_aware: the same on a disk'),
  kvAwareThreshold: about(
    count(2000),
    'production_stack_kvaware: tokens of a prompt that may be missing where most of it is',
  ),
  manualAssignment: about(
    z.prefault(z.enum(['random', 'min_load', 'min_group']), 'random'),
    'manual: where a new session goes: by chance, to the fewest calls in flight, or to the fewest sessions',
  ),
  manualIdle: about(
    duration('4h'),
    'manual: how long an unused session is remembered; off: as long as there is room',
  ),
  stickyIdle: about(
    duration('2h'),
    'sticky_least_loaded: how long an unused session is remembered; off: as long as there is room',
  ),
  bucketInterval: about(
    duration('5s'),
    'bucket: the window over prompt lengths, and how often the classes are looked at',
  ),
  vllmKeyPrefix: about(
    z.prefault(z.string(), 'header:x-session-id:'),
    'vllm_consistent_hash: what stands before a session where it is hashed',
  ),
}
