// Runs the app in a Node process: listeners, signals, and an end that loses no stream.
import { readFile } from 'node:fs/promises'
import { constants } from 'node:os'
import { createApp } from '../../src/app.ts'
import type { Config } from '../../src/config/schema.ts'
import type { LogEvent } from '../../src/host.ts'
import { createHost } from './host.ts'
import { serve } from './http.ts'
import type { Handler, Served, ServeOptions } from './http.ts'
import { createLog } from './log.ts'
import { boundNursery } from './nursery.ts'

/** One Ctrl-C may come twice: from the terminal, and passed on by npm or by the Node that handed over. Milliseconds. */
const ECHO = 100

/** A router that runs. */
export interface Running {
  /** Where it listens: `http://127.0.0.1:8000`. */
  readonly url: string
  /** Where its control plane listens, when that has a listener of its own. */
  readonly adminUrl: string | null
  /** Puts another configuration into force; listeners stay as they are. */
  reload(config: Config): Promise<void>
  /** Lets streams finish (at most `config.grace`), then closes everything. */
  stop(): Promise<void>
  /** Puts another configuration into force, as far as it can change while running; calls under way keep going. */
  reload(config: Config): Promise<void>
}

/**
 * Serves the app by a configuration and prints one line telling where. SIGTERM and SIGINT end it: readiness goes off at once
 * while the listener stays open, calls in flight finish, then the process exits with 0; a second signal exits at once.
 * Rejects when it can't listen.
 */
export async function serveApp(
  config: Config,
  announce: (line: string) => void = sayOnStdout,
): Promise<Running> {
  let { grace } = config
  let write = createLog(config)
  const log = (event: LogEvent) => write(event)
  const host = createHost(config, log)
  const app = createApp(config, host)
  const options = await serveOptions(config, log)
  await app.start()
  const main = await serve((request) => app.fetch(request), options)
  const admin =
    config.adminListen === undefined
      ? null
      : await serveAdmin((request) => app.admin(request), config, options)
  const served = admin ? [main, admin] : [main]
  let stopping: Promise<void> | null = null
  const stop = () => (stopping ??= finish())
  const finish = async () => {
    const deadline = performance.now() + grace
    app.drain()
    for (const one of served) one.drain()
    await untilIdle(() => app.inFlight(), deadline)
    const left = Math.max(0, deadline - performance.now())
    await Promise.all(served.map((one) => one.close(Math.min(left, 1000))))
    await app.close()
    host.close()
  }
  const reload = async (next: Config) => {
    await app.reload(next)
    write = createLog(next)
    grace = next.grace
  }
  // On stdout whatever the log level: scripts that take a free port (--port 0) read it there.
  announce(`Listening on ${main.url}${admin ? `, control plane on ${admin.url}` : ''}`)
  handleSignals(stop, log)
  boundNursery()
  return { url: main.url, adminUrl: admin?.url ?? null, stop, reload }
}

async function serveOptions(config: Config, log: (event: LogEvent) => void): Promise<ServeOptions> {
  const { host, port, socket, tlsCert, tlsKey, maxHeader, maxBody } = config
  const tls = tlsCert && tlsKey ? { tls: { cert: await readFile(tlsCert), key: await readFile(tlsKey) } } : {}
  const onError = (error: unknown) =>
    log({ level: 'error', message: 'A request failed inside the router', error })
  return { host, port, ...(socket === undefined ? {} : { socket }), ...tls, maxHeader, maxBody, onError }
}

/** The control plane's own listener: `HOST:PORT`, `:PORT`, `PORT`, or `unix:/path`. */
function serveAdmin(handler: Handler, config: Config, options: ServeOptions): Promise<Served> {
  const { socket: _, ...shared } = options
  const address = config.adminListen ?? ''
  if (address.startsWith('unix:')) return serve(handler, { ...shared, socket: address.slice('unix:'.length) })
  const match = /^(?:(.*):)?(\d{1,5})$/.exec(address)
  if (!match) throw new Error(`adminListen is HOST:PORT, not ${address}`)
  const host = match[1]?.replace(/^\[(.*)\]$/, '$1') || '127.0.0.1'
  return serve(handler, { ...shared, host, port: Number(match[2]) })
}

const sayOnStdout = (line: string) => void process.stdout.write(`${line}\n`)

/** Waits until nothing is in flight, looking often enough that a short one does not hold up the end. */
async function untilIdle(inFlight: () => number, deadline: number): Promise<void> {
  while (inFlight() > 0 && performance.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

function handleSignals(stop: () => Promise<void>, log: (event: LogEvent) => void): void {
  let stoppingSince = 0
  const onSignal = (signal: NodeJS.Signals) => {
    if (stoppingSince > 0) {
      if (performance.now() - stoppingSince > ECHO) process.exit(128 + constants.signals[signal])
      return
    }
    stoppingSince = performance.now()
    log({ level: 'info', message: `${signal}: finishing what is in flight; a second signal ends at once` })
    stop()
      .catch((error: unknown) => log({ level: 'error', message: 'Stopping failed', error }))
      .finally(() => process.exit(0))
  }
  process.on('SIGTERM', onSignal)
  process.on('SIGINT', onSignal)
  process.on('unhandledRejection', (error) =>
    log({ level: 'error', message: 'A promise failed unseen', error }),
  )
  process.on('uncaughtException', (error) =>
    log({ level: 'error', message: 'An error was not caught', error }),
  )
}
