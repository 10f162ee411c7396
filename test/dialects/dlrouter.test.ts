// What DLRouter's flags and environment amount to, by backend; and the keys that it routes by.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Config } from '../../src/config/schema.ts'
import { dlrouter } from '../../src/dialects/dlrouter/index.ts'
import { beginning, requestKey } from '../../src/dialects/dlrouter/request-key.ts'
import { dialectHelp } from '../../src/dialects/help.ts'
import type { Call } from '../../src/openai/call.ts'
import { scanTop } from '../../src/openai/scan.ts'
import { configOf, translated } from './_translate.ts'

type Row = readonly [flags: string, key: keyof Config, value: unknown, beside?: string]

const node = (url: string, role: string, more = {}) => ({ url, role, weight: 1, labels: {}, ...more })
const VLLM = '--backend vllm'
const SGLANG = '--backend sglang --serving_strategy distserve --decode_urls d:1'
const PAIRED = `${VLLM} --serving_strategy distserve --decode_urls d:1`
const workersBy = (prefill: object, decode = {}) => [
  node('http://p:1', 'prefill', { engine: 'vllm', ...prefill }),
  node('http://d:1', 'decode', { engine: 'vllm', ...decode }),
]

const FLAGS: readonly Row[] = [
  ['--server_name 127.0.0.1', 'host', '127.0.0.1'],
  ['--server_port 9000', 'port', 9000],
  ['--routing_strategy round_robin', 'policy', 'round_robin'],
  ['--routing_strategy random', 'policy', 'random'],
  ['--routing_strategy consistent_hash', 'policy', 'dlrouter_consistent_hash'],
  ['--routing_strategy min_observed_latency', 'policy', 'min_observed_latency'],
  ['--routing_strategy prefix_cache', 'policy', 'dlrouter_prefix_cache'],
  ['--log_level WARNING', 'logLevel', 'warn'],
  ['--disable_cache_status', 'state', 'off'],
  ['--config_path nodes.json', 'state', 'nodes.json'],
  ['--workers 4', 'threads', 4],
  ['--api_keys one,two', 'adminKey', 'one'],
  ['--migration_protocol NVLINK', 'migrationProtocol', 'NVLINK'],
  ['--link_type IB', 'linkType', 'IB'],
  ['--no_with_gdr', 'withGdr', false],
  ['--with_gdr', 'withGdr', true, '--no_with_gdr'],
  ['--dummy_prefill', 'dummyPrefill', true],
  ['--prefill_urls p:1', 'workers', workersBy({}), PAIRED],
  [
    '--prefill_urls p:1 --models m,n',
    'workers',
    workersBy({ models: ['m', 'n'] }, { models: ['m', 'n'] }),
    PAIRED,
  ],
  [
    '--prefill_urls p:1 --intra_node_data_parallel_size 2',
    'workers',
    workersBy({ ranks: 2 }, { ranks: 2 }),
    PAIRED,
  ],
  [
    '--prefill_urls p:1 --prefill_bootstrap_ports 9001',
    'workers',
    [
      node('http://p:1', 'prefill', { engine: 'sglang', bootstrapPort: 9001 }),
      node('http://d:1', 'decode', { engine: 'sglang' }),
    ],
    SGLANG,
  ],
]

/** Beside which a row's flag is a mistake until it is there. */
const WITHOUT: Readonly<Record<string, string>> = { [PAIRED]: VLLM, [SGLANG]: '--backend sglang' }

for (const [flags, key, expected, beside = ''] of FLAGS)
  test(`dlrouter: ${flags} sets ${key}${beside === '' ? '' : ` beside ${beside}`}`, async () => {
    const [without, withIt] = await Promise.all([
      configOf(dlrouter, WITHOUT[beside] ?? beside),
      configOf(dlrouter, `${beside} ${flags}`.trim()),
    ])
    assert.deepEqual(withIt[key], expected)
    assert.notDeepEqual(without[key], expected, 'it changes nothing')
  })

for (const [text, key, expected] of [
  ['DLROUTER_HEARTBEAT_EXPIRATION=10', 'healthInterval', 10_000],
  ['DLROUTER_HEARTBEAT_EXPIRATION=10', 'removeAfter', 20_000],
  ['DLROUTER_HEALTH_CHECK_TIMEOUT=3', 'healthTimeout', 3000],
  ['DLROUTER_HEALTH_CHECK_MAX_FAILURES=5', 'healthFailures', 5],
  ['DLROUTER_HEALTH_CHECK_MAX_FAILURES=1', 'removeAfter', 1],
  ['DLROUTER_AIOHTTP_TIMEOUT=60', 'totalTimeout', 60_000],
  ['UVICORN_LOG_LEVEL=debug', 'logLevel', 'debug'],
] as const)
  test(`dlrouter: ${text} sets ${key}`, async () => {
    const environment = Object.fromEntries([text.split('=')])
    assert.deepEqual((await configOf(dlrouter, '', { environment }))[key], expected)
    assert.notDeepEqual((await configOf(dlrouter, ''))[key], expected)
  })

