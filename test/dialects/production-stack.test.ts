import assert from 'node:assert/strict'
import { test } from 'node:test'
import { productionStack } from '../../src/dialects/production-stack/index.ts'
import { vllmRouter } from '../../src/dialects/vllm-router/index.ts'
import { configOf, testEffects, translated, type Effect } from './_translate.ts'

/** What every line needs, with two workers of one model. */
const STATIC =
  '--service-discovery static --static-backends http://a:1,http://b:2 --static-models m,m --routing-logic roundrobin'
const K8S = '--service-discovery k8s --routing-logic roundrobin'
const PAIRS =
  '--service-discovery static --static-backends http://a:1,http://b:2,http://c:3 --static-models m,m,m --static-model-labels x,y,z --routing-logic disaggregated_prefill'

const plain = (url: string, more: object = {}) => ({
  url,
  role: 'mixed',
  models: ['m'],
  weight: 1,
  labels: { model: 'default' },
  ...more,
})
const VLLM = { engine: 'vllm' }
const labelled = (x: string, y: string, more: object = VLLM) => [
  plain('http://a:1', { role: x, labels: { model: 'x' }, ...more }),
  plain('http://b:2', { role: y, labels: { model: 'y' }, ...more }),
]
const third = (role: string) => plain('http://c:3', { role, labels: { model: 'z' }, ...VLLM })
const LABELLED = `${STATIC} --prefill-model-labels x --decode-model-labels y`
const CHECKS = `${STATIC} --static-model-types chat,completion`

const EFFECTS: readonly Effect[] = [
  ['--host 127.0.0.1', 'host', '127.0.0.1', STATIC],
  ['--port 9', 'port', 9, STATIC],
  ['--root-path /r/', 'options.rootPath', '/r', STATIC],
  ['--log-level trace', 'logLevel', 'debug', STATIC],
  ['--log-level critical', 'logLevel', 'error', STATIC],
  ['--log-format json', 'logFormat', 'json', STATIC],
  ['--k8s-service-discovery-type service-name', 'kubernetesTarget', 'services', K8S],
  ['--k8s-port 9', 'kubernetesPort', 9, K8S],
  ['--k8s-namespace n', 'kubernetesNamespace', 'n', K8S],
  ['--k8s-label-selector a=b', 'kubernetesSelector', 'a=b', K8S],
  ['--backend-health-check-timeout-seconds 3', 'healthTimeout', 3000, K8S],
  ['--service-discovery k8s', 'discover', ['kubernetes'], STATIC],
  ['--service-discovery external-only', 'options.live.discovery', 'external-only', STATIC],
  ['--static-backends http://c:1,[::1]:2', 'workers', [plain('http://c:1'), plain('http://[::1]:2')], STATIC],
  ['--static-models n,m', 'workers', [plain('http://a:1', { models: ['n'] }), plain('http://b:2')], STATIC],
  ['--static-model-labels x,y', 'workers', labelled('mixed', 'mixed', {}), STATIC],
  [
    '--static-model-types vision,score',
    'workers',
    [
      plain('http://a:1', { probes: [{ model: 'm', kind: 'vision' }] }),
      plain('http://b:2', { probes: [{ model: 'm', kind: 'score' }] }),
    ],
    `${CHECKS} --static-backend-health-checks`,
  ],
  ['--static-aliases s:m', 'aliases', { s: 'm' }, STATIC],
  [
    '--static-backend-health-checks',
    'workers',
    [
      plain('http://a:1', { probes: [{ model: 'm', kind: 'chat' }] }),
      plain('http://b:2', { probes: [{ model: 'm', kind: 'completion' }] }),
    ],
    CHECKS,
  ],
  [
    '--static-backend-health-check-interval 7',
    'healthInterval',
    7000,
    `${CHECKS} --static-backend-health-checks`,
  ],
  [
    '--static-backend-health-check-timeout-seconds 7',
    'healthTimeout',
    7000,
    `${CHECKS} --static-backend-health-checks`,
  ],
  [
    '--routing-logic roundrobin',
    'policy',
    'production_stack_roundrobin',
    `${STATIC} --routing-logic kvaware`,
  ],
  ['--routing-logic session', 'policy', 'production_stack_session', `${STATIC} --session-key k`],
  ['--routing-logic prefixaware', 'policy', 'production_stack_prefixaware', STATIC],
  ['--routing-logic disaggregated_prefill', 'pdProtocol', 'plain', LABELLED],
  ['--routing-logic disaggregated_prefill_orchestrated', 'pdProtocol', 'orchestrated', LABELLED],
  ['--session-key k', 'options.live.sessionKey', 'k', STATIC],
  ['--prefix-min-match-length 9', 'prefixMinMatch', 9, STATIC],
  ['--max-instance-failover-reroute-attempts 9', 'retries', 9, STATIC],
  [
    '--prefill-model-labels x',
    'workers',
    [...labelled('prefill', 'decode'), third('mixed')],
    `${PAIRS} --prefill-model-labels z --decode-model-labels y`,
  ],
  [
    '--decode-model-labels z',
    'workers',
    [...labelled('prefill', 'mixed'), third('decode')],
    `${PAIRS} --prefill-model-labels x --decode-model-labels y`,
  ],
  ['--callbacks ./c.mjs', 'callbacks', './c.mjs', STATIC],
  ['--engine-stats-interval 9', 'loadInterval', 9000, STATIC],
  ['--request-stats-window 9', 'options.requestStatsWindow', 9, STATIC],
  ['--log-stats', 'options.logStats', true, STATIC],
  ['--log-stats-interval 9', 'options.logStatsInterval', 9, STATIC],
  ['--otel-endpoint c:4317', 'options.traces.endpoint', 'http://c:4318', STATIC],
  ['--otel-service-name s', 'options.traces.service', 's', `${STATIC} --otel-endpoint c:4317`],
  ['--otel-secure', 'options.traces.endpoint', 'https://c:4318', `${STATIC} --otel-endpoint c:4317`],
]

