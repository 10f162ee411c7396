// `fetchway connect URL`: lends an engine without an inbound port to a router, over one outbound WebSocket.
import { hostname } from 'node:os'
import { normalizeUrl } from '../../src/config/urls.ts'
import type { Outgoing } from '../../src/host.ts'
import { TunnelClient, type ClientOptions, type Dial } from '../../src/tunnel/client.ts'
import type { LinkTimes } from '../../src/tunnel/link.ts'
import { version } from '../../src/version.ts'
import { createFetch } from '../node/fetch.ts'
import { openWorkerSocket } from '../web/websocket.ts'
import type { Status } from './command.ts'
import { readOptions, type OptionTable } from './options.ts'

const OPTIONS: OptionTable = {
  engine: { kind: 'text', about: 'URL of the engine, e.g. http://127.0.0.1:8000' },
  token: { kind: 'text', about: "one of the router's tunnel tokens (or FETCHWAY_TOKEN in the environment)" },
  name: { kind: 'text', about: 'name of this worker, its own and lasting [the name of this machine]' },
  engineKey: { kind: 'text', about: 'key that the engine asks for (or FETCHWAY_ENGINE_KEY)' },
}
const USAGE = 'connect URL --engine URL --token TOKEN'
/** Requests under way may finish within this time after SIGTERM, ms. */
const GRACE = 60_000

/** Dials a URL (ws:// or wss://) by what the runtime has for that. */
export type Dialer = (url: string) => Dial

/** Stays connected until it is told to end, or until the router wants it no more (then 1). `dialer`: by default Node's. */
export async function connect(argv: readonly string[], dialer?: Dialer): Promise<Status> {
  const [first = '', ...others] = argv
  const isUrl = first !== '' && !first.startsWith('-')
  const read = readOptions(USAGE, OPTIONS, isUrl ? others : argv)
  if ('status' in read) return read.status
  const { engine, token, name, engineKey } = read.options as Partial<Record<string, string>>
  const key = token ?? process.env['FETCHWAY_TOKEN']
  if (!isUrl) return wrong(`where is the router? fetchway ${USAGE}`)
  if (engine === undefined) return wrong(`which engine? fetchway ${USAGE}`)
  if (!key)
    return wrong('a token of the router is needed: --token TOKEN, or FETCHWAY_TOKEN in the environment')
  const urls = readUrls(first, engine)
  if (typeof urls === 'string') return wrong(urls)
  const client = createClient({
    ...urls,
    token: key,
    name: name ?? nameOfMachine(),
    dialer: dialer ?? (await import('../node/wire/websocket.ts')).dialer,
    engineKey: engineKey ?? process.env['FETCHWAY_ENGINE_KEY'],
    tell: (event, message) => tell(urls.router, event, message),
  })
  finishOnSignals(client)
  const { reason } = await client.run()
  if (reason === STOPPED) return process.exit(0)
  process.stderr.write(`fetchway: ${reason}\n`)
  return process.exit(1)
}

const STOPPED = 'stopped by a signal'

interface Connecting {
  /** Of the router, http:// or https://. */
  readonly router: string
  readonly engine: string
  readonly token: string
  readonly name: string
  readonly engineKey?: string | undefined
  readonly dialer: Dialer
  readonly tell: ClientOptions['tell']
  readonly times?: LinkTimes
}

/** A client whose engine is reached from this process. */
export function createClient({ router, engine, engineKey, dialer, ...rest }: Connecting): TunnelClient {
  const { token, name, tell, times } = rest
  const fetch = createFetch()
  const worker = { id: name, url: engine, engine: 'unknown' }
  const keyed = (outgoing: Outgoing) => (engineKey === undefined ? outgoing : withKey(outgoing, engineKey))
  // Where each worker has an object of its own, the router must know which before the first frame is there.
  const path = `/fetchway/v1/tunnel?name=${encodeURIComponent(name)}`
  return new TunnelClient({
    token,
    name,
    url: engine,
    version,
    dial: dialer(router.replace(/^http/, 'ws') + path),
    engine: {
      ask: (outgoing) => fetch(worker, keyed(outgoing)),
      socket: (outgoing, protocols, closed) => openWorkerSocket(worker, protocols, keyed(outgoing), closed),
    },
    host: {
      now: () => performance.timeOrigin + performance.now(),
      random: Math.random,
      timer(ms, run) {
        const timer = setTimeout(run, ms)
        return () => clearTimeout(timer)
      },
    },
    tell,
    ...(times && { times }),
  })
}

/** Connections on stdout, trouble on stderr. */
function tell(router: string, event: Parameters<ClientOptions['tell']>[0], message: string): void {
  if (event === 'connected') process.stdout.write(`Connected to ${router} ${message}\n`)
  else if (event === 'resumed') process.stderr.write(`fetchway: connected again ${message}\n`)
  else
    process.stderr.write(`fetchway: ${event === 'lost' ? 'connection lost' : 'not connected'}: ${message}\n`)
}

/** The router knows no keys of engines: this one is put in here. */
function withKey(outgoing: Outgoing, key: string): Outgoing {
  const headers = outgoing.headers.filter((_, i) => outgoing.headers[i - (i % 2)] !== 'authorization')
  return { ...outgoing, headers: [...headers, 'authorization', `Bearer ${key}`] }
}

function readUrls(router: string, engine: string): { router: string; engine: string } | string {
  try {
    const url = normalizeUrl(router)
    if (url.startsWith('unix:')) return 'a router is dialled at http:// or https://'
    return { router: url, engine: normalizeUrl(engine) }
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

/** 'worker' where the runtime may not tell (Deno without --allow-sys). */
function nameOfMachine(): string {
  try {
    const name = hostname().replace(/[^A-Za-z0-9._-]+/g, '-')
    return name.replace(/^[^A-Za-z0-9]+/, '') || 'worker'
  } catch {
    return 'worker'
  }
}

/** Waits for requests under way; a second signal ends at once. */
function finishOnSignals(client: TunnelClient): void {
  let deadline = 0
  const look = () => {
    if (client.inFlight === 0 || performance.now() > deadline) client.stop(STOPPED)
    else setTimeout(look, 50)
  }
  const onSignal = () => {
    if (deadline > 0) return client.stop(STOPPED)
    deadline = performance.now() + GRACE
    client.drain()
    look()
  }
  process.on('SIGTERM', onSignal)
  process.on('SIGINT', onSignal)
}

function wrong(message: string): Status {
  process.stderr.write(`fetchway: ${message}\n`)
  return 2
}
