// Several routers over one simulated fleet, that reach each other by their URLs.
import { createWebHost, type WebHost } from '../../adapters/web/host.ts'
import { createApp, type App } from '../../src/app.ts'
import { configSchema, type ConfigInput } from '../../src/config/schema.ts'
import type { LogEvent } from '../../src/host.ts'
import { network } from '../journeys/_network.ts'
import { chat, CHAT, engine, W1, W2, type Json } from '../journeys/_rig.ts'

export const KEY = 'between-routers'

export interface Router {
  readonly app: App
  readonly host: WebHost
  readonly logged: LogEvent[]
  /** Paths and sizes of what other routers said to it. */
  readonly heard: { readonly text: string }[]
  /** Nobody reaches it. `hangs`: it takes calls and answers none. */
  state: 'up' | 'down' | 'hangs'
  post(body?: Json, headers?: Record<string, string>): Promise<Response>
  admin(path: string): Promise<Json>
}

export const urlOf = (index: number): string => `http://router${index}:8000`

/** Opens as many routers as there are configurations; workers w1 and w2 are theirs together. */
export async function routers(...inputs: ConfigInput[]) {
  const fleet = { [W1]: engine(), [W2]: engine() }
  const upstream = network(fleet)
  const all: Router[] = []
  const send = async (url: string, init: RequestInit): Promise<Response> => {
    const index = inputs.findIndex((_, at) => url.startsWith(urlOf(at)))
    if (index < 0) return upstream(url, init)
    const router = all[index] as Router
    if (router.state === 'hangs')
      return new Promise((_, reject) =>
        init.signal?.addEventListener('abort', () => reject(new Error('aborted'))),
      )
    if (router.state === 'down')
      throw new TypeError('fetch failed', {
        cause: Object.assign(new Error('refused'), { code: 'ECONNREFUSED' }),
      })
    const { signal: _signal, ...rest } = init
    const request = new Request(url, rest)
    router.heard.push({ text: await request.clone().text() })
    return router.app.fetch(request)
  }
  for (const input of inputs) {
    const config = configSchema.parse({
      workers: Object.keys(fleet),
      adminKey: KEY,
      healthInterval: 'off',
      loadInterval: 'off',
      logLevel: 'silent',
      ...input,
    })
    const logged: LogEvent[] = []
    const host = createWebHost(config, { log: (event) => logged.push(event), fetch: send })
    const app = createApp(config, host)
    const router: Router = {
      app,
      host,
      logged,
      heard: [],
      state: 'up',
      post: (body = chat(), headers = {}) =>
        app.fetch(
          new Request(`http://here${CHAT}`, {
            method: 'POST',
            headers: { 'content-type': 'application/json', ...headers },
            body: JSON.stringify(body),
          }),
        ),
      admin: async (path) => {
        const headers = { authorization: `Bearer ${KEY}` }
        return (await app.fetch(new Request(`http://here/fetchway/v1${path}`, { headers }))).json()
      },
    }
    all.push(router)
  }
  for (const { app } of all) await app.start()
  for (const { host } of all) await host.registry('main').settled()
  return {
    all,
    fleet,
    async close() {
      for (const { app } of all) await app.close()
      for (const { host } of all) host.close()
    },
  }
}