/** Flags whose effects other tests show. */
const ELSEWHERE = [
  '--enable-batch-api',
  '--file-storage-path',
  '--dynamic-config-yaml',
  '--dynamic-config-json',
  '--external-providers-config',
  '--request-rewriter',
  '--feature-gates',
  '--semantic-cache-model',
  '--semantic-cache-dir',
  '--semantic-cache-threshold',
  '--kv-aware-threshold',
  '--lmcache-controller-port',
  '--lmcache-controller-reply-port',
  '--lmcache-controller-heartbeat-port',
  '--lmcache-worker-timeout',
]

testEffects(productionStack, EFFECTS, ELSEWHERE)

for (const [line, problem] of [
  ['--routing-logic roundrobin', 'the following arguments are required: --service-discovery'],
  [STATIC.replace('--routing-logic roundrobin', ''), 'the following arguments are required: --routing-logic'],
  [
    `${STATIC} --routing-logic ttft`,
    "argument --routing-logic: invalid choice: 'ttft' (choose from roundrobin",
  ],
  [`${STATIC} --routing-logic session`, '--session-key is missing: Session key must be provided'],
  [`${STATIC} --routing-logic disaggregated_prefill`, 'needs --prefill-model-labels'],
  [`${STATIC} --static-models m`, '--static-models must be as many as --static-backends: 1 for 2'],
  [`${STATIC} --static-model-labels x`, '--static-model-labels must be as many'],
  [
    `${STATIC} --static-backend-health-checks`,
    '--static-model-types is missing: Static model types must be provided',
  ],
  [`${STATIC} --static-model-types chat,x`, 'x is none of chat, completion'],
  [`${STATIC} --static-aliases s`, 's is no ALIAS:MODEL'],
  [`${STATIC} --static-backends http://a:1,ftp://b`, 'ftp:// is not spoken'],
  [
    '--service-discovery static --routing-logic roundrobin',
    '--static-backends is missing: Static backends must be provided',
  ],
  [`${STATIC} --port x`, "argument --port: invalid int value: 'x'"],
  [`${STATIC} --engine-stats-interval 0`, 'argument --engine-stats-interval: must be greater than 0'],
  [`${STATIC} --request-stats-window -1`, 'argument --request-stats-window: must be greater than 0'],
  [`${STATIC} --sentry-traces-sample-rate 2`, 'must be between 0 and 1'],
  [`${STATIC} --pii-analyzer x`, 'unrecognized arguments: --pii-analyzer x'],
  [`${STATIC} stray`, 'unrecognized arguments: stray'],
] as const)
  test(`production-stack: ${line.replace(STATIC, '…')} is refused`, async () => {
    const { problems = [] } = await translated(productionStack, line)
    assert.ok(
      problems.some((one) => one.includes(problem)),
      problems.join('; '),
    )
  })

