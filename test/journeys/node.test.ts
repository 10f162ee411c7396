// The journeys through the Node adapter: real sockets in front of the router and behind it.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import { createHost } from '../../adapters/node/host.ts'
import { serve } from '../../adapters/node/http.ts'
import { createApp } from '../../src/app.ts'
import { configSchema, type ConfigInput } from '../../src/config/schema.ts'
import { journeys } from './_journeys.ts'
import type { Fleet, Opened, OpenOptions } from './_rig.ts'
import { listenAll, named, send } from './_sockets.ts'

const directory = await mkdtemp(join(tmpdir(), 'fetchway-journeys-'))
after(() => rm(directory, { recursive: true, force: true }))

async function open(input: ConfigInput, fleet: Fleet, { store }: OpenOptions): Promise<Opened> {
  const urls = await listenAll(fleet)
  const read = (config: ConfigInput) => configSchema.parse(named(config, urls))
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

journeys({ name: 'node', open, gaps: ['real-clock'] })
