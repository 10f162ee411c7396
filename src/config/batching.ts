// Files and batches that the router keeps and runs itself.
import * as z from './form.ts'
import { flag, whole } from './kinds.ts'
import { duration, size } from './units.ts'

export const batching = {
  batches: flag(false),
  batchStore: z.optional(z.string().check(z.minLength(1))),
  batchConcurrency: z.prefault(whole(1, 10_000), 16),
  batchLines: z.prefault(whole(1, 1_000_000), 50_000),
  maxFile: size('512MB'),
  fileQuota: size('10GB'),
  fileExpiry: duration('30d'),
}