test('production-stack: flags by their beginnings and with = are understood', async () => {
  const line = `${STATIC.replace('--service-discovery', '--service')} --max-inst=2 --engine-stats=5`
  const { retries, loadInterval } = await configOf(productionStack, line)
  assert.deepEqual([retries, loadInterval], [2, 5000])
})

test('production-stack: what differs between its README and its program goes by --defaults', async () => {
  const at = async (defaults: 'readme' | 'release') => {
    const { config, options } = await translated(productionStack, STATIC, { defaults })
    return [config.get('retries')?.value, options?.['logStatsInterval'], config.get('port')?.value]
  }
  assert.deepEqual(await at('readme'), [3, 30, 8001])
  assert.deepEqual(await at('release'), [0, 10, 8001])
})

test('production-stack: names with colons are told apart by the models that there are', async () => {
  const line = `${STATIC} --static-models ns:m:v1,ns:m:v1 --static-aliases a:ns:m:v1,b:c:ns:m:v1`
  assert.deepEqual((await configOf(productionStack, line)).aliases, { a: 'ns:m:v1', 'b:c': 'ns:m:v1' })
})

test('production-stack: VLLM_API_KEY goes with what the router asks, not with calls', async () => {
  const environment = { VLLM_API_KEY: 'sk' }
  const config = await configOf(productionStack, K8S, { environment })
  assert.deepEqual([config.workerProbeKey, config.workerApiKey], ['sk', undefined])
})

test('production-stack: without a selector all pods are workers, with labels each has its role', async () => {
  assert.equal((await configOf(productionStack, K8S)).kubernetesSelector, '*')
  const line = `${K8S} --routing-logic disaggregated_prefill --k8s-label-selector a=b --prefill-model-labels p,q --decode-model-labels d`
  const config = await configOf(productionStack, line)
  assert.equal(config.kubernetesPrefillSelector, 'a=b,model in (p,q)')
  assert.equal(config.kubernetesDecodeSelector, 'a=b,model in (d)')
})

for (const [line, isOurs] of [
  ['--service-discovery static --port 1', true],
  ['--service-discovery=k8s', true],
  ['--static-backends http://a', true],
  ['--routing-logic roundrobin', true],
  ['--dynamic-config-yaml f.yaml', true],
  ['--external-providers-config f.yaml', true],
  ['--service-discovery --selector a=b', false],
  ['--worker-urls http://a', false],
] as const)
  test(`vllm-router ${line} is ${isOurs ? '' : 'not '}of production-stack`, () => {
    assert.equal(vllmRouter.meant?.(line.split(' ')), isOurs ? 'production-stack' : undefined)
  })

test('production-stack: that its port is open to others is said, where it is', async () => {
  const notes = async (line: string) => (await translated(productionStack, line)).notes ?? []
  assert.match((await notes(STATIC)).join(), /anybody who reaches 0\.0\.0\.0:8001 may put engines to sleep/)
  assert.deepEqual(await notes(`${STATIC} --host 127.0.0.1`), [])
  assert.deepEqual(await notes(`${STATIC} --host localhost --sentry-dsn x`), [
    '--sentry-dsn has no effect: errors are in the log; nothing is sent to Sentry',
  ])
})
