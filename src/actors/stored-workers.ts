// The workers that outlive a restart: those that were added by the API.
import { workerSchema, type WorkerSpec } from '../config/schema.ts'
import type { ActorState } from './actor.ts'
import type { WorkerRecord } from './members.ts'

const KEY = 'workers'
/** A store that several routers share is looked at this often, ms. */
const LOOK = 1000

export interface StoredWorker {
  readonly spec: WorkerSpec
  readonly addedAt: number
  readonly draining: boolean
}

/** What was stored, without what is no worker (any more): a broken value must not keep the router from starting. */
export async function restoreWorkers({ storage, now, log }: ActorState): Promise<StoredWorker[]> {
  const value = await storage.get(KEY)
  const workers: StoredWorker[] = []
  let broken = value === undefined || Array.isArray(value) ? 0 : 1
  for (const entry of Array.isArray(value) ? (value as Partial<StoredWorker>[]) : []) {
    const parsed = workerSchema.safeParse(entry?.spec)
    if (!parsed.success) broken++
    else {
      const addedAt = new Date(entry.addedAt ?? NaN).getTime() || now()
      workers.push({ spec: parsed.data, addedAt, draining: entry.draining === true })
    }
  }
  if (broken > 0)
    log({ level: 'warn', message: 'some stored workers could not be read: left out', count: broken })
  return workers
}

/** Stores them all as they are now. A failure is told in the log: the workers serve all the same. */
export async function storeWorkers(
  { storage, log }: ActorState,
  records: Iterable<WorkerRecord>,
): Promise<void> {
  const stored: StoredWorker[] = []
  for (const { source, spec, addedAt, draining } of records) {
    if (source === 'api') stored.push({ spec, addedAt, draining })
  }
  try {
    await storage.put(KEY, stored)
  } catch (error) {
    log({ level: 'warn', message: 'workers added by the API could not be stored', error: String(error) })
  }
}

/** Follows what other routers write to a store that they share; one that nobody shares is never looked at. */
export class SharedWorkers {
  readonly #state: ActorState
  readonly #changed: (stored: readonly StoredWorker[]) => void
  #version = ''

  /** @param changed is told the workers that are stored whenever others may have changed them */
  constructor(state: ActorState, changed: (stored: readonly StoredWorker[]) => void) {
    this.#state = state
    this.#changed = changed
  }

  /** Looks again and again. */
  follow(): void {
    if (this.#state.storage.version)
      this.#state.timer(LOOK, () => this.#state.after(this.catchUp().finally(() => this.follow())))
  }

  /** Before a change of our own: the whole list is written at once, and must not lose what others added. */
  async catchUp(): Promise<void> {
    const { storage, log } = this.#state
    if (!storage.version) return
    try {
      const version = await storage.version(KEY)
      if (version === this.#version) return
      const stored = await restoreWorkers(this.#state)
      this.#version = version
      this.#changed(stored)
    } catch (error) {
      log({ level: 'warn', message: 'the store of workers can not be read', error: String(error) })
    }
  }
}
