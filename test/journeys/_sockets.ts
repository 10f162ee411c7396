// Real sockets for journeys: engines on ports of this process, and a client in front of the router.
import { createServer } from 'node:net'
import { after } from 'node:test'
import { serve, type Served } from '../../adapters/node/http.ts'
import type { ConfigInput } from '../../src/config/schema.ts'
import type { Engine } from '../../src/simulator/engine.ts'
import type { Fleet } from './_rig.ts'

/** Engines keep their ports when a router is opened again. */
const ports = new Map<Engine, Promise<Served>>()
after(async () => {
  for (const served of ports.values()) await (await served).close(0)
})

function portOf(engine: Engine): Promise<Served> {
  const served = ports.get(engine) ?? serve((request) => engine.fetch(request), { breaksOnError: true })
  ports.set(engine, served)
  return served
}

/** The fleet's URLs by the names that journeys use; where nobody is to listen, connections are refused. */
export async function listenAll(fleet: Fleet): Promise<Map<string, string>> {
  const urls = new Map<string, string>()
  for (const [name, engine] of Object.entries(fleet))
    urls.set(name, engine ? (await portOf(engine)).url : await closedPort())
  return urls
}

/** A journey's configuration with the URLs of this machine; probes are off unless it says otherwise. */
export function named(config: ConfigInput, urls: ReadonlyMap<string, string>): ConfigInput {
  let text = JSON.stringify({ healthInterval: 'off', retryDelay: '1ms', ...config })
  for (const [name, url] of urls) text = text.replaceAll(`"${name}"`, `"${url}"`)
  const read = JSON.parse(text) as ConfigInput
  const workers = read.workers?.map((worker) => {
    if (typeof worker === 'string' || !worker.bootstrapPort) return worker
    // The bootstrap server of a simulated engine is the engine itself.
    return { ...worker, bootstrapPort: Number(new URL(worker.url).port) }
  })
  return workers ? { ...read, workers } : read
}

/** Sends a journey's request to a router with a body of known length, as clients do. */
export async function send(url: string, request: Request): Promise<Response> {
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
const closedPort = async () => `http://127.0.0.1:${await freePort()}`

/**
 * A port that nobody listens on, and that no system gives to whoever asks for any: those begin at 32768 or above. So it
 * stays free, however many other tests open sockets meanwhile.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = 10_000 + Math.floor(Math.random() * 20_000)
    const server = createServer()
    const isFree = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false))
      server.listen(port, '127.0.0.1', () => resolve(true))
    })
    if (!isFree) continue
    await new Promise((resolve) => server.close(resolve))
    return port
  }
}
