// Flags of who the workers are: URLs, ranks, pairs, models, Kubernetes, KV events.
import type { SocketAddress } from '../../../src/zmtp/wire.ts'
import { endpointOf } from '../../../src/zmtp/address.ts'
import type { Engine, EngineOptions } from '../../../src/simulator/engine.ts'
import { Cluster, pod } from '../../discovery/kubernetes/_cluster.ts'
import { D1, D2, fleetOf, MODES, P1, P2 } from '../../journeys/_pairs.ts'
import { callsOf, headerOf, W1, W2, type Json } from '../../journeys/_rig.ts'
import type { Besides, Rigged } from '../_rig.ts'
import { counts, ONE, saying, send, type Row, type Speaker } from './_flag.ts'
import { text } from './_policies.ts'

const ALL = [P1, P2, D1, D2]

interface Pairs {
  readonly router: Rigged
  /** Calls of each of P1, P2, D1, D2. */
  calls(): number[]
  body(url: string): Json
}

async function pairs(
  line: string,
  { open, kind }: Speaker,
  {
    protocol = kind === 'sglang' ? 'sglang' : 'nixl',
    options = {},
    more = {},
  }: {
    readonly protocol?: keyof typeof MODES
    readonly options?: Partial<EngineOptions>
    readonly more?: Besides
  } = {},
): Promise<Pairs> {
  const fleet: Record<string, Engine> = fleetOf(MODES[protocol], ALL, options)
  const router = await open(line, fleet, more)
  return {
    router,
    calls: () => counts(...ALL.map((url) => fleet[url] as Engine)),
    body: (url) => JSON.parse(callsOf(fleet[url] as Engine).at(-1)?.body ?? 'null') as Json,
  }
}

/** Calls of each after a number of chats that are all alike. */
async function shared(line: string, speaker: Speaker, chats = 4): Promise<number[]> {
  const whole = `${speaker.pairs} --prefill ${P1} 8000 --prefill ${P2} 8000 --decode ${D1} --decode ${D2} ${line}`
  const { router, calls } = await pairs(whole, speaker)
  for (let i = 0; i < chats; i++) await send(router, saying(text(600, 1)))
  return calls()
}

/** How the two of a role share their calls. */
const halves = ([one, other]: readonly number[]): 'kept' | 'shared' =>
  Math.min(one!, other!) === 0 ? 'kept' : 'shared'

const ROLES = '--policy round_robin'
const other = ({ kind }: Speaker): string => (kind === 'sglang' ? 'cache_aware' : 'kv_aware')

/** Workers that are found in a cluster. */
async function found(line: string, speaker: Speaker): Promise<string[]> {
  const cluster = new Cluster()
  const put = (uid: string, last: number, app: string, more: object = {}) =>
    cluster.put(
      'pods',
      pod(uid, { ip: `10.0.0.${last}`, labels: { app, tier: 'gpu' }, namespace: 'a', ...more }),
    )
  put('one', 1, 'engine')
  put('two', 2, 'other')
  put('p', 3, 'prefill', {
    annotations: { 'sglang.ai/bootstrap-port': '9001', 'vllm.ai/bootstrap-port': '9001', 'own/port': '9002' },
  })
  put('d', 4, 'decode')
  const more: Besides = {
    kubernetesApi: 'http://cluster',
    movesClock: true,
    lends: { outside: cluster.outside() },
  }
  // All engines of that network answer, at whatever address.
  const engines = [1, 2, 3, 4].flatMap((last) =>
    [8000, 81, 82].map((port) => `http://10.0.0.${last}:${port}`),
  )
  const fleet = Object.fromEntries(engines.map((url) => [url, speaker.engine()]))
  const router = await speaker.open(line, fleet, more)
  await router.pass(10)
  const { workers } = (await router.ask('/workers')).json as { workers: Json[] }
  const told = workers.map(
    ({ url, bootstrap_port: port }) => (port === undefined ? url : `${url} ${port}`) as string,
  )
  const [asked] = cluster.asked
  return [...(asked ? [asked.path.replace('/api/v1', '')] : []), ...told.toSorted()]
}

