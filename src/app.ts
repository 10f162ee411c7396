// Puts the router together for a process: configuration and host in, a fetch handler out, and what begins, changes and ends it.
import type { PoolView } from './actors/pool-view.ts'
import type { RunLine } from './batches/runner.ts'
import { workersOf } from './config/fleet.ts'
import type { Config } from './config/schema.ts'
import { checkSources } from './discovery/source.ts'
import { surfaceOf } from './dialects/speak.ts'
import { SharedAlarms } from './forward/alarms.ts'
import { OwnAlarms } from './forward/own-alarms.ts'
import { opaqueId } from './hash.ts'
import type { Host } from './host.ts'
import { showProcess } from './metrics/process-readings.ts'
import type { Reading } from './metrics/reading.ts'
import { controlPlane, createCore, dataPlane } from './planes.ts'
import { metricsAlone, readForPeers } from './routes/metrics.ts'
import type { Soon } from './soon.ts'

export interface App {
  /** Data plane, and the control plane unless that has a listener of its own. */
  fetch(request: Request): Promise<Response>
  /** The same for a server that takes an answer without a promise. */
  answer(request: Request): Soon<Response>
  /** The control plane's own listener. */
  admin(request: Request): Promise<Response>
  /** The listener of the metrics: they are what it answers, whatever the path. */
  metrics(request: Request): Promise<Response>
  /** Begins to look at the workers. Call it once before the first request. */
  start(): Promise<void>
  /** Loads what an operator puts around calls; part of `start`, for an app that is not started. Rejects when it can't be had. */
  extend(): Promise<void>
  /** Puts another configuration into force; calls under way keep going. */
  reload(config: Config): Promise<void>
  /** As `reload`, for one of several apps that share their actors: those are told by one of them. */
  adopt(config: Config): void
  /** Its metrics, for an app beside it that answers for both. `view`: the pool as it is now. */
  read(view: PoolView): Reading
  /** Answers a line of a batch. */
  readonly line: RunLine
  /** Takes over what an app that is no more has counted. */
  inherit(reading: Reading): void
  /** /readyz says 503 from now on; new calls are still served. */
  drain(): void
  /** Ends the calls under way, after all patience: a stream with an event that says so. */
  cut(): void
  /** Calls that have not ended yet. */
  inFlight(): number
  close(): Promise<void>
}

/** Puts an app together; nothing begins before its `start`. */
export function createApp(config: Config, host: Host): App {
  const readings = host.process
  const core = createCore(config, host, {
    alarms: new (host.isPerRequest ? OwnAlarms : SharedAlarms)(host),
    ...(readings && { showProcess: (meter) => showProcess(meter, readings) }),
  })
  const { answer, line } = dataPlane(core)
  let isHome = false

  const adopt = (next: Config) => {
    const kept = new Set(workersOf(next).map(({ url }) => url))
    for (const { url } of workersOf(core.config))
      if (!kept.has(url)) host.after(core.links.drop(core, opaqueId('w', url)))
    core.config = next
    core.buffers.limit = next.maxBuffered
  }

  const extend = async () => {
    core.extensions = (await host.extend?.(core.config, core)) ?? null
  }

  return {
    fetch: (request) => answer(request).promise(),
    answer,
    admin: controlPlane(core),
    extend,
    metrics: () => metricsAlone(core),
    start: async () => {
      if (config.dialect !== undefined) core.surface = await surfaceOf(config, host.parts)
      // In place of routers that go on without: it is looked for again until it is there, and each time told.
      if (config.dialect === undefined) await checkSources(host.parts?.sources ?? [], config, host.outside)
      await host.registry('main').start()
      await extend()
      await host.batches?.('main').start(line)
      isHome = true
      if (!host.isPerRequest) core.surface?.start?.(core)
    },
    reload: async (next) => {
      adopt(next)
      host.after(extend())
      host.tunnels?.configure(next)
      await Promise.all([host.registry('main').configure(next), host.pool('main').configure(next)])
    },
    adopt,
    line,
    read: (view) => readForPeers(core, view),
    inherit: core.meter.absorb,
    drain: () => {
      core.isDraining = true
      if (isHome) void host.batches?.('main').rest()
    },
    cut: () => core.alarms.end(),
    inFlight: () => core.live,
    close: async () => {
      // Those of other threads go on.
      if (isHome) await host.batches?.('main').stop()
    },
  }
}
