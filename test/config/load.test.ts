import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseConfigFile } from '../../adapters/cli/yaml.ts'
import { envName, fields, flagName, type Field } from '../../src/config/fields.ts'
import { formatIssue } from '../../src/config/issues.ts'
import { load, type Sources } from '../../src/config/load.ts'
import { configSchema, type Config } from '../../src/config/schema.ts'

interface Sample {
  readonly text: string
  readonly file?: string
  readonly value: unknown
  /** Flags without which the value cannot be. */
  readonly beside?: readonly string[]
}

const SAMPLES: Readonly<Record<string, Sample>> = {
  host: { text: '::1', file: '"::1"', value: '::1' },
  port: { text: '9001', value: 9001 },
  socket: { text: '/run/f.sock', value: '/run/f.sock' },
  tlsCert: { text: 'cert.pem', value: 'cert.pem', beside: ['--tls-key', 'key.pem'] },
  tlsKey: { text: 'key.pem', value: 'key.pem', beside: ['--tls-cert', 'cert.pem'] },
  workers: {
    text: 'gpu1:8000',
    file: '[gpu1:8000]',
    value: [{ url: 'http://gpu1:8000', role: 'mixed', weight: 1, labels: {} }],
  },
  prefill: {
    text: 'p1:8000,9000',
    file: '["p1:8000,9000"]',
    value: ['http://p1:8000,9000'],
    beside: ['--decode', 'd1:1'],
  },
  decode: { text: 'd1:8000', file: '[d1:8000]', value: ['http://d1:8000'], beside: ['--prefill', 'p1:1'] },
  ranks: { text: 'ask', value: 'ask' },
  aliases: { text: 'gpt-4=org/llama', file: '{gpt-4: org/llama}', value: { 'gpt-4': 'org/llama' } },
  state: { text: 'state.json', value: 'state.json' },
  apiKeys: {
    text: 'sk-1',
    file: '[sk-1]',
    value: [
      { key: 'sk-1', tenant: undefined, requestsPerMinute: 0, tokensPerMinute: 0, priority: undefined },
    ],
  },
  adminKey: { text: 'sk-admin', value: 'sk-admin' },
  adminListen: { text: '127.0.0.1:9009', value: '127.0.0.1:9009' },
  workerApiKey: { text: 'sk-worker', value: 'sk-worker' },
  workerProbeKey: { text: 'sk-probe', value: 'sk-probe' },
  tunnelTokens: { text: 'box', file: '[box]', value: [{ token: 'box', name: undefined, revoked: false }] },
  apiKeyValidationUrls: {
    text: 'https://a.example/me',
    file: '[https://a.example/me]',
    value: ['https://a.example/me'],
  },
  controlKeys: {
    text: 'i:n:admin:k:1',
    file: '["i:n:admin:k:1"]',
    value: [{ id: 'i', name: 'n', role: 'admin', key: 'k:1' }],
  },
  jwtIssuer: { text: 'https://issuer', value: 'https://issuer' },
  jwtAudience: { text: 'fetchway', value: 'fetchway', beside: ['--jwt-issuer', 'https://i'] },
  jwtJwksUri: {
    text: 'https://issuer/keys',
    value: 'https://issuer/keys',
    beside: ['--jwt-issuer', 'https://i'],
  },
  jwtRoleClaim: { text: 'groups', value: 'groups' },
  jwtRoles: { text: 'ops=admin', file: '{ops: admin}', value: { ops: 'admin' } },
  workerTlsCert: { text: 'c.pem', value: 'c.pem', beside: ['--worker-tls-key', 'k.pem'] },
  workerTlsKey: { text: 'k.pem', value: 'k.pem', beside: ['--worker-tls-cert', 'c.pem'] },
  workerTlsCa: { text: 'ca.pem', file: '[ca.pem]', value: ['ca.pem'] },
  metricsListen: { text: '127.0.0.1:29000', value: '127.0.0.1:29000' },
  durationBuckets: { text: '0.5,2', file: '[0.5, 2]', value: [0.5, 2] },
  logDir: { text: 'logs', value: 'logs' },
  retryOn: { text: '429,503', file: '[429, 503]', value: [429, 503] },
  busyOn: { text: '429', file: '[429]', value: [429] },
  healthPath: { text: '/ping', value: '/ping' },
  retryDelay: { text: '75ms', value: 75 },
  retryJitter: { text: '0.75', value: 0.75 },
  kvHostWorth: { text: '0.75', value: 0.75 },
  kvExternalWorth: { text: '0.75', value: 0.75 },
  kvDiskWorth: { text: '0.75', value: 0.75 },
  profile: { text: 'router.cpuprofile', value: 'router.cpuprofile' },
  retryBudget: { text: '0.75', value: 0.75 },
  cacheThreshold: { text: '0.75', value: 0.75 },
  vllmKeyPrefix: { text: 'header:x-user-id:', file: '"header:x-user-id:"', value: 'header:x-user-id:' },
  discover: {
    text: 'kubernetes',
    file: '[kubernetes]',
    value: ['kubernetes'],
    beside: ['--kubernetes-selector', 'app=x'],
  },
  kubernetesSelector: { text: 'app=x,!y', value: 'app=x,!y', beside: ['--discover', 'kubernetes'] },
  kubernetesDrainSelector: {
    text: 'sleeping=true',
    value: 'sleeping=true',
    beside: ['--kubernetes-selector', 'app=x', '--discover', 'kubernetes'],
  },
  kubernetesPrefillSelector: {
    text: 'part=prefill',
    value: 'part=prefill',
    beside: ['--discover', 'kubernetes', '--kubernetes-decode-selector', 'a=b'],
  },
  kubernetesDecodeSelector: {
    text: 'part=decode',
    value: 'part=decode',
    beside: ['--discover', 'kubernetes', '--kubernetes-prefill-selector', 'a=b'],
  },
  kubernetesNamespace: { text: 'models', value: 'models' },
  kubernetesModelFrom: { text: 'label:model', value: 'label:model' },
  kubernetesBootstrapAnnotations: { text: 'a/port', file: '[a/port]', value: ['a/port'] },
  kubernetesHeaders: { text: 'x-a=b', file: '{x-a: b}', value: { 'x-a': 'b' } },
  kubernetesStall: { text: '2m', value: 120_000 },
  kubernetesApi: { text: 'https://k:6443', value: 'https://k:6443' },
  kubernetesToken: { text: 'tok', value: 'tok' },
  kubernetesTokenFile: { text: 'token', value: 'token' },
  kubernetesCa: { text: 'ca.crt', value: 'ca.crt' },
  kubeconfig: { text: 'kubeconfig', value: 'kubeconfig' },
  kubeContext: { text: 'prod', value: 'prod' },
  defaultModel: { text: 'org/llama', value: 'org/llama' },
  heartbeatListen: { text: 'tcp://127.0.0.1:30001', value: 'tcp://127.0.0.1:30001' },
  heartbeatModels: { text: 'm', file: '[m]', value: ['m'] },
  heartbeatToken: { text: 'beat', value: 'beat' },
  peers: { text: 'r2:8000', file: '[r2:8000]', value: ['http://r2:8000'], beside: ['--admin-key', 'k'] },
  leader: { text: 'r2:8000', value: 'http://r2:8000', beside: ['--admin-key', 'k'] },
  record: { text: 'calls.jsonl', value: 'calls.jsonl' },
  callbacks: { text: './c.mjs', value: './c.mjs' },
  requestRewriter: { text: './r.mjs#x', value: './r.mjs#x' },
  providers: {
    text: 'https://api.example/v1#big',
    file: '["https://api.example/v1#big"]',
    value: [
      {
        name: 'api.example',
        url: 'https://api.example/v1',
        timeout: 30_000,
        maxRetries: 3,
        headers: {},
        models: [{ id: 'big', type: 'chat', aliases: [] }],
      },
    ],
  },
  lmcache: { text: '9000', value: { port: 9000, workerTimeout: 30_000 } },
  semanticCache: { text: 'e5', value: { embedder: 'e5', threshold: 0.95, size: 1000 } },
  batchStore: { text: 'kept', value: 'kept' },
  requestIdHeaders: { text: 'x-one,x-two', file: '[x-one, x-two]', value: ['x-one', 'x-two'] },
  corsOrigins: { text: 'https://a.example', file: '[https://a.example]', value: ['https://a.example'] },
  dialectOptions: { text: 'a=b', file: '{a: b}', value: { a: 'b' } },
  sessionHeaders: { text: 'x-chat', file: '[x-chat]', value: ['x-chat'] },
}

