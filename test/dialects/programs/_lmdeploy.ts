// The flags and variables of LMDeploy's proxy, by what they change.
import type { TestContext } from 'node:test'
import { lmdeployProxy } from '../../../src/dialects/lmdeploy-proxy/index.ts'
import type { Engine } from '../../../src/simulator/engine.ts'
import type { Compat, Spoken } from '../../compat/_rig.ts'
import { network } from '../../journeys/_network.ts'
import { engine, W1, W2, W3, type Json } from '../../journeys/_rig.ts'
import { freePort } from '../../journeys/_sockets.ts'
import { bodyOf, counts, openBy, pass, routes, send, soFar, type Row } from './_row.ts'
import { addresses, CERT, KEY, levelsOf, post, run, spoken, whatIsKept } from './_running.ts'

const QUIET = '--disable-cache-status'
const TLS = `--ssl SSL_KEYFILE=${KEY} SSL_CERTFILE=${CERT}`

const open = (t: TestContext, line: string, fleet: Record<string, Engine>, more: Partial<Spoken> = {}) =>
  openBy(lmdeployProxy, { t, line: `${QUIET} ${line}`, fleet, more })

const node = (more = {}) => engine({ engine: 'lmdeploy', ...more })

const add = async (router: Compat, url: string, status: object = {}) =>
  router.post('/nodes/add', { url, status: { models: ['m'], ...status } })

/** A pair that is added, and a node of both roles; what a chat came to. */
async function paired(t: TestContext, line: string): Promise<{ fleet: Record<string, Engine>; met: Json }> {
  const fleet: Record<string, Engine> = {}
  const reach = (url: unknown, init?: RequestInit) => network(fleet)(String(url), init ?? {})
  const by = { fetch: reach as typeof fetch, handoverTimeout: 200 }
  fleet[W1] = node({ ...by, role: 'prefill' })
  fleet[W2] = node({ ...by, role: 'decode' })
  fleet[W3] = node(by)
  const router = await open(t, line, fleet)
  await add(router, W1, { role: 2 })
  await add(router, W2, { role: 3 })
  if (!line.includes('DistServe')) await add(router, W3)
  await send(router)
  return { fleet, met: bodyOf(fleet[W1], '/distserve/p2p_initialize') }
}

const DISTSERVE = '--serving-strategy DistServe'

export const calls: readonly Row[] = [
  {
    name: '--serving-strategy',
    cases: [
      ['--serving-strategy Hybrid', [0, 0, 1]],
      [DISTSERVE, [1, 1, 0]],
    ],
    async see(line, t) {
      const { fleet } = await paired(t, line)
      return counts(...Object.values(fleet))
    },
  },
  {
    name: '--routing-strategy',
    cases: [
      ['--routing-strategy min_observed_latency', 'the fastest'],
      ['--routing-strategy random', 'each'],
      ['', 'each'],
    ],
    async see(line, t) {
      const slow = node({ speed: 1, prefillTokensPerSecond: 60 })
      const fleet = { [W1]: slow, [W2]: node() }
      const router = await open(t, line, fleet)
      for (const url of Object.keys(fleet)) await add(router, url)
      const go = (calls: number) =>
        routes(
          router,
          Object.values(fleet),
          Array.from({ length: calls }, () => ({ max_tokens: 1 })),
        )
      await go(2)
      // By chance the slow one is passed over now and then, but not for so long.
      for (let calls = 0; calls < 40; calls++) if ((await go(1))[0] === 0) return 'each'
      return 'the fastest'
    },
  },
  {
    name: '--dummy-prefill',
    cases: [
      ['', [1, false]],
      ['--dummy-prefill', [0, true]],
    ],
    async see(line, t) {
      const { fleet } = await paired(t, `${DISTSERVE} ${line}`)
      return [counts(fleet[W1]!)[0], bodyOf(fleet[W2]!).migration_request.is_dummy_prefill]
    },
  },
  {
    name: '--migration-protocol',
    cases: [
      ['', 2],
      ['--migration-protocol NVLINK', 3],
    ],
    see: async (line, t) => (await paired(t, `${DISTSERVE} ${line}`)).met.protocol,
  },
  {
    name: '--link-type',
    cases: [
      ['', 2],
      ['--link-type IB', 1],
    ],
    see: async (line, t) => (await paired(t, `${DISTSERVE} ${line}`)).met.rdma_config.link_type,
  },
  {
    name: '--disable-gdr',
    cases: [
      ['', true],
      ['--disable-gdr', false],
    ],
    see: async (line, t) => (await paired(t, `${DISTSERVE} ${line}`)).met.rdma_config.with_gdr,
  },
  {
    name: '--api-keys',
    cases: [
      ['', [200, 200]],
      ['--api-keys one two', [401, 200]],
    ],
    async see(line, t) {
      const router = await open(t, line, { [W1]: node() })
      const authorization = 'Bearer two'
      const none = await router.ask('/v1/models')
      return [none.status, (await router.ask('/v1/models', { headers: { authorization } })).status]
    },
  },
  {
    name: 'LMDEPLOY_CONTROLLER_HEART_BEAT_EXPIRATION',
    cases: [
      ['LMDEPLOY_CONTROLLER_HEART_BEAT_EXPIRATION=5', false],
      ['LMDEPLOY_CONTROLLER_HEART_BEAT_EXPIRATION=60', true],
    ],
    async see(line, t) {
      const fleet = { [W1]: node() }
      const router = await open(t, line, fleet, { movesClock: true })
      await add(router, W1)
      await pass(router, 3)
      fleet[W1].kill()
      await pass(router, 10)
      return W1 in (await router.ask('/nodes/status')).body
    },
  },
  {
    name: 'AIOHTTP_TIMEOUT',
    cases: [
      ['', 'waiting'],
      ['AIOHTTP_TIMEOUT=2', 504],
    ],
    async see(line, t) {
      const fleet = { [W1]: node({ fault: 'stall-before-head' }) }
      const router = await open(t, line, fleet, { movesClock: true })
      await add(router, W1)
      const reply = send(router)
      reply.catch(() => undefined)
      await pass(router, 3)
      return soFar(reply)
    },
  },
]