for (const line of [
  '--serving_strategy hybrid --backend vllm',
  '--backend vllm --serving_strategy hybrid --routing_strategy min_expected_latency',
  '--serving_strategy distserve --backend vllm --prefill_urls http://prefill-1:30000,http://prefill-2:30000 --decode_urls http://decode-1:30000,http://decode-2:30000 --models Qwen3-32B --disable_cache_status',
  '--serving_strategy distserve --backend vllm --prefill_urls http://prefill-node:8001 --decode_urls http://decode-node:8002 --models Qwen3-32B --intra_node_data_parallel_size 8 --disable_cache_status',
  '--serving_strategy distserve --backend vllm --zmq_host 0.0.0.0 --zmq_port 30001 --models Qwen3-32B --disable_cache_status',
  '--serving_strategy distserve --backend sglang --prefill_urls http://prefill-1:13700,http://prefill-2:13700 --decode_urls http://decode-1:13701,http://decode-2:13701 --prefill_bootstrap_ports 8998,8998 --models Qwen3-32B --disable_cache_status',
  '--serving_strategy distserve --backend lmdeploy --migration_protocol RDMA --link_type RoCE',
])
  test(`dlrouter: the line of its README is understood: ${line.slice(0, 60)}…`, async () => {
    assert.equal((await configOf(dlrouter, line)).port, 8000)
  })

test('dlrouter: its defaults hold', async () => {
  const config = await configOf(dlrouter, '')
  const { host, port, policy, threads, stateFormat, healthInterval, healthFailures, totalTimeout } = config
  assert.deepEqual(
    { host, port, policy, threads, stateFormat, healthInterval, healthFailures, totalTimeout },
    {
      host: '0.0.0.0',
      port: 8000,
      policy: 'min_expected_latency',
      threads: 1,
      stateFormat: 'nodes',
      healthInterval: 90_000,
      healthFailures: 3,
      totalTimeout: 1_800_000,
    },
  )
})

test('dlrouter: --ssl takes its files from the environment, and says which is missing', async () => {
  const environment = { SSL_KEYFILE: 'k.pem', SSL_CERTFILE: 'c.pem' }
  const { tlsKey, tlsCert } = await configOf(dlrouter, '--ssl', { environment })
  assert.deepEqual({ tlsKey, tlsCert }, { tlsKey: 'k.pem', tlsCert: 'c.pem' })
  const { problems = [] } = await translated(dlrouter, '--ssl')
  assert.deepEqual(problems, [
    '--ssl needs the variable SSL_KEYFILE',
    '--ssl needs the variable SSL_CERTFILE',
  ])
})

for (const [line, problem] of [
  ['--backend vllm --prefill_urls p:1', /Both prefill_urls and decode_urls/],
  ['--backend vllm --decode_urls d:1', /Both prefill_urls and decode_urls/],
  ['--backend sglang --decode_urls d:1', /Both prefill_urls and decode_urls/],
  [
    '--backend sglang --prefill_urls a:1,b:1 --decode_urls d:1 --prefill_bootstrap_ports 1',
    /as many as prefill_urls/,
  ],
  ['--backend vllm --zmq_port 0', /zmq_port cannot be 0/],
  ['--backend vllm --intra_node_data_parallel_size 0', /at least 1/],
  ['--backend vllm --link_type IB', /unrecognized arguments: --link_type IB/],
  ['--backend lmdeploy --zmq_port 1', /unrecognized arguments: --zmq_port 1/],
  ['--backend dlengine', /dlengine is not spoken here/],
  ['--backend nothing', /invalid choice: 'nothing'/],
  ['--routing_strategy fastest', /invalid choice: 'fastest'/],
] as const)
  test(`dlrouter: ${line} is refused with a sentence`, async () => {
    const { problems = [] } = await translated(dlrouter, line)
    assert.ok(
      problems.some((one) => problem.test(one)),
      problems.join('\n'),
    )
  })

test('dlrouter: the help shows the flags of the backend that is named', () => {
  const [plain, vllm, sglang] = ['', '--backend vllm', '--backend=sglang'].map((line) =>
    dialectHelp(dlrouter, line.split(' ')),
  )
  assert.match(plain ?? '', /--with_gdr[\s\S]*--no_with_gdr/)
  assert.doesNotMatch(plain ?? '', /--zmq_port/)
  assert.match(vllm ?? '', /--zmq_ping_timeout/)
  assert.doesNotMatch(vllm ?? '', /--with_gdr/)
  assert.match(sglang ?? '', /--prefill_bootstrap_ports/)
})

