// A router that stands in for another one by its command line, in this process, with embedded engines behind it.
import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { openTables } from '../../adapters/node/tables.ts'
import { createWebHost } from '../../adapters/web/host.ts'
import { localActors, memoryStorage } from '../../src/actors/local.ts'
import type { Storage } from '../../src/actors/actor.ts'
import { createApp } from '../../src/app.ts'
import { formatIssue } from '../../src/config/issues.ts'
import { load, type Layer } from '../../src/config/load.ts'
import type { Config } from '../../src/config/schema.ts'
import type { Circumstances, Dialect } from '../../src/dialects/dialect.ts'
import type { Host, LogEvent } from '../../src/host.ts'
import { createClock } from '../_clock.ts'
import { network, visit } from '../journeys/_network.ts'
import { eventually, type Fleet, type Json, type Reply, type Sent } from '../journeys/_rig.ts'

export interface Spoken {
  readonly flags?: string
  readonly environment?: Readonly<Record<string, string>>
  readonly isStrict?: boolean
  readonly defaults?: 'readme' | 'release'
  readonly fleet: Fleet
  /** Time stands still until it is moved. */
  readonly movesClock?: boolean
  readonly storage?: Storage
  /** Sees what is logged. */
  readonly log?: (event: LogEvent) => void
}

/** A running stand-in. */
export class Compat {
  readonly config: Config
  readonly #fetch: (request: Request) => Promise<Response>
  readonly #pass: ((ms: number) => Promise<void>) | undefined

  constructor(config: Config, fetch: Compat['request'], pass?: (ms: number) => Promise<void>) {
    this.config = config
    this.#fetch = fetch
    this.#pass = pass
  }

  request(request: Request): Promise<Response> {
    return this.#fetch(request)
  }

  pass(ms: number): Promise<void> {
    return this.#pass?.(ms) ?? assert.fail('time goes by itself')
  }

  /** A whole reply. */
  async ask(path: string, { method, headers = {}, body, signal }: Sent = {}): Promise<Reply> {
    const isText = typeof body === 'string'
    const request = new Request(`http://router${path}`, {
      method: method ?? (body === undefined ? 'GET' : 'POST'),
      headers: { ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
      ...(body !== undefined && { body: isText ? body : JSON.stringify(body) }),
      signal: signal ?? null,
    })
    const response = await this.#fetch(request)
    const text = await response.text()
    let read: Json
    try {
      read = JSON.parse(text)
    } catch {
      // Not every reply is JSON.
    }
    return { status: response.status, headers: response.headers, text, body: read }
  }

  post(path: string, body: unknown, headers: Readonly<Record<string, string>> = {}): Promise<Reply> {
    return this.ask(path, { method: 'POST', body, headers })
  }

  /** Sum of a metric over the series whose labels hold the text. */
  async metric(name: string, labels = ''): Promise<number> {
    let sum = 0
    for (const line of (await this.ask('/metrics')).text.split('\n'))
      if ((line.startsWith(`${name} `) || line.startsWith(`${name}{`)) && line.includes(labels))
        sum += Number(line.slice(line.lastIndexOf(' ') + 1))
    return sum
  }

  async until(isSo: () => boolean | Promise<boolean>, what: string): Promise<void> {
    await eventually(isSo, () => what)
  }
}

const layerOf = (entries: Iterable<readonly [string, unknown]>): Layer =>
  new Map(
    [...entries].map(([key, value]) => [key, { value, at: () => ({ source: 'flag', name: key }) as const }]),
  )

/** Starts a stand-in; it ends with the test. */
export async function speak(t: TestContext, dialect: Dialect, spoken: Spoken): Promise<Compat> {
  const { flags = '', environment = {}, isStrict = false, defaults = 'readme', fleet } = spoken
  const by: Circumstances = { environment, isStrict, defaults, readFile: () => Promise.resolve(null) }
  const translation = await dialect.translate(
    flags.split(' ').filter((word) => word !== ''),
    by,
  )
  assert.deepEqual(translation.problems ?? [], [])
  const own: readonly (readonly [string, unknown])[] = [
    ['dialect', dialect.name],
    ['dialectOptions', translation.options ?? {}],
    ['strictCompat', isStrict],
  ]
  const values = [...translation.config].map(([key, { value }]) => [key, value] as const)
  const loaded = load({ translated: layerOf([...values, ...own]) })
  assert.deepEqual(loaded.issues.map(formatIssue), [])
  assert.ok(loaded.config)
  const { config } = loaded
  const clock = spoken.movesClock ? createClock() : null
  const plain = createWebHost(config, { log: spoken.log ?? (() => undefined), fetch: network(fleet) })
  const tables = () => openTables(config)
  const seams = { ...plain, tables, ...(clock && { now: clock.now, timer: clock.timer }) }
  const storage = spoken.storage ?? memoryStorage()
  const host: Host = { ...seams, ...localActors(config, seams, () => storage) }
  const app = createApp(config, host)
  await app.start()
  const settled = host.registry('main').settled()
  await clock?.advance(0)
  await settled
  t.after(async () => {
    await app.close()
    plain.close()
  })
  const fetch = (request: Request) => visit((visited) => app.fetch(visited), request)
  return new Compat(config, fetch, clock ? (ms) => clock.advance(ms) : undefined)
}
