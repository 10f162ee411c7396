// A host of web standards alone (global fetch, Web Streams, timers): it proves that the core is pure, and serves where
// nothing faster exists.
import { localActors, memoryStorage } from '../../src/actors/local.ts'
import type { Storage } from '../../src/actors/actor.ts'
import type { Config } from '../../src/config/schema.ts'
import type { Host, LogEvent, Outgoing, WorkerRef } from '../../src/host.ts'
import { allParts } from '../../src/parts.ts'
import { relayStream } from './relay.ts'
import { fetchUpstream, type Send } from './upstream.ts'
import { createTimers } from './timers.ts'

export interface WebHostOptions {
  readonly log: (event: LogEvent) => void
  /** Default: the global one. */
  readonly fetch?: Send
  /** Default: memory. */
  readonly storage?: (name: string) => Storage
  /** What a runtime has of its own, or better. */
  readonly extra?: Pick<Host, 'upgrade' | 'process' | 'extend' | 'sockets' | 'outside' | 'tables'> &
    Partial<Pick<Host, 'fetch' | 'send' | 'relay'>>
}

export interface WebHost extends Host {
  /** Stops all timers: actors ring no more, and the process may end. */
  close(): void
}

/** Puts a host together from what every runtime has. It has no `upgrade` of its own. */
export function createWebHost(config: Config, options: WebHostOptions): WebHost {
  const { log, storage = () => memoryStorage(), extra } = options
  const send = options.fetch ?? ((url, init) => fetch(url, init))
  const timers = createTimers()
  // Asked for at each event: as a property it costs some runtimes more than the clock.
  const { timeOrigin } = performance
  const seams = {
    fetch: (worker: WorkerRef, outgoing: Outgoing) => fetchUpstream(send, worker, outgoing),
    relay: relayStream,
    now: () => timeOrigin + performance.now(),
    random: Math.random,
    timer: timers.start,
    after(work: Promise<unknown>) {
      work.catch((error: unknown) =>
        log({ level: 'error', message: 'Work after a response failed', error: String(error) }),
      )
    },
    log,
    parts: allParts,
    ...extra,
  }
  return { ...seams, ...localActors(config, seams, storage), close: timers.close }
}