for (const backend of ['vllm', 'sglang'])
  test(`dlrouter: ${backend} nodes announce themselves where no URLs are given`, async () => {
    const line = `--backend ${backend} --serving_strategy distserve`
    const plain = await configOf(dlrouter, line)
    assert.deepEqual(
      [plain.heartbeatListen, plain.heartbeatTimeout, plain.heartbeatModels],
      ['tcp://0.0.0.0:30001', 5000, []],
    )
    const flags = '--zmq_host 127.0.0.1 --zmq_port 40001 --zmq_ping_timeout 9 --models m,n'
    const config = await configOf(dlrouter, `${line} ${flags}`)
    assert.deepEqual(
      [config.heartbeatListen, config.heartbeatTimeout, config.heartbeatModels],
      ['tcp://127.0.0.1:40001', 9000, ['m', 'n']],
    )
    assert.equal((await configOf(dlrouter, `--backend ${backend}`)).heartbeatListen, undefined)
  })

test('dlrouter: each flag that has an effect is tested for it', () => {
  const tested = new Set(FLAGS.flatMap(([flags]) => flags.split(' ')))
  const elsewhere = ['--backend', '--serving_strategy', '--ssl', '--decode_urls']
  const beats = ['--zmq_host', '--zmq_port', '--zmq_ping_timeout']
  const all = ['vllm', 'sglang', 'lmdeploy'].flatMap((backend) => dlrouter.flags(['--backend', backend]))
  const untested = all.filter(({ names: [name] }) => ![...tested, ...elsewhere, ...beats].includes(name))
  assert.deepEqual(untested, [])
})

const callOf = (body: object, shape: Call['shape'] = 'chat'): Call => {
  const bytes = new TextEncoder().encode(JSON.stringify(body))
  return { shape, body: { kind: 'json', bytes, top: scanTop(bytes) } } as unknown as Call
}
const HI = { model: 'm', messages: [{ role: 'user', content: 'hi' }] }

test('a request without a key is named by the digest of its body, as Python makes it', () => {
  assert.equal(requestKey(callOf(HI), new Headers()), '3b4de883a9fa212ec686a0d2c011aa71')
  const same = { messages: HI.messages, temperature: 0.7, unknown: 1, seed: null, model: 'm' }
  assert.equal(requestKey(callOf(same), new Headers()), '3b4de883a9fa212ec686a0d2c011aa71')
  assert.notEqual(
    requestKey(callOf({ ...HI, temperature: 1 }), new Headers()),
    requestKey(callOf(HI), new Headers()),
  )
})

test('headers beat fields, each in its order', () => {
  const headers = [
    'x-session-id',
    'x-user-id',
    'x-tenant-id',
    'x-request-id',
    'x-correlation-id',
    'x-trace-id',
  ]
  const fields = { session_params: { session_id: 'p' }, user: 'u', session_id: 's', user_id: 'i' }
  const given = new Headers(headers.map((name) => [name, name]))
  for (const name of headers) {
    assert.equal(requestKey(callOf({ ...HI, ...fields }), given), name)
    given.delete(name)
  }
  const rest: Record<string, unknown> = { ...fields }
  for (const [name, key] of [
    ['session_params', 'p'],
    ['user', 'u'],
    ['session_id', 's'],
    ['user_id', 'i'],
  ] as const) {
    assert.equal(requestKey(callOf({ ...HI, ...rest }), new Headers()), key)
    delete rest[name]
  }
})

test('completions number their sessions; -1 is none', () => {
  const body = { model: 'm', prompt: 'p' }
  assert.equal(requestKey(callOf({ ...body, session_id: 7 }, 'completions'), new Headers()), '7')
  const bare = requestKey(callOf(body, 'completions'), new Headers())
  assert.equal(requestKey(callOf({ ...body, session_id: -1 }, 'completions'), new Headers()), bare)
  assert.match(bare ?? '', /^[0-9a-f]{32}$/)
})

test('a beginning is a hundred characters with single blanks', () => {
  const long = `${'ab  \n'.repeat(60)}`
  const messages = [{ content: ' a\t b' }, { content: [{ type: 'text', text: 'x' }] }, { content: null }]
  assert.equal(beginning(callOf({ messages: [{ content: long }] }))?.length, 100)
  assert.equal(beginning(callOf({ messages })), 'a b [{"type":"text","text":"x"}]')
  assert.equal(beginning(callOf({ prompt: ['x  y', 'z'] }, 'completions')), 'x y z')
  assert.equal(beginning(callOf({ messages: [{ content: '😀'.repeat(120) }] })), '😀'.repeat(100))
  assert.equal(beginning(callOf({ messages: [] })), null)
})
