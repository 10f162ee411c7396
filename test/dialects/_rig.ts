// A router that speaks a dialect, with its fleet in this process.
import { after } from 'node:test'
import { createWebHost } from '../../adapters/web/host.ts'
import { localActors, memoryStorage } from '../../src/actors/local.ts'
import { createApp } from '../../src/app.ts'
import { configSchema, type ConfigInput } from '../../src/config/schema.ts'
import type { Dialect } from '../../src/dialects/dialect.ts'
import type { Host, LogEvent } from '../../src/host.ts'
import { createClock } from '../_clock.ts'
import { network } from '../journeys/_network.ts'
import type { Fleet, Json } from '../journeys/_rig.ts'

/** Timers of routers that nobody asks any more. */
const live = new Set<() => void>()
after(() => {
  for (const cancel of live) cancel()
})

/** Whatever answers in place of an engine: a validator, an issuer of tokens. */
export type Server = Pick<NonNullable<Fleet[string]>, 'fetch'>

export interface Asked {
  readonly method?: string
  readonly headers?: Record<string, string>
  readonly body?: unknown
}

export interface Reply {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  readonly json: Json
}

export interface Rigged {
  ask(path: string, asked?: Asked): Promise<Reply>
  metrics(): Promise<string>
  pass(ms: number): Promise<void>
  drain(): void
  /** Milliseconds since the router was opened. */
  now(): number
  readonly logged: LogEvent[]
}

/** What a router gets besides its flags. */
export type Besides = ConfigInput & {
  readonly movesClock?: boolean
  /** What the runtime lends, in place of its own. */
  readonly lends?: Partial<Pick<Host, 'random' | 'outside' | 'sockets' | 'extend'>>
}

/** Opens a router by a line of a dialect's flags (none: natively). Time passes only by `pass` where `movesClock`. */
export async function rig(
  dialect: Dialect | null,
  line: string,
  fleet: Readonly<Record<string, Server | null>>,
  more: Besides = {},
): Promise<Rigged> {
  const { movesClock, lends = {}, ...extra } = more
  const config = configSchema.parse({ ...(await inputOf(dialect, line)), logLevel: 'info', ...extra })
  const clock = movesClock ? createClock(Date.now()) : null
  const logged: LogEvent[] = []
  const log = (event: LogEvent) => void logged.push(event)
  const plain = createWebHost(config, { log, fetch: network(fleet as Fleet) })
  const timer: Host['timer'] = (ms, run) => {
    const cancel = plain.timer(ms, () => {
      live.delete(cancel)
      run()
    })
    live.add(cancel)
    return cancel
  }
  const seams = { ...plain, timer, ...(clock && { now: clock.now, timer: clock.timer }), ...lends }
  const opened = seams.now()
  const host: Host = { ...seams, ...localActors(config, seams, () => memoryStorage()) }
  const app = createApp(config, host)
  await app.start()
  const settled = host.registry('main').settled()
  await clock?.advance(0)
  await settled
  return {
    logged,
    now: () => seams.now() - opened,
    metrics: async () => (await app.metrics(new Request('http://metrics/metrics'))).text(),
    pass: async (ms) => {
      await clock?.advance(0)
      await clock?.advance(ms)
    },
    drain: () => app.drain(),
    async ask(path, { method, headers = {}, body } = {}) {
      const isRaw = typeof body === 'string'
      const init = {
        method: method ?? (body === undefined ? 'GET' : 'POST'),
        headers: { ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
        ...(body !== undefined && { body: isRaw ? body : JSON.stringify(body) }),
      }
      const response = await app.fetch(new Request(`http://router${path}`, init))
      const text = await response.text()
      return { status: response.status, headers: response.headers, text, json: parsed(text) }
    },
  }
}

async function inputOf(dialect: Dialect | null, line: string): Promise<ConfigInput> {
  if (dialect === null) return {}
  const readFile = () => Promise.resolve(null)
  const argv = line === '' ? [] : line.split(' ')
  const { config, options } = await dialect.translate(argv, {
    environment: {},
    defaults: 'readme',
    isStrict: false,
    readFile,
  })
  const values = Object.fromEntries([...config].map(([key, { value }]) => [key, value]))
  return { ...values, dialect: dialect.name as ConfigInput['dialect'], dialectOptions: { ...options } }
}

function parsed(text: string): Json {
  try {
    return JSON.parse(text)
  } catch {
    // Not every reply is JSON.
    return undefined
  }
}
