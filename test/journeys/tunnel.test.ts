// The journeys with every worker behind a tunnel: real sockets in front of the router, and one WebSocket for each worker.
import { createClient } from '../../adapters/cli/connect.ts'
import { createHost } from '../../adapters/node/host.ts'
import { serve } from '../../adapters/node/http.ts'
import { dialer } from '../../adapters/node/wire/websocket.ts'
import { createApp } from '../../src/app.ts'
import { configSchema, workerSchema, type ConfigInput, type WorkerSpec } from '../../src/config/schema.ts'
import { opaqueId } from '../../src/hash.ts'
import type { Host } from '../../src/host.ts'
import type { TunnelClient } from '../../src/tunnel/client.ts'
import { journeys } from './_journeys.ts'
import { eventually, type Fleet, type Opened } from './_rig.ts'
import { listenAll, send } from './_sockets.ts'

const TOKEN = 'journey'
const nameOf = (url: string) => new URL(url).hostname

async function open(input: ConfigInput, fleet: Fleet): Promise<Opened> {
  // They dial in: what the configuration says of them besides is set when they are there.
  const read = (config: ConfigInput) =>
    configSchema.parse({
      healthInterval: 'off',
      retryDelay: '1ms',
      state: 'off',
      tunnelTokens: [TOKEN],
      ...config,
      workers: [],
    })
  const config = read(input)
  const host = createHost(config, () => undefined)
  const app = createApp(config, host)
  await app.start()
  const front = await serve((request) => app.fetch(request), {
    maxHeader: config.maxHeader,
    maxBody: config.maxBody,
  })
  const wanted = (input.workers ?? []).map((worker) =>
    workerSchema.parse(typeof worker === 'string' ? { url: worker } : worker),
  )
  const urls = await listenAll(fleet)
  const clients: TunnelClient[] = []
  for (const spec of wanted) {
    const behind = urls.get(spec.url) ?? spec.url
    const client = createClient({
      router: front.url,
      engine: behind,
      token: TOKEN,
      name: nameOf(spec.url),
      dialer,
      tell: () => undefined,
    })
    clients.push(client)
    void client.run()
    await isThere(host, spec)
  }
  await host.registry('main').settled()
  return {
    fetch: (request) => send(front.url, request),
    url: (name) => `tunnel:${nameOf(name)}`,
    drain: () => app.drain(),
    reload: (next) => app.reload(read(next)),
    async close() {
      for (const client of clients) client.stop()
      host.tunnels.close()
      await front.close(0)
      host.close()
    },
  }
}

async function isThere(host: Host, { url: _, ...spec }: WorkerSpec): Promise<void> {
  const registry = host.registry('main')
  const id = opaqueId('w', `tunnel:${nameOf(_)}`)
  await eventually(
    async () => (await registry.get(id)) !== null,
    () => 'it never came',
  )
  await registry.patch(id, { spec })
  // It was asked without its key before.
  if (spec.apiKey !== undefined)
    await eventually(
      async () => (await registry.get(id))?.known === true,
      () => 'it never became known',
    )
}

journeys({ name: 'tunnel', open, gaps: ['real-clock', 'fixed-configuration', 'dialled-in'] })
