// Routers on sockets of this machine, by lines of the routers in Python: for flags of addresses, files, certificates and threads.
import { readFileSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { request as plain } from 'node:http'
import { request as secure } from 'node:https'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { serve } from '../../../adapters/node/http.ts'
import { serveApp, type Running } from '../../../adapters/node/serve.ts'
import type { Config } from '../../../src/config/schema.ts'
import type { Dialect } from '../../../src/dialects/dialect.ts'
import type { Engine } from '../../../src/simulator/engine.ts'
import { chat, CHAT } from '../../journeys/_rig.ts'
import { configOf, translated } from '../_translate.ts'
import { sorted } from './_row.ts'

export const CERT = new URL('../../adapters/node/tls/cert.pem', import.meta.url).pathname
export const KEY = new URL('../../adapters/node/tls/key.pem', import.meta.url).pathname

// Each router of this process watches for its signals.
process.setMaxListeners(100)

export async function folder(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'fetchway-programs-'))
  t.after(() => rm(directory, { recursive: true, force: true }))
  return directory
}

export interface RunOptions {
  /** The port of the line counts. */
  readonly keepsPort?: boolean
  readonly logDir?: string
  /** Files that a flag may name. */
  readonly files?: Readonly<Record<string, string>>
}

/** Runs a router by a line; it ends with the test. */
export async function run(
  dialect: Dialect,
  { t, line, keepsPort = false, logDir, files = {} }: RunOptions & { t: TestContext; line: string },
): Promise<Running> {
  const { flags, environment } = sorted(line)
  const by = { environment, readFile: (name: string) => Promise.resolve(files[name] ?? null) }
  const { options = {} } = await translated(dialect, flags, by)
  const speaks = { dialect: dialect.name, dialectOptions: { ...options } } as Pick<
    Config,
    'dialect' | 'dialectOptions'
  >
  const given = { ...(await configOf(dialect, flags, by)), ...speaks }
  const logs = logDir === undefined ? { logLevel: 'silent' as const } : { logDir }
  // Kept connections of clients would be waited for at the end.
  const grace = line.includes('graceful') ? given.grace : 0
  const config = { ...given, ...logs, grace, port: keepsPort ? given.port : 0 }
  const running = await serveApp(config, () => undefined)
  t.after(() => running.stop())
  return running
}

/** An engine on a port of this machine. */
export async function engineAt(t: TestContext, node: Engine): Promise<string> {
  const served = await serve((request) => node.fetch(request), { breaksOnError: true })
  t.after(() => served.close(0))
  return served.url
}

/** Whether a node that was added is in the file `FILE` of the line, and there again after a restart. */
export async function whatIsKept(
  dialect: Dialect,
  { t, given, node }: { t: TestContext; given: string; node: Engine },
): Promise<string[]> {
  const file = join(await folder(t), 'nodes.json')
  const line = given.replace('FILE', file)
  const url = await engineAt(t, node)
  const first = await run(dialect, { t, line })
  await (await post(first.url, '/nodes/add', { url, status: { models: ['m'] } })).text()
  await first.stop()
  const text = await readFile(file, 'utf8').catch(() => '{}')
  const second = await run(dialect, { t, line })
  const shown = (await (await fetch(`${second.url}/nodes/status`)).json()) as object
  return [url in JSON.parse(text) ? 'kept' : 'not kept', url in shown ? 'there again' : 'not there']
}

export const post = (url: string, path = CHAT, body: object = chat(), headers = {}): Promise<Response> =>
  fetch(url + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  })

const isThere = (url: string): Promise<boolean> =>
  fetch(url).then(
    () => true,
    () => false,
  )

/** Any address of this machine that is not the loopback; the second loopback where there is none. */
const OTHER =
  Object.values(networkInterfaces())
    .flat()
    .find((one) => one?.family === 'IPv4' && !one.internal)?.address ?? '127.0.0.2'

/** Whether it is there at the loopback, and at another address of this machine. */
export async function addresses({ url }: Running): Promise<boolean[]> {
  const { port } = new URL(url)
  return Promise.all(['127.0.0.1', OTHER].map((host) => isThere(`http://${host}:${port}/health`)))
}

/** The status of a page over TLS and in the clear; null: nobody speaks that. */
export async function spoken({ url }: Running, path: string): Promise<(number | null)[]> {
  const { port } = new URL(url)
  const ask = (get: typeof plain): Promise<number | null> =>
    new Promise((resolve) => {
      const where = { host: '127.0.0.1', port, path, ca: readFileSync(CERT) }
      const asked = get(where, (answer) => (answer.resume(), resolve(answer.statusCode ?? null)))
      asked.on('error', () => resolve(null))
      asked.end()
    })
  return [await ask(secure), await ask(plain)]
}

/** The status of a page of a router that listens on a unix socket; null: nobody does. */
export const throughSocket = (socketPath: string, path: string): Promise<number | null> =>
  new Promise((resolve) => {
    const asked = plain(
      { socketPath, path },
      (answer) => (answer.resume(), resolve(answer.statusCode ?? null)),
    )
    asked.on('error', () => resolve(null))
    asked.end()
  })

/** The levels that a directory's logs hold. */
export async function levelsIn(directory: string): Promise<string[]> {
  const names = await readdir(directory)
  const texts = await Promise.all(names.map((name) => readFile(join(directory, name), 'utf8')))
  return [...new Set(texts.join('').match(/(?<=\[| - |\d )(?:DEBUG|INFO|WARNING|ERROR)(?=\]| )/g))].toSorted()
}

/** Makes calls that are logged on each level: one of a node that is not there. */
export async function levelsOf(
  dialect: Dialect,
  { t, line, provoke }: { t: TestContext; line: string; provoke: (url: string) => Promise<unknown> },
): Promise<string[]> {
  const logDir = await folder(t)
  const { url } = await run(dialect, { t, line, logDir })
  await provoke(url)
  return levelsIn(logDir)
}
