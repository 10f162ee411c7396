// Runs the app on a runtime whose own server speaks Request and Response (Deno, Bun): listeners, signals, and an end that
// loses no stream.
import { createApp, type App } from '../../src/app.ts'
import type { Config } from '../../src/config/schema.ts'
import type { LogEvent } from '../../src/host.ts'
import { installKernel } from '../../src/kernel/wasm.ts'
import { createLog, listeningLine } from '../node/log.ts'
import { adminPlace, endOnSignals, untilIdle } from './ending.ts'
import { tlsOf } from './pem.ts'
import type { SocketHost } from './socket-host.ts'

export type Handler = (request: Request) => Promise<Response>

export interface ListenOptions {
  readonly host: string
  /** 0 takes a free one. */
  readonly port: number
  /** Unix socket to listen on in place of host and port. */
  readonly socket?: string
  /** PEM texts: serve HTTPS. */
  readonly tls?: { readonly cert: string; readonly key: string }
  /** Largest request head, bytes, where the runtime can be told. */
  readonly maxHeader: number
  /** Largest request body, bytes, where the runtime's server can be told. */
  readonly maxBody: number
  /** Hears of a handler that threw: a bug, for its contract is to answer. */
  readonly onError: (error: unknown) => void
}

export interface Listener {
  /** `http://127.0.0.1:8000`, or `unix:/path`. */
  readonly url: string
  /** Takes no new connections, waits for responses at most `graceMs`, then ends what is left. */
  close(graceMs: number): Promise<void>
}

/** What a runtime gives of its own. */
export interface Platform {
  host(config: Config, log: (event: LogEvent) => void): SocketHost
  /** Rejects with the system's error (`EADDRINUSE`, …) when it can't listen. */
  listen(handler: Handler, options: ListenOptions): Promise<Listener>
}

/** A router that runs. */
export interface Running {
  readonly url: string
  /** Where its control plane listens, when that has a listener of its own. */
  readonly adminUrl: string | null
  /** Puts another configuration into force; listeners stay as they are. */
  reload(config: Config): Promise<void>
  /** Lets streams finish (at most `config.grace`), then closes everything. */
  stop(): Promise<void>
}

/** An app on its host, before anybody listens. */
export interface Started {
  readonly app: App
  /** The app's data plane; from `end` on its answers ask clients to open no further request on their connections. */
  readonly fetch: Handler
  readonly log: (event: LogEvent) => void
  reload(config: Config): Promise<void>
  /** Readiness goes off; resolves when calls in flight have ended or their grace is over, and the listeners are closed. */
  end(listeners: readonly Pick<Listener, 'close'>[]): Promise<void>
}

/** So long at most a client may take to read how its call was ended, ms. */
const LAST_WORDS = 300

/** Makes the app and lets it look at its workers. */
export async function startApp(platform: Platform, config: Config): Promise<Started> {
  let { grace } = config
  let write = createLog(config)
  const log = (event: LogEvent) => write(event)
  const host = platform.host(config, log)
  const app = createApp(config, host)
  await app.start()
  installKernel()
  const reload = async (next: Config) => {
    await app.reload(next)
    write = createLog(next)
    grace = next.grace
  }
  let isEnding = false
  const fetch: Handler = (request) =>
    isEnding ? app.fetch(request).then(lastOfConnection) : app.fetch(request)
  const end: Started['end'] = async (listeners) => {
    const deadline = performance.now() + grace
    isEnding = true
    app.drain()
    await untilIdle(() => app.inFlight(), deadline)
    // Whoever has had no end until now learns why; that takes a moment.
    app.cut()
    await untilIdle(() => app.inFlight(), performance.now() + LAST_WORDS)
    // Their sockets would be waited for.
    host.tunnels.close()
    const left = Math.max(0, deadline - performance.now())
    await Promise.all(listeners.map((one) => one.close(Math.min(left, 1000))))
    await app.close()
    host.close()
  }
  return { app, fetch, log, reload, end }
}

/**
 * Serves the app by a configuration and prints one line telling where. SIGTERM and SIGINT end it: readiness goes off at once
 * while the listener stays open, calls in flight finish, then the process exits with 0; a second signal exits at once.
 * Rejects when it can't listen.
 */
export async function serveApp(platform: Platform, config: Config): Promise<Running> {
  const started = await startApp(platform, config)
  const { fetch, log, reload, end } = started
  const main = await platform.listen(fetch, listenOptions(config, log))
  const admin = await listenForAdmin(platform, config, started)
  const metrics = await listenForMetrics(platform, config, started)
  const listeners = [main, admin, metrics].filter((one) => one !== null)
  let stopping: Promise<void> | null = null
  const stop = () => (stopping ??= end(listeners))
  announce(config, main.url, admin?.url ?? null)
  endOnSignals(stop, log)
  return { url: main.url, adminUrl: admin?.url ?? null, reload, stop }
}

function lastOfConnection(response: Response): Response {
  if (response.status !== 101) response.headers.set('connection', 'close')
  return response
}

/** Tells on stdout where the router listens. */
export function announce(config: Config, url: string, adminUrl: string | null): void {
  process.stdout.write(`${listeningLine(config, url, adminUrl)}\n`)
}

/** The control plane's own listener, where one is configured. */
export async function listenForAdmin(
  platform: Platform,
  config: Config,
  { app, log }: Pick<Started, 'app' | 'log'>,
): Promise<Listener | null> {
  const { adminListen } = config
  if (adminListen === undefined) return null
  const options = adminOptions(adminListen, listenOptions(config, log))
  return platform.listen((request) => app.admin(request), options)
}

/** The metrics' own listener; an address that is taken is logged, for calls are worth more than their metrics. */
async function listenForMetrics(
  platform: Platform,
  config: Config,
  { app, log }: Pick<Started, 'app' | 'log'>,
): Promise<Listener | null> {
  const { metricsListen } = config
  if (metricsListen === undefined) return null
  const { tls: _, ...options } = adminOptions(metricsListen, listenOptions(config, log))
  try {
    return await platform.listen((request) => app.metrics(request), options)
  } catch (error) {
    log({ level: 'error', message: `no metrics at ${metricsListen}`, error: String(error) })
    return null
  }
}

function listenOptions(config: Config, log: (event: LogEvent) => void): ListenOptions {
  const { host, port, socket, maxHeader, maxBody } = config
  const onError = (error: unknown) =>
    log({ level: 'error', message: 'A request failed inside the router', error })
  return {
    host,
    port,
    ...(socket !== undefined && { socket }),
    ...tlsOf(config),
    maxHeader,
    maxBody,
    onError,
  }
}

function adminOptions(address: string, options: ListenOptions): ListenOptions {
  const { socket: _, ...shared } = options
  return { ...shared, ...adminPlace(address) }
}
