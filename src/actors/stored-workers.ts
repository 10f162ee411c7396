// The workers that outlive a restart: those that were added by the API.
// A file that is a list of all of them names those of the configuration, too; they are not restored from it.
import { workerSchema, type WorkerSpec } from '../config/schema.ts'
import { TUNNEL } from '../tunnel/name.ts'
import type { ActorState } from './actor.ts'
import { modelsOf, type WorkerRecord, type WorkerSource } from './members.ts'

export const KEY = 'workers'

export interface StoredWorker {
  readonly spec: WorkerSpec
  readonly source: WorkerSource
  readonly addedAt: number
  readonly draining: boolean
  /** As the worker told them; only a store that keeps them gets them. */
  readonly models?: readonly string[]
}

/** Whether workers of that source are stored. A store that keeps models lists all that do not come and go by themselves. */
export const isKept = (source: WorkerSource, { keepsTunnels = false, storage }: ActorState): boolean =>
  source === 'api' ||
  (source === 'tunnel' && keepsTunnels) ||
  (source === 'flag' && storage.keepsModels === true)

/** What was stored, without what is no worker (any more): a broken value must not keep the router from starting. */
export async function restoreWorkers({ storage, now, log }: ActorState): Promise<StoredWorker[]> {
  const value = await storage.get(KEY)
  const workers: StoredWorker[] = []
  let broken = value === undefined || Array.isArray(value) ? 0 : 1
  for (const entry of Array.isArray(value) ? (value as Partial<StoredWorker>[]) : []) {
    const { source = 'api', spec } = entry ?? {}
    if (source === 'flag') continue
    // Its URL is one that nobody can give.
    const isTunnel = source === 'tunnel' && String(spec?.url).startsWith(TUNNEL)
    const parsed = workerSchema.safeParse(isTunnel ? { ...spec, url: 'http://worker' } : spec)
    if (!parsed.success || (!isTunnel && source !== 'api')) broken++
    else {
      const whole = isTunnel ? { ...parsed.data, url: String(spec?.url) } : parsed.data
      const addedAt = new Date(entry.addedAt ?? NaN).getTime() || now()
      workers.push({ spec: whole, source, addedAt, draining: entry.draining === true })
    }
  }
  if (broken > 0)
    log({ level: 'warn', message: 'some stored workers could not be read: left out', count: broken })
  return workers
}

/** Stores them all as they are now. A failure is told in the log: the workers serve all the same. */
export async function storeWorkers(state: ActorState, records: Iterable<WorkerRecord>): Promise<void> {
  const { storage, log } = state
  const stored: StoredWorker[] = []
  for (const record of records) {
    const { source, spec, addedAt, draining } = record
    const models = storage.keepsModels ? { models: modelsOf(record) ?? [] } : {}
    if (isKept(source, state)) stored.push({ spec, source, addedAt, draining, ...models })
  }
  try {
    await storage.put(KEY, stored)
  } catch (error) {
    log({ level: 'warn', message: 'workers added by the API could not be stored', error: String(error) })
  }
}