function sampleOf(field: Field): Sample {
  const listed = SAMPLES[field.key]
  if (listed) return listed
  if (field.kind === 'duration') return { text: '1.5m', value: 90_000 }
  if (field.kind === 'size') return { text: '3KiB', value: 3072 }
  if (field.kind === 'boolean') return { text: String(!field.initial), value: !field.initial }
  if (field.kind === 'choice') {
    const other = field.choices.find((choice) => choice !== field.initial) ?? ''
    return { text: other, file: JSON.stringify(other), value: other }
  }
  return { text: '7', value: 7 }
}

function configOf(sources: Sources): Config {
  const loaded = load(sources)
  assert.deepEqual(loaded.issues.map(formatIssue), [])
  assert.ok(loaded.config)
  return loaded.config
}

const issuesOf = (sources: Sources): string[] => load(sources).issues.map(formatIssue)
const yaml = (text: string) => parseConfigFile('f.yaml', text)

for (const field of fields()) {
  const key = field.key as keyof Config
  const { text, file, value, beside = [] } = sampleOf(field)

  test(`${key} is set by ${flagName(key)}, ${envName(key)}, .env and the file`, () => {
    const own = configOf({})[key]
    assert.notDeepEqual(own, value)
    assert.deepEqual(configOf({ flags: [`${flagName(key)}=${text}`, ...beside] })[key], value)
    assert.deepEqual(configOf({ flags: [flagName(key), text, ...beside] })[key], value)
    assert.deepEqual(configOf({ flags: beside, environment: { [envName(key)]: text } })[key], value)
    assert.deepEqual(
      configOf({ flags: beside, dotenv: { name: '.env', text: `${envName(key)}=${text}` } })[key],
      value,
    )
    assert.deepEqual(configOf({ flags: beside, file: yaml(`${key}: ${file ?? text}`) })[key], value)
  })
}

