// What Node lends the app: sockets, time, chance, timers, logs, and the actors in this process.
import { monitorEventLoopDelay, performance } from 'node:perf_hooks'
import type { Storage } from '../../src/actors/actor.ts'
import { localActors, type Seams } from '../../src/actors/local.ts'
import type { Config } from '../../src/config/schema.ts'
import type { Host, LogEvent, Outgoing, WorkerRef } from '../../src/host.ts'
import { allParts } from '../../src/parts.ts'
import { Recorder } from '../../src/replay/recorder.ts'
import { Soon } from '../../src/soon.ts'
import type { LinkTimes } from '../../src/tunnel/link.ts'
import { OUTSIDE } from '../../src/admission/outside.ts'
import { TUNNEL } from '../../src/tunnel/name.ts'
import { makeAlike } from './alike.ts'
import { createTimers } from '../web/timers.ts'
import type { TakeSocket } from '../web/tunnel-hall.ts'
import { createTunnels, type Tunnels } from '../web/tunnels.ts'
import { fileStorage, stateFile, stateFormat } from './disk.ts'
import { extendHere } from './extensions.ts'
import { machineReadings } from './machine.ts'
import { createOutside } from './outside.ts'
import { createSockets } from './sockets.ts'
import { recordTo } from './recording.ts'
import { openTables } from './tables.ts'
import { relay, reply } from './relay.ts'
import { createUpgrade } from './upgrade.ts'
import { reachOf, type Reach } from './certificates.ts'
import { createFetch } from './fetch.ts'

export interface NodeSeams extends Seams {
  readonly upgrade: NonNullable<Host['upgrade']>
  readonly send: NonNullable<Host['send']>
  /** Closes all connections to workers and stops all timers: actors ring no more, and the process may end. */
  close(): void
}

export interface NodeHost extends Host, NodeSeams {
  readonly upgrade: NodeSeams['upgrade']
  readonly send: NodeSeams['send']
  readonly tunnels: Tunnels
  /** Ends the recording, if there is one: resolves when it is in its file. */
  recorded(): Promise<void>
}

export interface HostOptions {
  readonly tunnelTimes?: LinkTimes
}

/** Puts the host together; what actors store goes to the state file. */
export function createHost(
  config: Config,
  log: (event: LogEvent) => void,
  { tunnelTimes }: HostOptions = {},
): NodeHost {
  const plain = withOutside(createSeams(log, reachOf(config)))
  const tunnels = createTunnels(config, { seams: () => host, take: takeSocket, times: tunnelTimes })
  const seams = { ...withTunnels(plain, tunnels), tables: () => openTables(config) }
  const disk = fileStorage(stateFile(config), log, stateFormat(config))
  const recording = config.record === undefined ? null : recordTo(config.record, log)
  const host: NodeHost = {
    ...seams,
    ...localActors(config, seams, (name) => named(disk, name)),
    ...(recording && { recorder: new Recorder(recording) }),
    recorded: async () => recording?.close(),
  }
  return host
}

/** Seams of the one thread that finds workers. */
function withOutside(seams: NodeSeams): NodeSeams {
  const outside = createOutside()
  const close = () => {
    outside.close()
    seams.close()
  }
  return { ...seams, outside, close }
}

/** Seams that reach dialled-in workers, too. */
export function withTunnels(plain: NodeSeams, tunnels: Tunnels): NodeSeams & { readonly tunnels: Tunnels } {
  const isTunnel = ({ url }: WorkerRef) => url.startsWith(TUNNEL)
  const { upgrade } = plain
  return {
    ...plain,
    fetch: (worker: WorkerRef, outgoing: Outgoing) =>
      isTunnel(worker) ? tunnels.fetch(worker, outgoing) : plain.fetch(worker, outgoing),
    send: (worker, outgoing, waiter) =>
      isTunnel(worker)
        ? Soon.of(tunnels.fetch(worker, outgoing)).tell(waiter)
        : plain.send(worker, outgoing, waiter),
    upgrade: (worker, ...call) =>
      isTunnel(worker) ? tunnels.upgrade(worker, ...call) : upgrade(worker, ...call),
    tunnels,
    close() {
      tunnels.close()
      plain.close()
    },
  }
}

/** By a package that is loaded only then. */
export const takeSocket: TakeSocket = async (...taken) => (await import('./take.ts')).take(...taken)

/** All but the actors. */
export function createSeams(log: (event: LogEvent) => void, reach: Reach = {}): NodeSeams {
  const workers = createFetch(undefined, reach.certificates, reach.idleMost)
  const others = createFetch()
  const fetch: Host['fetch'] = (worker, outgoing) =>
    worker.engine === OUTSIDE ? others(worker, outgoing) : workers(worker, outgoing)
  const send: NodeSeams['send'] = (worker, outgoing, waiter) =>
    (worker.engine === OUTSIDE ? others : workers).send(worker, outgoing, waiter)
  const timers = createTimers()
  const sockets = createSockets()
  const { timeOrigin } = performance
  const close = () => {
    workers.close()
    others.close()
    timers.close()
    sockets.close()
  }
  return {
    fetch,
    send,
    relay,
    reply,
    upgrade: createUpgrade(reach.certificates),
    extend: extendAlike,
    now: () => timeOrigin + performance.now(),
    random: Math.random,
    timer: timers.start,
    after(work: Promise<unknown>) {
      work.catch((error: unknown) => log({ level: 'error', message: 'Work after a response failed', error }))
    },
    log,
    process: readings(),
    sockets,
    parts: allParts,
    close,
  }
}

/** Modules of an operator's own may ask what they are given. */
const extendAlike: typeof extendHere = async (config, core) => {
  const extensions = await extendHere(config, core)
  if (extensions !== null) makeAlike()
  return extensions
}

function readings(): NonNullable<Host['process']> {
  // It wakes the process twenty times a second, so it starts with the first scrape.
  let delay: ReturnType<typeof monitorEventLoopDelay> | null = null
  return {
    residentBytes: () => process.memoryUsage.rss(),
    cpuSeconds: () => {
      const { user, system } = process.cpuUsage()
      return (user + system) / 1e6
    },
    machine: machineReadings(),
    /** The longest delay since the last scrape. */
    loopLagSeconds: () => {
      if (delay === null) {
        delay = monitorEventLoopDelay({ resolution: 50 })
        delay.enable()
        return 0
      }
      // The histogram counts the resolution itself as part of each delay.
      const lag = Math.max(0, delay.max / 1e9 - 0.05)
      delay.reset()
      return lag
    },
  }
}

/** A part of a storage for one actor: all of a process share one file. */
function named(storage: Storage, name: string): Storage {
  return {
    ...(storage.keepsModels && { keepsModels: true }),
    get: (key) => storage.get(`${name}/${key}`),
    put: (key, value) => storage.put(`${name}/${key}`, value),
    delete: (key) => storage.delete(`${name}/${key}`),
  }
}
