// DLRouter's flags and variables, by what they change.
import type { TestContext } from 'node:test'
import { dlrouter } from '../../../src/dialects/dlrouter/index.ts'
import type { Engine, EngineOptions } from '../../../src/simulator/engine.ts'
import { network } from '../../journeys/_network.ts'
import { callsOf, CHAT, engine, headerOf, W1, W2, W3, type Json } from '../../journeys/_rig.ts'
import type { Compat, Spoken } from '../../compat/_rig.ts'
import { bodyOf, counts, openBy, pass, routes, send, soFar, type Row } from './_row.ts'

const QUIET = '--disable_cache_status'

const open = (t: TestContext, line: string, fleet: Record<string, Engine>, more: Partial<Spoken> = {}) =>
  openBy(dlrouter, { t, line: `${QUIET} ${line}`, fleet, more })

/** A prefill and a decode engine that reach each other, and a third of that kind; not yet added. */
function trio(kind: EngineOptions['engine']): Record<string, Engine> {
  const fleet: Record<string, Engine> = {}
  const reach = (url: unknown, init?: RequestInit) => network(fleet)(String(url), init ?? {})
  const by = { engine: kind, fetch: reach as typeof fetch, handoverTimeout: 200 }
  fleet[W1] = engine({ ...by, role: 'prefill' })
  fleet[W2] = engine({ ...by, role: 'decode' })
  fleet[W3] = engine({ ...by, role: 'decode' })
  return fleet
}

const addPair = async (router: Compat) => {
  for (const [url, role] of [
    [W1, 2],
    [W2, 3],
  ] as const)
    await router.post('/nodes/add', { url, status: { models: ['m'], role } })
}

/** What the prefill node of a pair was told at their introduction and in the call. */
async function introduced(t: TestContext, line: string): Promise<Json> {
  const fleet = trio('lmdeploy')
  const router = await open(t, `--serving_strategy distserve ${line}`, fleet)
  await addPair(router)
  await send(router)
  return {
    ...bodyOf(fleet[W1]!, '/distserve/p2p_initialize'),
    prefills: counts(fleet[W1]!)[0],
    dummy: bodyOf(fleet[W2]!)['migration_request']?.is_dummy_prefill,
  }
}

const urlsOf = async (router: Compat) => Object.keys((await router.ask('/nodes/status')).body as object)

const pairOf = (backend: string, more = '') =>
  `--backend ${backend} --serving_strategy distserve --decode_urls ${W2} ${more}`

/** A node that dies after three seconds; whether it is there still after as many more. */
async function outlives(t: TestContext, line: string, seconds: number): Promise<boolean> {
  const node = engine()
  const router = await open(t, line, { [W1]: node }, { movesClock: true })
  await router.post('/nodes/add', { url: W1, status: { models: ['m'] } })
  await pass(router, 3)
  node.kill()
  await pass(router, seconds)
  return (await urlsOf(router)).includes(W1)
}

