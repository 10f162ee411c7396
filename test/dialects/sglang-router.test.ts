import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sglangRouter } from '../../src/dialects/sglang-router/index.ts'
import { vllmRouter } from '../../src/dialects/vllm-router/index.ts'
import { configOf, testEffects, traced, translated, type Effect } from './_translate.ts'

const worker = (url: string) => ({ url, role: 'mixed', weight: 1, labels: {} })
const PD = '--pd-disaggregation --prefill http://p:1 --decode http://d:1'

const FOUND = '--service-discovery --selector x=y'
const PAIRED = '--service-discovery --prefill-selector x=y --decode-selector x=z'

const EFFECTS: readonly Effect[] = [
  ['--host 0.0.0.0', 'host', '0.0.0.0'],
  ['--port 9', 'port', 9],
  ['--worker-urls http://a:1 http://b:1', 'workers', [worker('http://a:1'), worker('http://b:1')]],
  ['--backend openai', 'healthInterval', 0],
  ['--policy power_of_two', 'policy', 'power_of_two'],
  ['--policy consistent_hashing', 'policy', 'sglang_consistent_hashing'],
  ['--prefill-policy bucket', 'prefillPolicy', 'bucket', PD],
  ['--decode-policy random', 'decodePolicy', 'random', PD],
  [PD, 'prefill', ['http://p:1,none']],
  ['--prefill http://p:2 9000', 'prefill', ['http://p:1,none', 'http://p:2,9000'], PD],
  ['--prefill http://p:2 None', 'prefill', ['http://p:1,none', 'http://p:2,none'], PD],
  ['--decode http://d:2', 'decode', ['http://d:1', 'http://d:2'], PD],
  ['--cache-threshold 0.9', 'cacheThreshold', 0.9],
  ['--balance-abs-threshold 5', 'balanceAbs', 5],
  ['--balance-rel-threshold 5', 'balanceRel', 5],
  ['--bucket-adjust-interval-secs 7', 'bucketInterval', 7000],
  ['--eviction-interval-secs 5', 'treeInterval', 5000],
  ['--max-tree-size 5', 'treeSize', 5],
  ['--max-idle-secs 5', 'manualIdle', 5000],
  ['--assignment-mode min_load', 'manualAssignment', 'min_load'],
  ['--prefix-token-count 5', 'prefixTokens', 5],
  ['--prefix-hash-load-factor 2', 'prefixLoadFactor', 2],
  ['--max-payload-size 5', 'maxBody', 5],
  ['--dp-aware', 'ranks', 'ask'],
  ['--pd-disaggregation', 'pdProtocol', 'sglang', '--prefill http://p:1 --decode http://d:1'],
  ['--enable-igw', 'models', 'check'],
  ['--worker-startup-timeout-secs 5', 'options.startupTimeout', 5],
  ['--worker-startup-check-interval 5', 'options.checkInterval', 5],
  ['--log-dir logs', 'logDir', 'logs'],
  ['--log-level debug', 'logLevel', 'debug'],
  ['--service-discovery', 'discover', ['kubernetes'], '--selector a=b'],
  ['--selector a=b c=d', 'kubernetesSelector', 'a=b,c=d', FOUND],
  ['--service-discovery-port 81', 'kubernetesPort', 81, FOUND],
  ['--service-discovery-namespace n', 'kubernetesNamespace', 'n', FOUND],
  ['--prefill-selector a=b', 'kubernetesPrefillSelector', 'a=b', PAIRED],
  ['--decode-selector a=b', 'kubernetesDecodeSelector', 'a=b', PAIRED],
  ['--bootstrap-port-annotation a/b', 'kubernetesBootstrapAnnotations', ['a/b'], FOUND],
  ['--prometheus-port 9000', 'metricsListen', '127.0.0.1:9000'],
  ['--prometheus-host 0.0.0.0', 'metricsListen', '0.0.0.0:29000'],
  ['--prometheus-duration-buckets 0.1 1', 'durationBuckets', [0.1, 1]],
  ['--request-id-headers x-a x-b', 'requestIdHeaders', ['x-a', 'x-b']],
  ['--enable-trace', 'options.traces', traced('sglang-router', {})],
  [
    '--otlp-traces-endpoint c:9',
    'options.traces',
    traced('sglang-router', { endpoint: 'http://c:9' }),
    '--enable-trace',
  ],
  ['--request-timeout-secs 5', 'idleTimeout', 5000],
  ['--shutdown-grace-period-secs 5', 'grace', 5000],
  ['--cors-allowed-origins http://a', 'corsOrigins', ['http://a']],
  ['--max-concurrent-requests 5', 'maxInFlight', 5],
  ['--max-concurrent-requests -1', 'maxInFlight', 0],
  ['--queue-size 5', 'queueSize', 5],
  ['--queue-timeout-secs 5', 'queueTimeout', 5000],
  ['--rate-limit-tokens-per-second 5', 'refillRate', 5],
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
  ['--disable-health-check', 'healthInterval', 0],
  ['--api-key k', 'adminKey', 'k'],
  ['--api-key k', 'workerApiKey', 'k'],
  [
    '--control-plane-api-keys i:n:admin:k:1',
    'controlKeys',
    [{ id: 'i', name: 'n', role: 'admin', key: 'k:1' }],
  ],
  ['--control-plane-audit-enabled', 'audit', true],
  ['--disable-audit-logging', 'audit', false, '--control-plane-audit-enabled'],
  ['--jwt-issuer https://i', 'jwtIssuer', 'https://i'],
  ['--jwt-audience a', 'jwtAudience', 'a', '--jwt-issuer https://i'],
  ['--jwt-jwks-uri https://i/keys', 'jwtJwksUri', 'https://i/keys', '--jwt-issuer https://i'],
  ['--jwt-role-claim groups', 'jwtRoleClaim', 'groups'],
  ['--jwt-role-mapping ops=admin dev=user', 'jwtRoles', { ops: 'admin', dev: 'user' }],
  ['--client-cert-path c --client-key-path k', 'workerTlsCert', 'c'],
  ['--client-cert-path c --client-key-path k', 'workerTlsKey', 'k'],
  ['--ca-cert-paths a b', 'workerTlsCa', ['a', 'b']],
  ['--tls-cert-path c --tls-key-path k', 'tlsCert', 'c'],
  ['--tls-cert-path c --tls-key-path k', 'tlsKey', 'k'],
]

