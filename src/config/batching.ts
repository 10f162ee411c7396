// Files and batches that the router keeps and runs itself.
import * as z from './form.ts'
import { about, flag, whole } from './kinds.ts'
import { duration, size } from './units.ts'

export const batching = {
  batches: about(
    flag(false),
    'keep files and run batches here (/v1/files, /v1/batches); off: they go to the workers',
  ),
  batchStore: about(
    z.optional(z.string().check(z.minLength(1))),
    'directory that keeps them; memory: forgotten with the process (default: .fetchway/PORT.batches; memory where the port is 0)',
  ),
  batchConcurrency: about(z.prefault(whole(1, 10_000), 16), 'lines of batches under way at once'),
  batchLines: about(z.prefault(whole(1, 1_000_000), 50_000), 'lines that a batch may have'),
  maxFile: about(size('512MB'), 'largest file that is uploaded; off: no limit'),
  fileQuota: about(size('10GB'), 'bytes that the files of one key may hold together; off: no limit'),
  fileExpiry: about(
    duration('30d'),
    'until a file is deleted, where its upload says nothing else; off: never',
  ),
}
