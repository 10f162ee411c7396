import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readConfig } from '../../../adapters/workers/config.ts'
import type { Config } from '../../../src/config/schema.ts'

function read(variables: Record<string, unknown>): Config {
  const { config, issues } = readConfig(variables)
  assert.ok(config, JSON.stringify(issues))
  return config
}

const messages = (variables: Record<string, unknown>) =>
  readConfig(variables).issues.map(({ name, message }) => `${name}: ${message}`)

test('variables are options, whatever types wrangler.toml gave them, and bindings are none', () => {
  const config = read({
    FETCHWAY_WORKERS: ['http://a:1', 'http://b:2'],
    FETCHWAY_RETRIES: 7,
    FETCHWAY_QUEUE_TIMEOUT: '5s',
    REGISTRY: { getByName() {} },
    OTHER: 'x',
  })
  assert.deepEqual(
    config.workers.map(({ url }) => url),
    ['http://a:1', 'http://b:2'],
  )
  assert.deepEqual([config.retries, config.queueTimeout], [7, 5000])
})

test('a whole configuration comes as JSON or as a table, names secrets, and is weaker than variables', () => {
  const whole = { adminKey: '${ADMIN}', retries: 1, queueSize: 2 }
  for (const FETCHWAY_CONFIG of [whole, JSON.stringify(whole)]) {
    const config = read({ FETCHWAY_CONFIG, ADMIN: 'secret', FETCHWAY_RETRIES: '3' })
    assert.deepEqual([config.adminKey, config.retries, config.queueSize], ['secret', 3, 2])
  }
})

test('workers in Kubernetes need an API server that a Worker reaches', () => {
  const found = { FETCHWAY_DISCOVER: 'kubernetes', FETCHWAY_KUBERNETES_SELECTOR: 'app=x' }
  const api = { FETCHWAY_KUBERNETES_API: 'https://k' }
  const token = { FETCHWAY_KUBERNETES_TOKEN: 't' }
  for (const given of [found, { ...found, ...api }, { ...found, ...token }])
    assert.match(messages(given).join(), /discover: kubernetes needs kubernetesApi and kubernetesToken here/)
  assert.match(messages({ ...found, FETCHWAY_KUBECONFIG: 'c' }).join(), /kubeconfig: is a file/)
  assert.deepEqual(read({ ...found, ...api, ...token }).discover, ['kubernetes'])
})

test('what nobody set fits an isolate that the whole world can reach', () => {
  const { host, usage, keepAlive, maxBuffered } = read({})
  assert.deepEqual([host, usage, keepAlive, maxBuffered], ['0.0.0.0', 'sample', 1000, 64 * 1024 * 1024])
  const set = { host: '127.0.0.1', usage: 'all', keepAlive: 'off', maxBuffered: '1MiB' }
  const kept = read({ FETCHWAY_CONFIG: set })
  assert.deepEqual(
    [kept.host, kept.usage, kept.keepAlive, kept.maxBuffered],
    ['127.0.0.1', 'all', 0, 1024 * 1024],
  )
})

test('who sets an idle limit has streams watched, for one that passes natively can have none', () => {
  const usageOf = (variables: Record<string, unknown>) => read(variables).usage
  assert.equal(usageOf({ FETCHWAY_IDLE_TIMEOUT: '30s' }), 'all')
  assert.equal(usageOf({ FETCHWAY_IDLE_TIMEOUT: 'off' }), 'sample')
  assert.equal(usageOf({ FETCHWAY_IDLE_TIMEOUT: '30s', FETCHWAY_USAGE: 'off' }), 'off')
})

test('everything that is wrong is told at once', () => {
  const issues = messages({ FETCHWAY_PORT: 'many', FETCHWAY_CONFIG: { polcy: 'random', retries: -1 } })
  assert.equal(issues.length, 3, issues.join('\n'))
  assert.match(messages({ FETCHWAY_CONFIG: '{"a":' })[0] ?? '', /not valid JSON/)
  assert.match(messages({ FETCHWAY_CONFIG: '[]' })[0] ?? '', /expected keys/)
})

test('what a Worker can not do is refused rather than forgotten', () => {
  assert.match(
    messages({ FETCHWAY_HEARTBEAT_LISTEN: 'tcp://0.0.0.0:30001' })[0] ?? '',
    /POST \/fetchway\/v1\/heartbeat/,
  )
  assert.match(
    messages({ FETCHWAY_ADMIN_LISTEN: '127.0.0.1:9000', FETCHWAY_ADMIN_KEY: 'k' })[0] ?? '',
    /one address/,
  )
})

test('a binding and a region that are not there are told', () => {
  const workers = [{ url: 'http://gpu0:8000', via: { binding: 'GPU0' } }]
  assert.deepEqual(
    messages({ FETCHWAY_CONFIG: { workers }, GPU0: { fetch() {} }, LOCATION_HINT: 'weur' }),
    [],
  )
  assert.deepEqual(messages({ FETCHWAY_CONFIG: { workers }, GPU0: 'http://gpu0' }), [
    'workers: http://gpu0:8000 goes through GPU0, which is no service or VPC binding of this Worker',
  ])
  assert.deepEqual(messages({ LOCATION_HINT: 'Frankfurt' }), [
    'LOCATION_HINT: expected one of wnam, enam, sam, weur, eeur, apac, oc, afr, me, got "Frankfurt"',
  ])
})

test('what a Worker can’t put around calls is told', () => {
  for (const [variable, value, why] of [
    ['FETCHWAY_CALLBACKS', './c.mjs', /callbacks: \.\/c\.mjs can't be loaded: a Worker is one file/],
    ['FETCHWAY_REQUEST_REWRITER', './r.mjs', /requestRewriter: \.\/r\.mjs can't be loaded/],
    ['FETCHWAY_PROVIDERS', 'https://a.example#m', /providers: a Worker sends calls to its own workers/],
    ['FETCHWAY_SEMANTIC_CACHE', 'e5', /semanticCache: a Worker keeps no answers/],
  ] as const)
    assert.match(messages({ FETCHWAY_WORKERS: 'http://a:1', [variable]: value }).join(), why)
})
