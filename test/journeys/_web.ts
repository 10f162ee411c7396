// A router on the plain web-standard host: no sockets, and actors behind a wall that lets only cloneable values through.
import { createWebHost } from '../../adapters/web/host.ts'
import type { Storage } from '../../src/actors/actor.ts'
import { localActors, memoryStorage, strict } from '../../src/actors/local.ts'
import { createApp } from '../../src/app.ts'
import { configSchema, type ConfigInput } from '../../src/config/schema.ts'
import type { Host } from '../../src/host.ts'
import { createClock } from '../_clock.ts'
import { network, visit } from './_network.ts'
import type { Fleet, Opened, OpenOptions } from './_rig.ts'

const stores = new Map<string, Storage>()

function storageOf(name: string): Storage {
  const storage = stores.get(name) ?? memoryStorage()
  stores.set(name, storage)
  return storage
}

const read = (config: ConfigInput) =>
  configSchema.parse({ healthInterval: 'off', logLevel: 'silent', retryDelay: '1ms', ...config })

/** Opens a router in this process; its engines are called directly. */
export async function open(input: ConfigInput, fleet: Fleet, options: OpenOptions): Promise<Opened> {
  const config = read(input)
  const clock = options.movesClock ? createClock() : null
  const live = new Set<() => void>()
  const plain = createWebHost(config, { log: () => undefined, fetch: network(fleet) })
  const timer: Host['timer'] = (ms, run) => {
    const cancel = plain.timer(ms, () => {
      live.delete(cancel)
      run()
    })
    live.add(cancel)
    return () => {
      live.delete(cancel)
      cancel()
    }
  }
  const seams = { ...plain, timer, ...(clock && { now: clock.now, timer: clock.timer }) }
  const storage = options.store === undefined ? memoryStorage() : storageOf(options.store)
  const host: Host = { ...seams, ...strict(localActors(config, seams, () => storage)) }
  const app = createApp(config, host)
  await app.start()
  const settled = host.registry('main').settled()
  await clock?.advance(0)
  await settled
  return {
    fetch: (request) => visit((visited) => app.fetch(visited), request),
    url: (name) => name,
    drain: () => app.drain(),
    reload: (next) => app.reload(read({ workers: Object.keys(fleet), ...next })),
    ...(clock && { pass: (ms: number) => clock.advance(ms) }),
    async close() {
      await app.close()
      for (const cancel of live) cancel()
    },
  }
}
