// Flags of sockets, certificates and files, by what is reached, shown and written: the router runs on Node's own sockets here.
import { readFileSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { request as insecure } from 'node:http'
import { createServer, request } from 'node:https'
import type { AddressInfo } from 'node:net'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import type { TLSSocket } from 'node:tls'
import { serve } from '../../../adapters/node/http.ts'
import { serveApp, type Running } from '../../../adapters/node/serve.ts'
import { createSockets } from '../../../adapters/node/sockets.ts'
import { createTimers } from '../../../adapters/web/timers.ts'
import type { Config } from '../../../src/config/schema.ts'
import { KvPublisher } from '../../../src/simulator/kv-publisher.ts'
import { chat, CHAT, eventually } from '../../journeys/_rig.ts'
import { configOf, translated } from '../_translate.ts'
import type { Row, Speaker } from './_flag.ts'

const CERT = new URL('../../adapters/node/tls/cert.pem', import.meta.url).pathname
const KEY = new URL('../../adapters/node/tls/key.pem', import.meta.url).pathname

const closing: (() => unknown)[] = []
after(async () => {
  for (const close of closing.toReversed()) await close()
})
// Each router of this process watches for its signals.
process.setMaxListeners(100)

async function folder(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'fetchway-flags-'))
  closing.push(() => rm(directory, { recursive: true }))
  newest = directory
  return directory
}

/** The folder that was made last. */
let newest = ''

async function router(line: string, { dialect }: Speaker): Promise<Running> {
  const tidy = line.trim().replaceAll(/\s+/g, ' ')
  const { options = {} } = await translated(dialect, tidy)
  const speaks = { dialect: dialect.name, dialectOptions: { ...options } } as Pick<
    Config,
    'dialect' | 'dialectOptions'
  >
  const given = { ...(await configOf(dialect, tidy)), ...speaks }
  // Ports of the flags count where these are what is looked at.
  const port = line.includes('--port') ? given.port : 0
  const { metricsListen = '127.0.0.1:0' } = given
  const metrics = line.includes('--prometheus-port') ? metricsListen : metricsListen.replace(/:\d+$/, ':0')
  // What it logs is read from its files, where it is read.
  const logLevel = given.logDir === undefined ? 'silent' : given.logLevel
  const profile = given.profile === undefined ? {} : { profile: join(await folder(), given.profile) }
  const config = { ...given, ...profile, port, metricsListen: metrics, logLevel }
  const running = await serveApp(config, () => undefined)
  closing.push(() => running.stop())
  return running
}

async function engineAt({ engine }: Speaker, options: object = {}): Promise<string> {
  const simulated = engine(options)
  const served = await serve((incoming) => simulated.fetch(incoming))
  closing.push(() => served.close(0))
  return served.url
}

const JSON_TYPE = { 'content-type': 'application/json' }

const post = (url: string, path = CHAT): Promise<Response> =>
  fetch(url + path, { method: 'POST', headers: JSON_TYPE, body: JSON.stringify(chat()) })

const reachable = (url: string): Promise<boolean> =>
  fetch(url).then(
    ({ ok }) => ok,
    () => false,
  )

/** A free port of this machine. */
async function freePort(): Promise<number> {
  const served = await serve(() => Promise.resolve(new Response()))
  await served.close(0)
  return Number(new URL(served.url).port)
}

/** Any address of this machine that is not the loopback; the second loopback where there is none. */
const OTHER =
  Object.values(networkInterfaces())
    .flat()
    .find((one) => one?.family === 'IPv4' && !one.internal)?.address ?? '127.0.0.2'

