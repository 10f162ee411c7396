// The journeys with every worker behind a tunnel: real sockets in front of the router, and one WebSocket for each worker.
import { createHost } from '../../adapters/node/host.ts'
import { serve } from '../../adapters/node/http.ts'
import { createApp } from '../../src/app.ts'
import { configSchema, type ConfigInput } from '../../src/config/schema.ts'
import { dialledIn, type Dialable } from './_dialled.ts'
import { journeys } from './_journeys.ts'
import { send } from './_sockets.ts'
import { tunnelFaults } from './_tunnel-faults.ts'

async function open(input: ConfigInput): Promise<Dialable> {
  const read = (config: ConfigInput) =>
    configSchema.parse({ healthInterval: 'off', retryDelay: '1ms', state: 'off', ...config })
  const config = read(input)
  const host = createHost(config, () => undefined)
  const app = createApp(config, host)
  await app.start()
  const front = await serve((request) => app.fetch(request), {
    maxHeader: config.maxHeader,
    maxBody: config.maxBody,
  })
  return {
    at: front.url,
    fetch: (request) => send(front.url, request),
    url: (name) => name,
    drain: () => app.drain(),
    reload: (next) => app.reload(read(next)),
    async close() {
      host.tunnels.close()
      await front.close(0)
      host.close()
    },
  }
}

journeys({
  name: 'tunnel',
  open: dialledIn(open),
  gaps: ['real-clock', 'fixed-configuration', 'dialled-in', 'no-sockets'],
})
tunnelFaults('node', open, true)