test('every key of the schema is a field', () => {
  assert.deepEqual(
    fields().map((field) => field.key),
    Object.keys(configSchema.shape),
  )
})

test('flags beat the environment, which beats .env, which beats the file', () => {
  const file = yaml('retries: 1')
  const dotenv = { name: '.env', text: 'FETCHWAY_RETRIES=2' }
  const environment = { FETCHWAY_RETRIES: '4' }
  assert.equal(configOf({ file }).retries, 1)
  assert.equal(configOf({ file, dotenv }).retries, 2)
  assert.equal(configOf({ file, dotenv, environment }).retries, 4)
  assert.equal(configOf({ file, dotenv, environment, flags: ['--retries', '5'] }).retries, 5)
})

test('tells where each value came from', () => {
  const loaded = load({
    file: yaml('retries: 1\nqueueSize: 2'),
    environment: { FETCHWAY_RETRIES: '4' },
    flags: ['--port=1'],
  })
  assert.ok(loaded.config)
  assert.deepEqual(loaded.origins, {
    port: { source: 'flag', name: '--port' },
    retries: { source: 'env', name: 'FETCHWAY_RETRIES' },
    queueSize: { source: 'file', name: 'queueSize', file: 'f.yaml', line: 2, column: 1 },
  })
})

test('the configuration is frozen all the way down', () => {
  const config = configOf({ flags: ['gpu1:8000'] })
  assert.ok(Object.isFrozen(config) && Object.isFrozen(config.workers) && Object.isFrozen(config.workers[0]))
})

test('a file names its lines for unknown keys, wrong types and wrong values, all at once', () => {
  const file = yaml(
    [
      'port: 99999',
      'workers:',
      '  - gpu1:8000',
      '  - url: gpu2:8000',
      '    wieght: 2',
      '  - ftp://gpu3',
      'queueTimout: 5s',
      'max-in-flight: 3',
      'metrics: "off"',
      "retries: '3'",
      'state: 5',
      'maxBody: big',
    ].join('\n'),
  )
  assert.deepEqual(issuesOf({ file }), [
    'f.yaml:1:1: port: must be at most 65535, got 99999',
    'f.yaml:5:5: workers[1].wieght: unknown key; did you mean weight?',
    'f.yaml:6:5: workers[2].url: ftp:// is not spoken to workers: write http://, https:// or unix:/path',
    'f.yaml:7:1: queueTimout: unknown key; did you mean queueTimeout?',
    'f.yaml:8:1: max-in-flight: unknown key; did you mean maxInFlight?',
    'f.yaml:9:1: metrics: expected true or false, got "off"',
    'f.yaml:10:1: retries: expected a number, got "3"; write it without quotes',
    'f.yaml:11:1: state: expected text, got 5; put it in quotes',
    'f.yaml:12:1: maxBody: expected a size like 64KB, 256MB or 1GiB, got "big"',
  ])
})

