// The workers of a configuration, however they were given.
import type { Config, WorkerSpec } from './schema.ts'
import { parsePrefill } from './urls.ts'

/** All of them as `workers` would list them: `prefill` and `decode` are short for a role. */
export function workersOf({ workers, prefill, decode }: Config): readonly WorkerSpec[] {
  if (prefill.length + decode.length === 0) return workers
  const plain = { weight: 1, labels: {} }
  return [
    ...workers,
    ...prefill.map((text): WorkerSpec => ({ ...parsePrefill(text), ...plain, role: 'prefill' })),
    ...decode.map((url): WorkerSpec => ({ url, ...plain, role: 'decode' })),
  ]
}