testEffects(sglangRouter, EFFECTS)

test('without flags the defaults are those of the README', async () => {
  const config = await configOf(sglangRouter, '')
  const expected = {
    host: '127.0.0.1',
    port: 30000,
    policy: 'cache_aware',
    cacheAwareVariant: 'readme',
    cacheThreshold: 0.5,
    balanceAbs: 32,
    balanceRel: 1.0001,
    treeSize: 16_777_216,
    treeInterval: 60_000,
    maxInFlight: 64,
    idleTimeout: 600_000,
    maxBody: 256 * 2 ** 20,
    retries: 2,
    retryDelay: 100,
    retryMaxDelay: 10_000,
    retryFactor: 2,
    retryJitter: 0.1,
    breakerFailures: 5,
    breakerSuccesses: 2,
    breakerOpen: 30_000,
    breakerWindow: 60_000,
    metricsListen: '127.0.0.1:29000',
    models: 'ignore',
    breakerProbes: true,
  }
  const found = Object.fromEntries(
    Object.keys(expected).map((key) => [key, config[key as keyof typeof config]]),
  )
  assert.deepEqual(found, expected)
})

test('--defaults release takes those of the current release', async () => {
  const config = await configOf(sglangRouter, '', { defaults: 'release' })
  const { host, cacheThreshold, balanceAbs, balanceRel, treeSize, maxInFlight } = config
  assert.deepEqual(
    [host, cacheThreshold, balanceAbs, balanceRel, treeSize, maxInFlight],
    ['0.0.0.0', 0.3, 64, 1.5, 2 ** 26, 0],
  )
  assert.equal(config.cacheAwareVariant, 'release')
})

test('a bootstrap port that is none is told in the original’s words', async () => {
  const { problems } = await translated(sglangRouter, '--pd-disaggregation --prefill http://p:1 x')
  assert.deepEqual(problems, ["Invalid bootstrap port: x. Must be a number or 'none'"])
})

test('flags without effect say so once', async () => {
  const { notes } = await translated(sglangRouter, '--mini-lb --chat-template a --chat-template b')
  assert.deepEqual(
    notes?.map((note) => note.split(':')[0]),
    ['--mini-lb has no effect', '--chat-template has no effect'],
  )
})

test('one argument may hold several labels, and those without = are dropped', async () => {
  const argv = ['--service-discovery', '--selector', 'a=b c=d', 'junk']
  const where = { environment: {}, defaults: 'readme', isStrict: false } as const
  const { config } = await sglangRouter.translate(argv, { ...where, readFile: () => Promise.resolve(null) })
  assert.equal(config.get('kubernetesSelector')?.value, 'a=b,c=d')
})

test('discovery without a selector, or with one that is no KEY=VALUE, is refused as there', async () => {
  for (const line of ['--service-discovery', '--service-discovery --selector app'])
    for (const dialect of [sglangRouter, vllmRouter]) {
      const { problems } = await translated(dialect, line)
      assert.match(problems?.join() ?? '', /^--service-discovery needs a selector/, dialect.name)
    }
})
