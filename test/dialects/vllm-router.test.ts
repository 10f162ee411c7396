import assert from 'node:assert/strict'
import { test } from 'node:test'
import { vllmRouter } from '../../src/dialects/vllm-router/index.ts'
import { configOf, testEffects, traced, translated, type Effect } from './_translate.ts'

const worker = (url: string, more = {}) => ({ url, role: 'mixed', weight: 1, labels: {}, ...more })
const PD = '--vllm-pd-disaggregation --prefill http://p:1 --decode http://d:1'

const FOUND = '--service-discovery --selector x=y'
const PAIRED = '--service-discovery --prefill-selector x=y --decode-selector x=z'

const EFFECTS: readonly Effect[] = [
  ['--host 0.0.0.0', 'host', '0.0.0.0'],
  ['--port 9', 'port', 9],
  ['--worker-urls http://a:1 http://b:1', 'workers', [worker('http://a:1'), worker('http://b:1')]],
  ['--policy consistent_hash', 'policy', 'vllm_consistent_hash'],
  ['--policy kv_aware', 'policy', 'kv_aware'],
  ['--prefill-policy consistent_hash', 'prefillPolicy', 'vllm_consistent_hash', PD],
  ['--decode-policy power_of_two', 'decodePolicy', 'power_of_two', PD],
  ['--router-temperature 0.5', 'kvTemperature', 0.5],
  ['--kv-aware-session-affinity-ttl-secs 60', 'kvSessionIdle', 60_000],
  ['--pool-idle-timeout-secs 9', 'workerKeepAlive', 9000],
  ['--kv-penalty-host 0.5', 'kvHostWorth', 0.5],
  ['--kv-penalty-external 0.4', 'kvExternalWorth', 0.4],
  ['--kv-penalty-disk 0.1', 'kvDiskWorth', 0.1],
  ['--kv-event-block-size 64', 'kvBlockTokens', 64],
  ['--profile', 'profile', 'vllm-router.cpuprofile'],
  ['--enable-trace', 'options.traces', traced('vllm-router', {})],
  [
    '--otlp-traces-endpoint http://c:9/in',
    'options.traces',
    traced('vllm-router', { endpoint: 'http://c:9/in' }),
    '--enable-trace',
  ],
  ['--otel-sampling-ratio 0.1', 'options.traces', traced('vllm-router', { ratio: 0.1 }), '--enable-trace'],
  [
    '--otel-excluded-paths /a,/b',
    'options.traces',
    traced('vllm-router', { excluded: ['/a', '/b'] }),
    '--enable-trace',
  ],
  ['--epd-config encoders.json', 'options.encoders', ['http://e:1']],
  ['--backend vllm', 'workers', [worker('http://a:1', { engine: 'vllm' })], '--worker-urls http://a:1'],
  [
    '--kv-event-source http://a:1/=tcp://a:5557,tcp://a:6000',
    'workers',
    [worker('http://a:1', { kvEvents: 'tcp://a:5557,tcp://a:6000' })],
    '--worker-urls http://a:1',
  ],
  [
    '--kv-event-replay-source http://a:1=tcp://a:5558',
    'workers',
    [worker('http://a:1', { kvEventsReplay: 'tcp://a:5558' })],
    '--worker-urls http://a:1',
  ],
  [
    '--kv-event-model m',
    'workers',
    [worker('http://a:1', { kvEvents: 'tcp://a:5557', models: ['m'] })],
    '--worker-urls http://a:1 --kv-event-source http://a:1=tcp://a:5557',
  ],
  [PD, 'prefill', ['http://p:1,none']],
  ['--prefill http://p:2 9000', 'prefill', ['http://p:1,none', 'http://p:2,9000'], PD],
  ['--decode http://d:2', 'decode', ['http://d:1', 'http://d:2'], PD],
  ['--vllm-discovery-address 0.0.0.0:30001', 'pdProtocol', 'p2p', PD],
  ['--kv-connector mooncake', 'pdProtocol', 'mooncake', PD],
  [
    '--pd-kv-events http://p:2=tcp://p:5557',
    'workers',
    [{ ...worker('http://p:2', { kvEvents: 'tcp://p:5557', bootstrapPort: 9000 }), role: 'prefill' }],
    `${PD} --prefill http://p:2 9000`,
  ],
  ['--service-discovery', 'discover', ['kubernetes'], '--selector a=b'],
  ['--selector a=b c=d', 'kubernetesSelector', 'a=b,c=d', FOUND],
  ['--service-discovery-port 81', 'kubernetesPort', 81, FOUND],
  ['--service-discovery-namespace n', 'kubernetesNamespace', 'n', FOUND],
  ['--prefill-selector a=b', 'kubernetesPrefillSelector', 'a=b', PAIRED],
  ['--decode-selector a=b', 'kubernetesDecodeSelector', 'a=b', PAIRED],
  ['--worker-startup-timeout-secs 5', 'options.startupTimeout', 5],
  ['--worker-startup-check-interval 5', 'options.checkInterval', 5],
  ['--cache-threshold 0.9', 'cacheThreshold', 0.9],
  ['--balance-abs-threshold 5', 'balanceAbs', 5],
  ['--balance-rel-threshold 5', 'balanceRel', 5],
  ['--eviction-interval-secs 5', 'treeInterval', 5000],
  ['--max-tree-size 5', 'treeSize', 5],
  ['--max-payload-size 5', 'maxBody', 5],
  ['--intra-node-data-parallel-size 8', 'ranks', 8],
  ['--enable-igw', 'models', 'check'],
  ['--api-key k', 'workerApiKey', 'k'],
  ['--log-dir logs', 'logDir', 'logs'],
  ['--log-level warning', 'logLevel', 'warn'],
  ['--log-level critical', 'logLevel', 'error'],
  ['--prometheus-port 9000', 'metricsListen', '127.0.0.1:9000'],
  ['--prometheus-host 0.0.0.0', 'metricsListen', '0.0.0.0:29000'],
  ['--request-id-headers x-a x-b', 'requestIdHeaders', ['x-a', 'x-b']],
  ['--request-timeout-secs 5', 'idleTimeout', 5000],
  ['--retry-max-retries 2', 'retries', 1],
  ['--retry-initial-backoff-ms 5', 'retryDelay', 5],
  ['--retry-max-backoff-ms 500', 'retryMaxDelay', 500],
  ['--retry-backoff-multiplier 3', 'retryFactor', 3],
  ['--retry-jitter-factor 0.5', 'retryJitter', 0.5],
  ['--disable-retries', 'retries', 0],
  ['--cb-failure-threshold 2', 'breakerFailures', 2],
  ['--cb-success-threshold 1', 'breakerSuccesses', 1],
  ['--cb-timeout-duration-secs 5', 'breakerOpen', 5000],
  ['--cb-window-duration-secs 5', 'breakerWindow', 5000],
  ['--disable-circuit-breaker', 'breakerFailures', 0],
  ['--health-failure-threshold 1', 'healthFailures', 1],
  ['--health-success-threshold 1', 'healthSuccesses', 1],
  ['--health-check-timeout-secs 1', 'healthTimeout', 1000],
  ['--health-check-interval-secs 1', 'healthInterval', 1000],
  ['--health-check-endpoint /ping', 'healthPath', '/ping'],
  ['--max-concurrent-requests 5', 'maxInFlight', 5],
  ['--queue-size 5', 'queueSize', 5],
  ['--queue-timeout-secs 5', 'queueTimeout', 5000],
  ['--rate-limit-tokens-per-second 5', 'refillRate', 5],
  ['--cors-allowed-origins http://a', 'corsOrigins', ['http://a']],
  [
    '--api-key-validation-urls https://a/me,https://b/me',
    'apiKeyValidationUrls',
    ['https://a/me', 'https://b/me'],
  ],
]