/** The levels of what is logged by a line, by a node that is not there. */
const levels = (t: TestContext, line: string) =>
  levelsOf(lmdeployProxy, {
    t,
    line: `${QUIET} ${line}`,
    async provoke(url) {
      const status = { models: ['m'] }
      await (await post(url, '/nodes/add', { url: 'http://127.0.0.1:1', status })).text()
      await (await post(url)).text()
    },
  })

export const processes: readonly Row[] = [
  {
    name: '--server-name',
    cases: [
      ['--server-name 127.0.0.1', [true, false]],
      ['--server-name 0.0.0.0', [true, true]],
    ],
    see: async (line, t) => addresses(await run(lmdeployProxy, { t, line: `${QUIET} ${line}` })),
  },
  {
    name: '--server-port',
    cases: [
      ['one', 'one'],
      ['another', 'another'],
    ],
    async see(which, t) {
      const ports = [await freePort(), await freePort()]
      const asked = ports[which === 'one' ? 0 : 1] as number
      await run(lmdeployProxy, { t, line: `${QUIET} --server-port ${asked}`, keepsPort: true })
      const { status } = await fetch(`http://127.0.0.1:${asked}/nodes/status`)
      return status === 200 ? which : status
    },
  },
  {
    name: '--ssl SSL_KEYFILE SSL_CERTFILE',
    cases: [
      ['', [null, 200]],
      [TLS, [200, null]],
    ],
    see: async (line, t) =>
      spoken(await run(lmdeployProxy, { t, line: `${QUIET} ${line}` }), '/nodes/status'),
  },
  {
    name: '--log-level',
    cases: [
      ['--log-level INFO', ['INFO', 'WARNING']],
      ['--log-level WARNING', ['WARNING']],
      ['--log-level ERROR', []],
    ],
    see: (line, t) => levels(t, line),
  },
  {
    name: 'UVICORN_LOG_LEVEL',
    cases: [
      ['', ['INFO', 'WARNING']],
      ['UVICORN_LOG_LEVEL=error', []],
      ['UVICORN_LOG_LEVEL=error --log-level INFO', ['INFO', 'WARNING']],
    ],
    see: (line, t) => levels(t, line),
  },
  {
    name: '--disable-cache-status --config-path',
    cases: [
      ['--config-path FILE', ['kept', 'there again']],
      ['--config-path FILE --disable-cache-status', ['not kept', 'not there']],
    ],
    see: (given, t) => whatIsKept(lmdeployProxy, { t, given, node: node() }),
  },
]