const FIND = '--service-discovery --selector app=engine --service-discovery-port 8000'
const FIND_PAIRS = `--service-discovery --service-discovery-port 8000`
const pod1 = 'http://10.0.0.1:8000'

/** Addresses that the router connects to, or listens on, for what engines publish. */
async function sockets(line: string, speaker: Speaker, names: readonly string[] = [W1]): Promise<string[]> {
  const seen: string[] = []
  const tell = (what: string, address: SocketAddress) => {
    seen.push(`${what} ${endpointOf(address)}`)
    return Promise.reject(new Error('nobody is there'))
  }
  const lends = {
    sockets: {
      connect: (address: SocketAddress) => tell('connect', address),
      listen: (address: SocketAddress) => {
        seen.push(`listen ${endpointOf(address)}`)
        return Promise.resolve({ port: address.port, close: () => undefined })
      },
    },
  }
  const fleet = Object.fromEntries(names.map((url) => [url, speaker.engine()]))
  const router = await speaker.open(line, fleet, { lends, movesClock: true })
  await router.pass(100)
  return [...new Set(seen)].toSorted()
}

const KV = `--policy kv_aware ${ONE}`

export const fleets: readonly Row[] = [
  {
    flag: '--worker-urls',
    cases: [
      [`--worker-urls ${W1}`, [1, 0]],
      [`--worker-urls ${W2}`, [0, 1]],
      [`--worker-urls=${W2}`, [0, 1]],
    ],
    async see(line, { open, engine }) {
      const engines = [engine(), engine()] as const
      const router = await open(line, { [W1]: engines[0], [W2]: engines[1] })
      await send(router)
      return counts(...engines)
    },
  },
  {
    flag: '--enable-igw',
    cases: [
      ['', 1],
      ['--enable-igw', 0],
    ],
    async see(line, { open, engine }) {
      const worker = engine()
      const router = await open(`${ONE} ${line}`, { [W1]: worker })
      await send(router, { model: 'other' })
      return callsOf(worker).length
    },
  },
  {
    flag: '--dp-aware',
    of: 'sglang',
    cases: [
      ['', [null]],
      ['--dp-aware', [0, 1]],
    ],
    async see(line, { open, engine }) {
      const worker = engine({ dpSize: 2 })
      const router = await open(`${ONE} --policy round_robin ${line}`, { [W1]: worker })
      for (let i = 0; i < 4; i++) await send(router)
      const ranks = callsOf(worker).map(({ body }) => {
        // Newer engines have another name for it.
        const told = JSON.parse(body) as { data_parallel_rank?: number; routed_dp_rank?: number }
        return told.routed_dp_rank ?? told.data_parallel_rank ?? null
      })
      return [...new Set(ranks)].toSorted((one, other) => Number(one) - Number(other))
    },
  },
  {
    flag: '--intra-node-data-parallel-size',
    of: 'vllm',
    cases: [
      ['', [null]],
      ['--intra-node-data-parallel-size 2', ['0', '1']],
    ],
    async see(line, { open, engine }) {
      const worker = engine({ dpSize: 2 })
      const router = await open(`${ONE} --policy round_robin ${line}`, { [W1]: worker })
      for (let i = 0; i < 4; i++) await send(router)
      const ranks = callsOf(worker).map((call) => headerOf(call, 'x-data-parallel-rank') ?? null)
      return [...new Set(ranks)].toSorted((one, other) => Number(one) - Number(other))
    },
  },
  {
    flag: '--pd-disaggregation --vllm-pd-disaggregation --prefill --decode',
    cases: [
      ['', [0, 0, 0, 0]],
      [`PAIRS --prefill ${P1} 8000 --decode ${D1}`, [1, 0, 1, 0]],
      [`PAIRS --prefill ${P2} 8000 --decode ${D2}`, [0, 1, 0, 1]],
    ],
    async see(line, speaker) {
      const { router, calls } = await pairs(line.replace('PAIRS', speaker.pairs), speaker)
      await send(router)
      return calls()
    },
  },
  {
    flag: '--prefill',
    of: 'sglang',
    cases: [
      [`--prefill ${P1} 9000`, 9000],
      [`--prefill ${P1} 9001`, 9001],
      [`--prefill ${P1} none`, null],
    ],
    async see(line, speaker) {
      // Nobody listens there: what the engines are told is all that matters.
      const only = `${speaker.pairs} --disable-retries ${line} --decode ${D1}`
      const { router, body } = await pairs(only, speaker, { options: { handoverTimeout: 1 } })
      await send(router)
      return (body(D1) as { bootstrap_port: unknown }).bootstrap_port
    },
  },
  {
    flag: '--prefill-policy',
    cases: [
      ['', ['shared', 'shared']],
      ['--prefill-policy OTHER', ['kept', 'shared']],
    ],
    async see(line, speaker) {
      const found = await shared(`${ROLES} ${line.replace('OTHER', other(speaker))}`, speaker)
      return [halves(found.slice(0, 2)), halves(found.slice(2))]
    },
  },
  {
    flag: '--decode-policy',
    cases: [
      ['', ['shared', 'shared']],
      ['--decode-policy OTHER', ['shared', 'kept']],
    ],
    async see(line, speaker) {
      const found = await shared(`${ROLES} ${line.replace('OTHER', other(speaker))}`, speaker)
      return [halves(found.slice(0, 2)), halves(found.slice(2))]
    },
  },
  {
    flag: '--bucket-adjust-interval-secs',
    of: 'sglang',
    cases: [
      ['--bucket-adjust-interval-secs 5', 'other'],
      ['--bucket-adjust-interval-secs 60', 'same'],
    ],
    async see(line, speaker) {
      const urls = `--prefill ${P1} 8000 --prefill ${P2} 8000 --decode ${D1}`
      const rules = '--prefill-policy bucket --balance-abs-threshold 1000000'
      const { router, calls } = await pairs(`${speaker.pairs} ${urls} ${rules} ${line}`, speaker, {
        more: { movesClock: true },
      })
      for (const length of [300, 300, 300, 300, 900]) await send(router, saying(text(length, 1)))
      const before = calls()
      await router.pass(6000)
      // The classes are made anew by a call, and the next one goes by them.
      for (let i = 0; i < 2; i++) await send(router, saying(text(900, 1)))
      const grown = calls().map((count, at) => count - before[at]!)
      return before.indexOf(5) === grown.findIndex((count) => count > 0) && grown.filter(Boolean).length === 2
        ? 'same'
        : 'other'
    },
  },
  {
    flag: '--kv-connector',
    of: 'vllm',
    cases: [
      ['--kv-connector nixl', ['remote_engine_id', 'no transfer']],
      ['--kv-connector mooncake', ['no engine', 'xfer']],
      ['--kv-connector moriio', ['no engine', 'tx']],
    ],
    async see(line, speaker) {
      const urls = `--prefill ${P1} 8000 --decode ${D1}`
      const protocol = /mooncake|moriio/.test(line) ? 'mooncake' : 'nixl'
      const { router, body } = await pairs(`${speaker.pairs} ${urls} ${line}`, speaker, { protocol })
      await send(router)
      const params = (body(P1) as { kv_transfer_params?: Record<string, string> }).kv_transfer_params ?? {}
      return [
        'remote_engine_id' in params ? 'remote_engine_id' : 'no engine',
        params['transfer_id']?.split('-')[0] ?? 'no transfer',
      ]
    },
  },
  {
    flag: '--vllm-discovery-address',
    of: 'vllm',
    cases: [
      ['--vllm-discovery-address 127.0.0.1:30001', ['listen tcp://127.0.0.1:30001']],
      ['--vllm-discovery-address 0.0.0.0:30002', ['listen tcp://0.0.0.0:30002']],
    ],
    see: (line, speaker) => sockets(`${speaker.pairs} ${line}`, speaker, []),
  },
  {
    flag: '--kv-event-source',
    of: 'vllm',
    cases: [
      ['', []],
      [`--kv-event-source ${W1}=tcp://w1:5557`, ['connect tcp://w1:5557']],
    ],
    see: (line, speaker) => sockets(`${KV} ${line}`, speaker),
  },
  {
    flag: '--pd-kv-events',
    of: 'vllm',
    cases: [
      ['', []],
      [`--pd-kv-events ${P1}=tcp://p1:5557`, ['connect tcp://p1:5557']],
    ],
    see: (line, speaker) =>
      sockets(`${speaker.pairs} --policy kv_aware --prefill ${P1} --decode ${D1} ${line}`, speaker, [P1, D1]),
  },
  {
    flag: '--kv-event-model',
    of: 'vllm',
    cases: [
      ['', 0],
      ['--kv-event-model named', 1],
    ],
    // A model that the engine does not tell of: calls for it go there by the flag alone.
    async see(line, { open, engine }) {
      const worker = engine()
      const router = await open(`${KV} --enable-igw --kv-event-source ${W1}=tcp://w1:5557 ${line}`, {
        [W1]: worker,
      })
      await send(router, { model: 'named' })
      return callsOf(worker).length
    },
  },
  {
    flag: '--service-discovery',
    cases: [
      ['', []],
      ['--service-discovery', ['/pods', pod1]],
    ],
    see: (line, speaker) => found(`--selector app=engine --service-discovery-port 8000 ${line}`, speaker),
  },
  {
    flag: '--selector',
    cases: [
      ['--selector app=other', ['/pods', 'http://10.0.0.2:8000']],
      ['--selector app=engine tier=gpu', ['/pods', pod1]],
      ['--selector app=engine tier=cpu', ['/pods']],
    ],
    see: (line, speaker) => found(`--service-discovery --service-discovery-port 8000 ${line}`, speaker),
  },
  {
    flag: '--service-discovery-port',
    cases: [
      ['--service-discovery-port 81', ['/pods', 'http://10.0.0.1:81']],
      ['--service-discovery-port 82', ['/pods', 'http://10.0.0.1:82']],
    ],
    see: (line, speaker) => found(`${FIND} ${line}`, speaker),
  },
  {
    flag: '--service-discovery-namespace',
    cases: [
      ['', ['/pods', pod1]],
      ['--service-discovery-namespace a', ['/namespaces/a/pods', pod1]],
    ],
    see: (line, speaker) => found(`${FIND} ${line}`, speaker),
  },
  {
    flag: '--prefill-selector',
    cases: [
      ['--prefill-selector app=prefill', ['/pods', 'http://10.0.0.3:8000 9001', 'http://10.0.0.4:8000']],
      ['--prefill-selector app=nobody', ['/pods', 'http://10.0.0.4:8000']],
    ],
    see: (line, speaker) =>
      found(`${speaker.pairs} ${FIND_PAIRS} --decode-selector app=decode ${line}`, speaker),
  },
  {
    flag: '--decode-selector',
    cases: [
      ['--decode-selector app=decode', ['/pods', 'http://10.0.0.3:8000 9001', 'http://10.0.0.4:8000']],
      ['--decode-selector app=nobody', ['/pods', 'http://10.0.0.3:8000 9001']],
    ],
    see: (line, speaker) =>
      found(`${speaker.pairs} ${FIND_PAIRS} --prefill-selector app=prefill ${line}`, speaker),
  },
  {
    flag: '--bootstrap-port-annotation',
    of: 'sglang',
    cases: [
      ['', ['/pods', 'http://10.0.0.3:8000 9001']],
      ['--bootstrap-port-annotation own/port', ['/pods', 'http://10.0.0.3:8000 9002']],
    ],
    see: (line, speaker) =>
      found(`${speaker.pairs} ${FIND_PAIRS} --prefill-selector app=prefill ${line}`, speaker),
  },
]
