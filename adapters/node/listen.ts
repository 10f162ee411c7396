// How the listeners of a configuration are set up.
import { createServer } from 'node:net'
import type { Config } from '../../src/config/schema.ts'
import { parseAddress } from '../../src/config/urls.ts'
import type { LogEvent } from '../../src/host.ts'
import { adminPlace } from '../web/ending.ts'
import { tlsOf } from '../web/pem.ts'
import { serve } from './http.ts'
import type { Handler, Served, ServeOptions } from './http.ts'

/** Options of the main listener; reads the certificate. */
export function serveOptions(config: Config, log: (event: LogEvent) => void): ServeOptions {
  const { host, port, socket, maxHeader, maxBody, dialect } = config
  const onError = (error: unknown) =>
    log({ level: 'error', message: 'A request failed inside the router', error })
  const isOwn = dialect === undefined
  const where = { host, port, ...(socket !== undefined && { socket }) }
  return { ...where, ...tlsOf(config), maxHeader, maxBody, onError, isOwn }
}

/** The control plane's own listener: `HOST:PORT`, `:PORT`, `PORT`, or `unix:/path`. Null when it has none. */
export async function serveAdmin(
  handler: Handler,
  config: Config,
  options: ServeOptions,
): Promise<Served | null> {
  const { socket: _, ...shared } = options
  const address = config.adminListen
  if (address === undefined) return null
  return serve(handler, { ...shared, ...adminPlace(address) })
}

/**
 * The metrics' own listener (`HOST:PORT`). Null where none is configured, or its address is taken: that is logged, for
 * calls are worth more than their metrics.
 */
export async function serveMetrics(
  handler: Handler,
  { metricsListen }: Config,
  options: ServeOptions,
  log: (event: LogEvent) => void,
): Promise<Served | null> {
  const address = metricsListen === undefined ? null : parseAddress(metricsListen)
  if (address === null) return null
  const { socket: _, tls: __, ...shared } = options
  try {
    return await serve(handler, { ...shared, ...address })
  } catch (error) {
    const why = error instanceof Error && 'code' in error ? String(error.code) : String(error)
    log({ level: 'error', message: `no metrics at ${metricsListen}: ${why}` })
    return null
  }
}

/**
 * Makes sure that an address is free before several threads share it, for then the system would let another program's
 * share it, too. Rejects with the system's error (`EADDRINUSE`, …).
 * @returns whether this system can share ports among threads at all
 */
export async function mayShare(host: string, port: number): Promise<boolean> {
  await tryListening({ host, port })
  try {
    await tryListening({ host, port: 0, reusePort: true })
    return true
  } catch {
    // macOS and Windows say ENOTSUP, as an old kernel does.
    return false
  }
}

function tryListening(where: { host: string; port: number; reusePort?: boolean }): Promise<void> {
  const server = createServer()
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(where, () => server.close(() => resolve()))
  })
}