export const hybrid: readonly Row[] = [
  {
    name: '--routing_strategy',
    cases: [
      ['', 'any'],
      ['--routing_strategy round_robin', 'each in turn'],
      ['--routing_strategy consistent_hash', 'one by user'],
      ['--routing_strategy prefix_cache', 'one by beginning'],
    ],
    async see(line, t) {
      const fleet = { [W1]: engine(), [W2]: engine(), [W3]: engine() }
      const router = await open(t, line, fleet)
      for (const url of Object.keys(fleet)) await router.post('/nodes/add', { url })
      const says = (content: string, user: string) => ({ user, messages: [{ role: 'user', content }] })
      const nodes = Object.values(fleet)
      // So many that those that go by chance do not all go to one.
      const users = 'abcdefghijklmnopqrst'.split('')
      const texts = users.map((name) => `${name} tells`)
      const byUser = await routes(
        router,
        nodes,
        texts.map((text) => says(text, 'a')),
      )
      const byText = await routes(
        router,
        nodes,
        users.map((user) => says('Tell me of whales', user)),
      )
      const isTurn = [...byUser, ...byText].every((at, i, all) => i < 3 || at === all[i - 3])
      if (isTurn && new Set(byUser).size === 3) return 'each in turn'
      const isOne = [byUser, byText].map((gone) => new Set(gone).size === 1)
      return isOne[0] ? 'one by user' : isOne[1] ? 'one by beginning' : 'any'
    },
  },
  {
    name: '--serving_strategy',
    cases: [
      ['--serving_strategy hybrid', [0, 0, 1]],
      ['--serving_strategy distserve', [1, 1, 0]],
    ],
    async see(line, t) {
      const fleet = trio('lmdeploy')
      const router = await open(t, line, fleet)
      await addPair(router)
      if (line.includes('hybrid')) await router.post('/nodes/add', { url: W3, status: { models: ['m'] } })
      await send(router)
      return counts(fleet[W1]!, fleet[W2]!, fleet[W3]!)
    },
  },
  {
    name: '--api_keys',
    cases: [
      ['', [200, 200, 200]],
      ['--api_keys one,two', [401, 403, 200]],
    ],
    async see(line, t) {
      const router = await open(t, line, { [W1]: engine() })
      const statuses = []
      for (const headers of [{}, { authorization: 'Bearer else' }, { authorization: 'Bearer two' }])
        statuses.push((await router.ask('/v1/models', { headers })).status)
      return statuses
    },
  },
  {
    name: 'DLROUTER_HEARTBEAT_EXPIRATION',
    cases: [
      ['DLROUTER_HEARTBEAT_EXPIRATION=5', false],
      ['DLROUTER_HEARTBEAT_EXPIRATION=20', true],
    ],
    see: (line, t) => outlives(t, line, 25),
  },
  {
    name: 'DLROUTER_HEALTH_CHECK_MAX_FAILURES',
    cases: [
      ['DLROUTER_HEALTH_CHECK_MAX_FAILURES=1', false],
      ['DLROUTER_HEALTH_CHECK_MAX_FAILURES=9', true],
    ],
    see: (line, t) => outlives(t, `DLROUTER_HEARTBEAT_EXPIRATION=5 ${line}`, 20),
  },
  {
    name: 'DLROUTER_HEALTH_CHECK_TIMEOUT',
    cases: [
      ['DLROUTER_HEALTH_CHECK_TIMEOUT=2', false],
      ['DLROUTER_HEALTH_CHECK_TIMEOUT=60', true],
    ],
    async see(line, t) {
      const checks = 'DLROUTER_HEARTBEAT_EXPIRATION=5 DLROUTER_HEALTH_CHECK_MAX_FAILURES=1'
      const node = engine({ fault: 'stall-before-head;path=/health' })
      const router = await open(t, `${checks} ${line}`, { [W1]: node }, { movesClock: true })
      await router.post('/nodes/add', { url: W1, status: { models: ['m'] } })
      await pass(router, 20)
      return (await urlsOf(router)).includes(W1)
    },
  },
  {
    name: 'DLROUTER_AIOHTTP_TIMEOUT',
    cases: [
      ['DLROUTER_AIOHTTP_TIMEOUT=2', 504],
      ['DLROUTER_AIOHTTP_TIMEOUT=60', 'waiting'],
    ],
    async see(line, t) {
      const router = await open(
        t,
        line,
        { [W1]: engine({ fault: 'stall-before-head' }) },
        { movesClock: true },
      )
      await router.post('/nodes/add', { url: W1, status: { models: ['m'] } })
      const reply = send(router)
      reply.catch(() => undefined)
      await pass(router, 3)
      return soFar(reply)
    },
  },
]

