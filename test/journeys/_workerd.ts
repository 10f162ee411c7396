// Routers in one real workerd: its HTTP server, its streams, its Durable Objects; engines are real servers on loopback.
import type { Readable } from 'node:stream'
import { after } from 'node:test'
import { build } from 'esbuild'
import { Miniflare } from 'miniflare'
import { WebSocket } from 'ws'
import type { ConfigInput } from '../../src/config/schema.ts'
import type { Dialable } from './_dialled.ts'
import type { Fleet, OpenOptions } from './_rig.ts'
import { listenAll, named, send } from './_sockets.ts'

/** One bundle and one process for all routers: each of its own would take seconds to start. */
const workerd = await start()
after(() => workerd.miniflare.dispose())

async function start() {
  const { outputFiles } = await build({
    entryPoints: [new URL('workerd/entry.ts', import.meta.url).pathname],
    bundle: true,
    format: 'esm',
    target: 'es2024',
    external: ['cloudflare:*'],
    write: false,
  })
  const miniflare = new Miniflare({
    cf: false,
    name: 'fetchway',
    modules: true,
    script: outputFiles[0]?.text ?? '',
    compatibilityDate: '2026-07-30',
    durableObjects: {
      REGISTRY: { className: 'Registry', useSQLite: true },
      POOL: { className: 'Pool', useSQLite: true },
      LIMITER: { className: 'Limiter', useSQLite: true },
      TUNNEL: { className: 'Tunnel', useSQLite: true },
      BATCHES: { className: 'Batches', useSQLite: true },
    },
    // Miniflare's own front would be one more proxy between client and router.
    unsafeDirectSockets: [{ host: '127.0.0.1', port: 0 }],
    // What workerd says of connections that break, as they do here all the time.
    handleRuntimeStdio: (out: Readable, err: Readable) => {
      out.resume()
      err.resume()
    },
  })
  await miniflare.ready
  const { origin } = await miniflare.unsafeGetDirectURL('fetchway')
  return { miniflare, origin }
}

/** A router in workerd. */
export interface OpenedHere extends Dialable {
  /** Ends the incarnation of its pool: what that had in memory is lost. */
  losePool(): Promise<void>
  /** The same for the object of a worker that has dialled in. */
  loseTunnel(worker: string): Promise<void>
  /** The same for its registry. */
  loseRegistry(): Promise<void>
  /** The same for the object that keeps files and batches. */
  loseBatches(): Promise<void>
  /** A client's WebSocket. */
  socket(path: string, protocols?: string[]): WebSocket
}

let count = 0

/** workerd closes a connection that was idle for five seconds, also while the next request is on its way. */
const FRESH = { connection: 'close' }

/** As the other runtimes are unless the configuration says otherwise: every byte is watched, nobody is kept awake. */
const DEFAULTS = { logLevel: 'silent', host: '127.0.0.1', usage: 'all', keepAlive: 'off' } as const

/**
 * Opens a router with that configuration; what is wrong with it is told by its answers.
 * @param options `bindings` are bindings of VPC services by name (VIA_…), and the workers that they lead to
 */
export async function open(
  config: ConfigInput,
  fleet: Fleet,
  { store, bindings = {} }: OpenOptions & { readonly bindings?: Readonly<Record<string, string>> } = {},
): Promise<OpenedHere> {
  const urls = await listenAll(fleet)
  const router = `r${++count}`
  const through = Object.entries(bindings).map(([name, worker]) => [name, urls.get(worker)])
  const variables = {
    FETCHWAY_CONFIG: named({ ...DEFAULTS, ...config }, urls),
    ...(Object.fromEntries(through) as Record<string, string>),
  }
  await command('open', router, { prefix: store ?? router, variables })
  // The first request makes the objects.
  await fetch(`${workerd.origin}/readyz`, { headers: { ...FRESH, 'x-router': router } })
  return {
    fetch(request) {
      request.headers.set('x-router', router)
      request.headers.set('connection', FRESH.connection)
      return send(workerd.origin, request)
    },
    url: (name) => urls.get(name) ?? name,
    drain: () => fixed(),
    reload: () => fixed(),
    socket: (path, protocols = []) =>
      new WebSocket(workerd.origin.replace('http', 'ws') + path, protocols, {
        headers: { 'x-router': router },
      }),
    losePool: () => command('lose', router),
    loseTunnel: (worker) => command('cut', `${router}/${worker}`),
    loseRegistry: () => command('forget', router),
    loseBatches: () => command('halt', router),
    at: `${workerd.origin}/in/${router}`,
    close: () => command('close', router),
  }
}

function fixed(): never {
  throw new Error('only a deployment changes the configuration of a Worker')
}

async function command(name: string, router: string, body?: object): Promise<void> {
  const response = await fetch(`${workerd.origin}/${name}/${router}`, {
    method: 'POST',
    headers: FRESH,
    ...(body && { body: JSON.stringify(body) }),
  })
  if (!response.ok) throw new Error(await response.text())
}
