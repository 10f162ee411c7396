// The journeys through the Node adapter: real sockets in front of the router and behind it.
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import { createHost } from '../../adapters/node/host.ts'
import { serve, type Served } from '../../adapters/node/http.ts'
import { createApp } from '../../src/app.ts'
import { configSchema, type ConfigInput } from '../../src/config/schema.ts'
import type { Engine } from '../../src/simulator/engine.ts'
import { journeys } from './_journeys.ts'
import type { Fleet, Opened, OpenOptions } from './_rig.ts'

const directory = await mkdtemp(join(tmpdir(), 'fetchway-journeys-'))
/** Engines keep their ports when a router is opened again. */
const ports = new Map<Engine, Promise<Served>>()
after(async () => {
  await rm(directory, { recursive: true, force: true })
  for (const served of ports.values()) await (await served).close(0)
})

function portOf(engine: Engine): Promise<Served> {
  const served = ports.get(engine) ?? serve((request) => engine.fetch(request), { breaksOnError: true })
  ports.set(engine, served)
  return served
}

async function open(input: ConfigInput, fleet: Fleet, { store }: OpenOptions): Promise<Opened> {
  const urls = new Map<string, string>()
  for (const [name, engine] of Object.entries(fleet))
    urls.set(name, engine ? (await portOf(engine)).url : await closedPort())
  const read = (config: ConfigInput) => {
    let text = JSON.stringify({ healthInterval: 'off', retryDelay: '1ms', ...config })
    for (const [name, url] of urls) text = text.replaceAll(`"${name}"`, `"${url}"`)
    return configSchema.parse(JSON.parse(text))
  }
  const state = store === undefined ? 'off' : join(directory, `${store}.json`)
  const config = read({ state, ...input })
  const host = createHost(config, () => undefined)
  const app = createApp(config, host)
  await app.start()
  await host.registry('main').settled()
  const { maxHeader, maxBody } = config
  const front = await serve((request) => app.fetch(request), { maxHeader, maxBody })
  return {
    fetch: (request) => send(front.url, request),
    url: (name) => urls.get(name) ?? name,
    drain: () => app.drain(),
    reload: (next) => app.reload(read({ workers: Object.keys(fleet), ...next })),
    async close() {
      await front.close(0)
      await app.close()
      host.close()
    },
  }
}

/** Sends a request with a body of known length, as clients do. */
async function send(url: string, request: Request): Promise<Response> {
  const { method, headers, signal } = request
  const body = request.body ? await request.bytes() : null
  return fetch(request.url.replace('http://router', url), {
    method,
    headers,
    signal,
    body,
    redirect: 'manual',
  })
}

/** A URL where connections are refused. */
async function closedPort(): Promise<string> {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return `http://127.0.0.1:${port}`
}

journeys({ name: 'node', open, gaps: ['real-clock'] })
