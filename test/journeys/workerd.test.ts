// The journeys through real workerd: its HTTP server, its streams, its Durable Objects; engines are real servers on loopback.
import { createServer, type AddressInfo } from 'node:net'
import { after } from 'node:test'
import { build } from 'esbuild'
import { Miniflare } from 'miniflare'
import { serve, type Served } from '../../adapters/node/http.ts'
import type { ConfigInput } from '../../src/config/schema.ts'
import type { Engine } from '../../src/simulator/engine.ts'
import { journeys } from './_journeys.ts'
import type { Fleet, Opened, OpenOptions } from './_rig.ts'

const workerd = await start()
/** Engines keep their ports when a router is opened again. */
const ports = new Map<Engine, Promise<Served>>()
after(async () => {
  await workerd.miniflare.dispose()
  for (const served of ports.values()) await (await served).close(0)
})

async function start() {
  const entry = new URL('workerd/entry.ts', import.meta.url).pathname
  const { outputFiles } = await build({
    entryPoints: [entry],
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
    },
    // Miniflare's own front would be one more proxy between client and router.
    unsafeDirectSockets: [{ host: '127.0.0.1', port: 0 }],
  })
  await miniflare.ready
  const { origin } = await miniflare.unsafeGetDirectURL('fetchway')
  return { miniflare, origin }
}

function portOf(engine: Engine): Promise<Served> {
  const served = ports.get(engine) ?? serve((request) => engine.fetch(request), { breaksOnError: true })
  ports.set(engine, served)
  return served
}

let count = 0

async function open(input: ConfigInput, fleet: Fleet, { store }: OpenOptions): Promise<Opened> {
  const urls = new Map<string, string>()
  for (const [name, engine] of Object.entries(fleet))
    urls.set(name, engine ? (await portOf(engine)).url : await closedPort())
  const defaults = {
    healthInterval: 'off',
    logLevel: process.env['WORKERD_LOG'] ?? 'silent',
    retryDelay: '1ms',
    host: '127.0.0.1',
    usage: 'all',
    keepAlive: 'off',
  }
  let text = JSON.stringify({ ...defaults, ...input })
  for (const [name, url] of urls) text = text.replaceAll(`"${name}"`, `"${url}"`)
  const router = `r${++count}`
  const variables = { FETCHWAY_CONFIG: text }
  const body = JSON.stringify({ prefix: store ?? router, variables })
  await fetch(`${workerd.origin}/open/${router}`, { method: 'POST', body })
  return {
    fetch: (request) => send(request, router),
    url: (name) => urls.get(name) ?? name,
    drain: () => undefined,
    reload: async () => undefined,
    close: async () => void (await fetch(`${workerd.origin}/close/${router}`)),
  }
}

/** Sends a request with a body of known length, as clients do. */
async function send(request: Request, router: string): Promise<Response> {
  const { method, signal } = request
  const headers = new Headers(request.headers)
  headers.set('x-router', router)
  const body = request.body ? await request.bytes() : null
  const url = request.url.replace('http://router', workerd.origin)
  return fetch(url, { method, headers, signal, body, redirect: 'manual' })
}

/** A URL where connections are refused. */
async function closedPort(): Promise<string> {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return `http://127.0.0.1:${port}`
}

journeys({
  name: 'workerd',
  open,
  gaps: ['real-clock', 'early-leave', 'blind-connect', 'fixed-configuration'],
})