test('JSON files are read with their lines too', () => {
  const file = parseConfigFile('f.json', '{\n\t"port": 8080,\n\t"retries": -1\n}')
  assert.deepEqual(issuesOf({ file }), ['f.json:3:2: retries: must be at least 0, got -1'])
})

test('broken syntax and keys written twice name line and column', () => {
  assert.match(issuesOf({ file: yaml('port: 1\nworkers: [a') })[0] ?? '', /^f\.yaml:2:\d+: /)
  assert.deepEqual(issuesOf({ file: yaml('port: 1\nport: 2') }), [
    'f.yaml:2:1: port is written twice; leave one out',
  ])
  assert.deepEqual(issuesOf({ file: yaml('aliases:\n  "a b": c\n  d: e\n  a b: f\nport: 1\nport: 2') }), [
    'f.yaml:4:3: a b is written twice; leave one out',
    'f.yaml:6:1: port is written twice; leave one out',
  ])
  assert.deepEqual(issuesOf({ file: yaml('- a') }), [
    'f.yaml:1:1: expected keys like "port: 8000" at the top',
  ])
})

test('an IPv6 address to listen on may stand in brackets', () => {
  assert.equal(configOf({ flags: ['--host', '[::1]'] }).host, '::1')
})

test('empty files, empty keys and $schema are as good as nothing', () => {
  assert.deepEqual(configOf({ file: yaml('') }), configOf({}))
  assert.deepEqual(configOf({ file: yaml('$schema: ./fetchway.json\nworkers:\n') }), configOf({}))
})

test('anchors and merges resolve, and an anchor inside itself ends', () => {
  const file = yaml('workers:\n  - &w {url: a:1, weight: 2}\n  - {<<: *w, url: b:1}')
  assert.deepEqual(
    configOf({ file }).workers.map(({ url, weight }) => [url, weight]),
    [
      ['http://a:1', 2],
      ['http://b:1', 2],
    ],
  )
  assert.match(issuesOf({ file: yaml('workers: &a [*a]') })[0] ?? '', /^f\.yaml:1:/)
})

test('${NAME} in a file is filled in from the environment, then from .env', () => {
  const file = yaml(
    'adminKey: ${ADMIN}\nport: ${PORT}\nstate: "$${x}-${NONE:-else}"\napiKeys: ["a-${ADMIN}"]',
  )
  const config = configOf({
    file,
    environment: { ADMIN: 'one' },
    dotenv: { name: '.env', text: 'ADMIN=two\nPORT=9000' },
  })
  assert.equal(config.adminKey, 'one')
  assert.equal(config.port, 9000)
  assert.equal(config.state, '${x}-else')
  assert.equal(config.apiKeys[0]?.key, 'a-one')
})

test('${NAME} that is not set is told with its line', () => {
  assert.deepEqual(issuesOf({ file: yaml('port: 1\nadminKey: ${NOPE}') }), [
    'f.yaml:2:11: adminKey: ${NOPE} is not set in the environment; set it, or write ${NOPE:-else}',
  ])
})

test('no message repeats a key or credentials', () => {
  const said = [
    ...issuesOf({
      file: yaml('adminKey: [s3cret]\napiKeys: [{key: 3, s: s3cret}]\nworkerApiKey: "s3cret\\n"'),
    }),
    ...issuesOf({
      flags: ['http://user:s3cret@gpu1', '--decode', 'me:s3cret@gpu2:1', '--api-key', ' s3cret'],
    }),
    ...issuesOf({ file: yaml('workers: [{url: a:1, apiKey: {s3cret: 1}, headers: {x-a: [s3cret]}}]') }),
  ]
  assert.ok(said.length >= 7, said.join('\n'))
  assert.doesNotMatch(said.join('\n'), /s3cret/)
})