testEffects(vllmRouter, EFFECTS)

test('validation URLs come from the environment, too, and the flag beats it', async () => {
  const environment = { API_KEY_VALIDATION_URLS: 'https://a/me, https://b/me' }
  const both = await configOf(vllmRouter, '', { environment })
  assert.deepEqual(both.apiKeyValidationUrls, ['https://a/me', 'https://b/me'])
  const flag = await configOf(vllmRouter, '--api-key-validation-urls https://c/me', { environment })
  assert.deepEqual(flag.apiKeyValidationUrls, ['https://c/me'])
})

test('what cargo has between its flags and the program’s is passed over', async () => {
  assert.equal((await configOf(vllmRouter, '-- --port 8090')).port, 8090)
})

for (const flags of [
  '--service-discovery static',
  '--service-discovery=k8s',
  '--static-backends http://a:1',
  '--routing-logic roundrobin',
])
  test(`${flags} is of production-stack's program of that name`, () => {
    assert.equal(vllmRouter.meant?.(['--port', '1', ...flags.split(' ')]), 'production-stack')
  })

for (const flags of ['--service-discovery', '--service-discovery --selector a=b', ''])
  test(`${flags || 'no flag'} is of this one`, () => {
    assert.equal(vllmRouter.meant?.(flags.split(' ')), undefined)
  })

test('an open door is told', async () => {
  const { notes } = await translated(vllmRouter, '--host 0.0.0.0')
  assert.match(notes?.join() ?? '', /anybody who reaches 0.0.0.0:30000/)
})

test('lines of a start script that were broken by backslashes are read', async () => {
  const config = await configOf(vllmRouter, '--host 127.0.0.1 \n --port 8090 \n')
  assert.equal(config.port, 8090)
})
