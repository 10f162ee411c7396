// What Node lends the app: sockets, time, chance, timers, logs, and the actors in this process.
import { performance } from 'node:perf_hooks'
import type { Storage } from '../../src/actors/actor.ts'
import { localActors } from '../../src/actors/local.ts'
import type { Config } from '../../src/config/schema.ts'
import type { Host, LogEvent } from '../../src/host.ts'
import { fileStorage } from './disk.ts'
import { relay } from './relay.ts'
import { upgrade } from './upgrade.ts'
import { createFetch } from './upstream.ts'

export interface NodeHost extends Host {
  /** Closes all connections to workers. */
  close(): void
}

/** Puts the host together; what actors store goes to the file `config.state`. */
export function createHost(config: Config, log: (event: LogEvent) => void): NodeHost {
  const fetch = createFetch()
  const seams = {
    fetch,
    relay,
    upgrade,
    now: () => performance.timeOrigin + performance.now(),
    random: Math.random,
    timer(ms: number, run: () => void) {
      // Longer ones would ring at once.
      const timer = setTimeout(run, Math.min(ms, 2_147_483_647))
      return () => clearTimeout(timer)
    },
    after(work: Promise<unknown>) {
      work.catch((error: unknown) => log({ level: 'error', message: 'Work after a response failed', error }))
    },
    log,
  }
  const disk = fileStorage(config.state, log)
  return { ...seams, ...localActors(config, seams, (name) => named(disk, name)), close: () => fetch.close() }
}

/** A part of a storage for one actor: all of a process share one file. */
function named(storage: Storage, name: string): Storage {
  return {
    get: (key) => storage.get(`${name}/${key}`),
    put: (key, value) => storage.put(`${name}/${key}`, value),
    delete: (key) => storage.delete(`${name}/${key}`),
  }
}
