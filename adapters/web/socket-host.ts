// The host of Deno and Bun: the runtime's server in front, our own connections to the workers behind.
// Their fetch costs twice as much CPU a request; besides, Deno's repeats requests that broke on a kept connection, and Bun's
// works on 256 at a time.
import process from 'node:process'
import type { Storage } from '../../src/actors/actor.ts'
import type { Config } from '../../src/config/schema.ts'
import type { Host, LogEvent } from '../../src/host.ts'
import { createFetch } from '../node/upstream.ts'
import { createWebHost, type WebHost } from './host.ts'
import { relay } from './socket-relay.ts'

export interface SocketHostOptions {
  readonly log: (event: LogEvent) => void
  readonly storage: (name: string) => Storage
  readonly upgrade: NonNullable<Host['upgrade']>
}

/** Puts the host together; its `close` also closes all connections to workers. */
export function createSocketHost(config: Config, { log, storage, upgrade }: SocketHostOptions): WebHost {
  const fetch = createFetch()
  const extra = { fetch, relay, upgrade, process: readings }
  const host = createWebHost(config, { log, storage, extra })
  const close = () => {
    fetch.close()
    host.close()
  }
  return { ...host, close }
}

/** Neither runtime measures the delay of its event loop, so that is left out. */
const readings: NonNullable<Host['process']> = {
  residentBytes: () => process.memoryUsage().rss,
  cpuSeconds: () => {
    const { user, system } = process.cpuUsage()
    return (user + system) / 1e6
  },
}
