// Runs the app in a Node process: listeners, signals, and an end that loses no stream.
import type { Config } from '../../src/config/schema.ts'
import type { LogEvent } from '../../src/host.ts'
import { installKernel } from '../../src/kernel/wasm.ts'
import { endOnSignals, untilIdle } from '../web/ending.ts'
import { noteAtOnce } from './feedback.ts'
import { serveHere } from './front.ts'
import { createHost } from './host.ts'
import { mayShare, serveAdmin, serveMetrics, serveOptions } from './listen.ts'
import { createLog, listeningLine } from './log.ts'
import { boundNursery } from './nursery.ts'
import { keepWhenQuiet } from './quiet.ts'
import { replyByText } from './text-response.ts'

/** So long at most a client may take to read how its call was ended, ms. */
const LAST_WORDS = 300

/** A router that runs. */
export interface Running {
  /** Where it listens: `http://127.0.0.1:8000`. */
  readonly url: string
  /** Where its control plane listens, when that has a listener of its own. */
  readonly adminUrl: string | null
  /** Where the metrics have a listener of their own. */
  readonly metricsUrl: string | null
  /** Puts another configuration into force, as far as it can change while running; calls under way keep going. */
  reload(config: Config): Promise<void>
  /** Lets streams finish (at most `config.grace`), then closes everything. */
  stop(): Promise<void>
}

/**
 * Serves the app by a configuration and prints one line telling where. SIGTERM and SIGINT end it: readiness goes off at once
 * while the listener stays open, calls in flight finish, then the process exits with 0; a second signal exits at once.
 * Rejects when it can't listen.
 */
export async function serveApp(
  given: Config,
  announce: (line: string) => void = sayOnStdout,
): Promise<Running> {
  let { grace } = given
  let write = createLog(given)
  const log = (event: LogEvent) => write(event)
  const config = await withThreads(given, log)
  const profiled =
    config.profile === undefined ? null : await (await import('./profile.ts')).profileTo(config.profile, log)
  const options = serveOptions(config, log)
  if (options.isOwn) replyByText()
  const host = createHost(config, log)
  const serveFront = config.threads > 1 ? (await import('./threads/front.ts')).serveByThreads : serveHere
  const front = await serveFront({ config, host, options, log })
  const { app } = front
  const admin = await serveAdmin((request) => app.admin(request), config, options)
  const metrics = await serveMetrics((request) => app.metrics(request), config, options, log)
  let stopping: Promise<void> | null = null
  const stop = () => (stopping ??= finish())
  const finish = async () => {
    const deadline = performance.now() + grace
    app.drain()
    front.drain()
    admin?.drain()
    await untilIdle(() => front.inFlight(), deadline)
    // Whoever has had no end until now learns why; that takes a moment.
    front.cut()
    await untilIdle(() => front.inFlight(), performance.now() + LAST_WORDS)
    // Their sockets would be waited for.
    host.tunnels.close()
    const left = Math.min(Math.max(0, deadline - performance.now()), 1000)
    await Promise.all([front.close(left), admin?.close(left), metrics?.close(0)])
    await app.close()
    await host.recorded()
    await profiled?.()
    host.close()
  }
  const reload = async (next: Config) => {
    await app.reload(next)
    front.adopt(next)
    write = createLog(next)
    grace = next.grace
  }
  announce(listeningLine(given, front.url, admin?.url ?? null))
  // What goes to stdout alone is looked for in the kept log, too.
  if (given.logDir !== undefined) log({ level: 'info', message: `listening on ${front.url}` })
  endOnSignals(stop, log)
  // What V8 is told counts for all threads. Those that serve have more garbage, so they say when it is enough.
  if (config.threads === 1) boundNursery()
  keepWhenQuiet()
  noteAtOnce()
  installKernel()
  return { url: front.url, adminUrl: admin?.url ?? null, metricsUrl: metrics?.url ?? null, stop, reload }
}

/** With one thread where the system can't give several of them one port. */
async function withThreads(config: Config, log: (event: LogEvent) => void): Promise<Config> {
  const { threads, host, port } = config
  if (threads === 1 || (await mayShare(host, port))) return config
  const message = `${process.platform} cannot share a port among threads: serving with one in place of ${threads}`
  log({ level: 'warn', message })
  return { ...config, threads: 1 }
}

const sayOnStdout = (line: string) => void process.stdout.write(`${line}\n`)