/** An HTTPS engine that tells whether it was shown a certificate. */
async function secureEngine({ engine }: Speaker): Promise<{ url: string; shown(): boolean }> {
  const simulated = engine()
  let isShown = false
  const tls = {
    cert: readFileSync(CERT),
    key: readFileSync(KEY),
    requestCert: true,
    rejectUnauthorized: false,
  }
  const server = createServer(tls, (incoming, response) => {
    isShown ||= Object.keys((incoming.socket as TLSSocket).getPeerCertificate()).length > 0
    const chunks: Buffer[] = []
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
    incoming.on('end', () => {
      const { method = 'GET', url = '/' } = incoming
      const body = chunks.length > 0 ? { body: Buffer.concat(chunks) } : {}
      const headers = { 'content-type': 'application/json' }
      void simulated
        .fetch(new Request(`http://engine${url}`, { method, headers, ...body }))
        .then(async (answer) => {
          response.writeHead(answer.status, {
            'content-type': answer.headers.get('content-type') ?? 'text/plain',
          })
          response.end(Buffer.from(await answer.arrayBuffer()))
        })
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  closing.push(() => (server.closeAllConnections(), server.close()))
  return { url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`, shown: () => isShown }
}

/** The status of /health over TLS and in the clear; null: nobody speaks that. */
async function spoken(url: string): Promise<(number | null)[]> {
  const { port } = new URL(url)
  const ask = (get: typeof request): Promise<number | null> =>
    new Promise((resolve) => {
      const where = { host: '127.0.0.1', port, path: '/health', ca: readFileSync(CERT) }
      const asked = get(where, (answer) => (answer.resume(), resolve(answer.statusCode ?? null)))
      asked.on('error', () => resolve(null))
      asked.end()
    })
  return [await ask(request), await ask(insecure)]
}

/** Log lines that were kept in a directory, by their level. */
async function kept(line: string, speaker: Speaker): Promise<string[]> {
  const directory = await folder()
  const url = await engineAt(speaker, { fault: 'status=500' })
  const rules = '--disable-retries --cb-failure-threshold 1'
  const { url: own } = await router(
    `--worker-urls ${url} ${rules} ${line.replace('DIR', directory)}`,
    speaker,
  )
  // One that fails by itself, and one that the client got wrong.
  for (const path of [CHAT, '/nope']) await (await post(own, path)).text()
  const names = await readdir(directory)
  const texts = await Promise.all(names.map((name) => readFile(join(directory, name), 'utf8')))
  const levels = new Set(
    texts
      .join('')
      .match(/(?<=Z )(?:DEBUG|INFO|WARN|ERROR)\b/g)
      ?.map((level) => level.toLowerCase()),
  )
  return [...names.map((name) => name.replace(/\d{4}-\d\d-\d\d$/, 'DAY')), ...[...levels].toSorted()]
}

export const processes: readonly Row[] = [
  {
    flag: '--host',
    cases: [
      ['--host 127.0.0.1', [true, false]],
      ['--host 0.0.0.0', [true, true]],
    ],
    async see(line, speaker) {
      const { url } = await router(line, speaker)
      const { port } = new URL(url)
      return [
        await reachable(`http://127.0.0.1:${port}/liveness`),
        await reachable(`http://${OTHER}:${port}/liveness`),
      ]
    },
  },
  {
    flag: '--port',
    cases: [
      ['first', [true, false]],
      ['second', [false, true]],
    ],
    async see(which, speaker) {
      const ports = [await freePort(), await freePort()]
      const running = await router(`--port ${ports[which === 'first' ? 0 : 1]}`, speaker)
      const found = await Promise.all(ports.map((port) => reachable(`http://127.0.0.1:${port}/liveness`)))
      await running.stop()
      return found
    },
  },
  {
    flag: '--prometheus-host',
    cases: [
      ['--prometheus-host 127.0.0.1', [true, false]],
      ['--prometheus-host 0.0.0.0', [true, true]],
    ],
    async see(line, speaker) {
      const { metricsUrl } = await router(line, speaker)
      const { port } = new URL(metricsUrl ?? '')
      return [
        await reachable(`http://127.0.0.1:${port}/metrics`),
        await reachable(`http://${OTHER}:${port}/metrics`),
      ]
    },
  },
  {
    flag: '--prometheus-port',
    cases: [
      ['first', [true, false]],
      ['second', [false, true]],
    ],
    async see(which, speaker) {
      const ports = [await freePort(), await freePort()]
      const running = await router(`--prometheus-port ${ports[which === 'first' ? 0 : 1]}`, speaker)
      const found = await Promise.all(ports.map((port) => reachable(`http://127.0.0.1:${port}/metrics`)))
      await running.stop()
      return found
    },
  },
  {
    flag: '--tls-cert-path --tls-key-path',
    of: 'sglang',
    cases: [
      ['', [null, 200]],
      [`--tls-cert-path ${CERT} --tls-key-path ${KEY}`, [200, null]],
    ],
    see: async (line, speaker) => spoken((await router(line, speaker)).url),
  },
  {
    flag: '--ca-cert-paths',
    of: 'sglang',
    cases: [
      ['', 500],
      [`--ca-cert-paths ${CERT}`, 200],
    ],
    async see(line, speaker) {
      const { url } = await secureEngine(speaker)
      const running = await router(`--worker-urls ${url} --disable-retries ${line}`, speaker)
      return (await post(running.url)).status
    },
  },
  {
    flag: '--client-cert-path --client-key-path',
    of: 'sglang',
    cases: [
      ['', false],
      [`--client-cert-path ${CERT} --client-key-path ${KEY}`, true],
    ],
    async see(line, speaker) {
      const { url, shown } = await secureEngine(speaker)
      const running = await router(`--worker-urls ${url} --ca-cert-paths ${CERT} ${line}`, speaker)
      await post(running.url)
      return shown()
    },
  },
  {
    flag: '--log-dir',
    cases: [
      ['', []],
      ['--log-dir DIR --log-level info', ['FILE.DAY']],
    ],
    see: async (line, speaker) =>
      (await kept(line, speaker))
        .slice(0, 1)
        .map((name) => name.replace(/^(?:smg|vllm-router)(?=\.DAY)/, 'FILE')),
  },
  {
    flag: '--log-level',
    of: 'sglang',
    cases: [
      ['--log-level debug', ['debug', 'error', 'info', 'warn']],
      ['--log-level info', ['error', 'info', 'warn']],
      ['--log-level warning', ['error', 'warn']],
      ['--log-level warn', ['error', 'warn']],
      ['--log-level critical', ['error']],
    ],
    see: async (line, speaker) => (await kept(`--log-dir DIR ${line}`, speaker)).slice(1),
  },
  {
    // Its requests are told of on debug alone.
    flag: '--log-level',
    of: 'vllm',
    cases: [
      ['--log-level debug', ['debug', 'info', 'warn']],
      ['--log-level info', ['info', 'warn']],
      ['--log-level warning', ['warn']],
      ['--log-level critical', []],
    ],
    see: async (line, speaker) => (await kept(`--log-dir DIR ${line}`, speaker)).slice(1),
  },
  {
    flag: '--shutdown-grace-period-secs',
    of: 'sglang',
    cases: [
      ['--shutdown-grace-period-secs 1', 'cut'],
      ['--shutdown-grace-period-secs 20', 'whole'],
    ],
    async see(line, speaker) {
      // Where it is to be cut it must last until the router was told to end, and its second behind that.
      const delay = line.endsWith(' 1') ? '6s' : '1500ms'
      const url = await engineAt(speaker, { fault: `delay=${delay}` })
      const running = await router(`--worker-urls ${url} ${line}`, speaker)
      const answer = post(running.url).then(
        ({ status }) => (status === 200 ? 'whole' : 'cut'),
        () => 'cut',
      )
      await eventually(
        async () => (await (await fetch(`${running.url}/fetchway/v1/status`)).json()).in_flight === 1,
        () => 'the call did not begin',
      )
      await running.stop()
      return answer
    },
  },
  {
    flag: '--profile',
    of: 'vllm',
    cases: [
      ['', []],
      ['--profile', ['vllm-router.cpuprofile']],
    ],
    async see(line, speaker) {
      await folder()
      const running = await router(line, speaker)
      await running.stop()
      return readdir(newest)
    },
  },
  {
    flag: '--pool-idle-timeout-secs',
    of: 'vllm',
    cases: [
      ['--pool-idle-timeout-secs 1', 'closed'],
      ['--pool-idle-timeout-secs 60', 'kept'],
    ],
    async see(line, speaker) {
      const simulated = speaker.engine()
      const served = await serve((incoming) => simulated.fetch(incoming))
      closing.push(() => served.close(0))
      const running = await router(`--worker-urls ${served.url} ${line}`, speaker)
      await (await post(running.url)).text()
      const end = performance.now() + (line.endsWith(' 1') ? 20_000 : 1300)
      while (served.connections() > 0 && performance.now() < end)
        await new Promise((resolve) => setTimeout(resolve, 50))
      return served.connections() > 0 ? 'kept' : 'closed'
    },
  },
  {
    flag: '--kv-event-replay-source',
    of: 'vllm',
    cases: [
      ['', false],
      ['--kv-event-replay-source URL=REPLAY', true],
    ],
    // Whoever follows events asks for the missed ones as soon as it is connected.
    async see(line, speaker) {
      const timers = createTimers()
      const sockets = createSockets()
      closing.push(timers.close, () => sockets.close())
      const clock = { now: () => performance.now(), random: Math.random, timer: timers.start }
      const publisher = await KvPublisher.bind(
        speaker.engine(),
        { sockets, clock },
        { endpoint: 'tcp://127.0.0.1:0' },
      )
      let isAsked = false
      const replay = await sockets.listen!({ host: '127.0.0.1', port: 0 }, (wire) => {
        isAsked = true
        wire.close()
      })
      const url = await engineAt(speaker)
      const source = `--policy kv_aware --worker-urls ${url} --kv-event-source ${url}=${publisher.endpoint}`
      const asked = line.replace('URL', url).replace('REPLAY', `tcp://127.0.0.1:${replay.port}`)
      await router(`${source} ${asked}`, speaker)
      await eventually(
        () => publisher.isHeard,
        () => 'nobody follows',
      )
      const end = performance.now() + (line === '' ? 50 : 20_000)
      while (!isAsked && performance.now() < end) await new Promise((resolve) => setTimeout(resolve, 5))
      return isAsked
    },
  },
]