export const pairs: readonly Row[] = [
  {
    name: '--backend',
    cases: [
      ['--backend vllm', 'kv_transfer_params'],
      ['--backend sglang', 'bootstrap_room'],
      ['--backend lmdeploy', 'with_cache'],
    ],
    async see(line, t) {
      const fleet = trio(line.split(' ')[1] as EngineOptions['engine'])
      const router = await open(t, `--serving_strategy distserve ${line}`, fleet)
      await addPair(router)
      await send(router)
      const told = bodyOf(fleet[W1]!)
      return ['kv_transfer_params', 'bootstrap_room', 'with_cache'].filter((key) => key in told).join()
    },
  },
  {
    name: '--prefill_urls --decode_urls',
    cases: [
      ['', []],
      [`--prefill_urls ${W1} --decode_urls ${W2}`, [W1, W2]],
      [`--prefill_urls ${W1} --decode_urls ${W2},${W3}`, [W1, W2, W3]],
    ],
    see: async (line, t) =>
      urlsOf(await open(t, `--backend vllm --serving_strategy distserve --models m ${line}`, trio('vllm'))),
  },
  {
    name: '--models',
    cases: [
      ['', []],
      ['--models a,b', ['a', 'b']],
    ],
    async see(line, t) {
      const fleet = trio('vllm')
      for (const node of Object.values(fleet)) node.kill()
      const router = await open(t, pairOf('vllm', `--prefill_urls ${W1} ${line}`), fleet)
      return (await router.ask('/v1/models')).body.data.map(({ id }: { id: string }) => id)
    },
  },
  {
    name: '--intra_node_data_parallel_size',
    cases: [
      ['', [[W1, W2], null]],
      ['--intra_node_data_parallel_size 2', [[`${W1}@0`, `${W1}@1`, `${W2}@0`, `${W2}@1`], 'a rank']],
    ],
    async see(line, t) {
      const fleet = trio('vllm')
      const router = await open(t, pairOf('vllm', `--prefill_urls ${W1} --models m ${line}`), fleet)
      await send(router)
      const [call] = callsOf(fleet[W1]!).filter(({ path }) => path === CHAT)
      const rank = headerOf(call, 'x-data-parallel-rank')
      return [await urlsOf(router), rank === undefined ? null : /^[01]$/.test(rank) ? 'a rank' : rank]
    },
  },
  {
    name: '--prefill_bootstrap_ports',
    cases: [
      ['', 8998],
      ['--prefill_bootstrap_ports 9001', 9001],
    ],
    async see(line, t) {
      const fleet = trio('sglang')
      const router = await open(t, pairOf('sglang', `--prefill_urls ${W1} --models m ${line}`), fleet)
      await send(router)
      return bodyOf(fleet[W1]!)['bootstrap_port']
    },
  },
  {
    name: '--migration_protocol',
    cases: [
      ['', 2],
      ['--migration_protocol TCP', 1],
      ['--migration_protocol NVLINK', 3],
    ],
    see: async (line, t) => (await introduced(t, line))['protocol'],
  },
  {
    name: '--link_type',
    cases: [
      ['', 2],
      ['--link_type IB', 1],
    ],
    see: async (line, t) => (await introduced(t, line))['rdma_config'].link_type,
  },
  {
    name: '--with_gdr --no_with_gdr',
    cases: [
      ['', true],
      ['--no_with_gdr', false],
      ['--no_with_gdr --with_gdr', true],
    ],
    see: async (line, t) => (await introduced(t, line))['rdma_config'].with_gdr,
  },
  {
    name: '--dummy_prefill',
    cases: [
      ['', [1, false]],
      ['--dummy_prefill', [0, true]],
    ],
    async see(line, t) {
      const { prefills, dummy } = await introduced(t, line)
      return [prefills, dummy]
    },
  },
  {
    name: 'OPENAI_API_KEY',
    cases: [
      ['', ['Bearer mine', 'Bearer mine']],
      ['OPENAI_API_KEY=sk-1', ['Bearer sk-1', 'Bearer sk-1']],
    ],
    async see(line, t) {
      const fleet = trio('vllm')
      const router = await open(t, pairOf('vllm', `--prefill_urls ${W1} --models m ${line}`), fleet)
      await send(router, {}, { authorization: 'Bearer mine' })
      const keyOf = (node: Engine) =>
        headerOf(
          callsOf(node).find(({ path }) => path === CHAT),
          'authorization',
        )
      return [keyOf(fleet[W1]!), keyOf(fleet[W2]!)]
    },
  },
]
