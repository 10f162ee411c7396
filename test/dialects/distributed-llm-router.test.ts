// What the environment, `.env` files and uvicorn's flags of Distributed-LLM-Router amount to.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Config } from '../../src/config/schema.ts'
import { distributedLlmRouter } from '../../src/dialects/distributed-llm-router/index.ts'
import { configOf, translated } from './_translate.ts'

type Row = readonly [given: string, key: keyof Config, value: unknown]

const FLAGS: readonly Row[] = [
  ['--host 10.0.0.1', 'host', '10.0.0.1'],
  ['--port 9000', 'port', 9000],
  ['--uds /run/router.sock', 'socket', '/run/router.sock'],
  ['--workers 3', 'threads', 3],
  ['--log-level warning', 'logLevel', 'warn'],
  ['--ssl-keyfile k.pem --ssl-certfile c.pem', 'tlsKey', 'k.pem'],
  ['--ssl-keyfile k.pem --ssl-certfile c.pem', 'tlsCert', 'c.pem'],
  ['--timeout-graceful-shutdown 7', 'grace', 7000],
  ['--env-file some.env', 'retries', 9],
]

const VARIABLES: readonly Row[] = [
  ['ROUTING_STRATEGY=latency_based', 'policy', 'latency_based'],
  ['NODE_TIMEOUT_SECONDS=1.5', 'firstTokenTimeout', 1500],
  ['NODE_TIMEOUT_SECONDS=1.5', 'idleTimeout', 1500],
  ['CONNECT_TIMEOUT_SECONDS=3', 'connectTimeout', 3000],
  ['MAX_RETRIES=0', 'retries', 0],
  ['HEALTH_CHECK_INTERVAL_SECONDS=2', 'healthInterval', 2000],
  ['HEALTH_FAILURE_THRESHOLD=1', 'healthFailures', 1],
  ['GATEWAY_PORT=8123', 'port', 8123],
  ['MODEL_NAME=org/m', 'defaultModel', 'org/m'],
  ['model_name=org/m', 'defaultModel', 'org/m'],
  ['LOG_LEVEL=DEBUG', 'logLevel', 'debug'],
  ['MAX_CONCURRENT_REQUESTS=3', 'maxInFlight', 3],
  ['MAX_QUEUE_SIZE=0', 'queueSize', 0],
  ['AUTH_TOKEN=t', 'workerApiKey', 't'],
  ['AUTH_TOKEN=t', 'adminKey', 't'],
]

const by = { readFile: () => Promise.resolve('MAX_RETRIES=9\n') }
const variables = (text: string) => ({ environment: Object.fromEntries([text.split('=')]) })

for (const [line, key, expected] of FLAGS)
  test(`${line} sets ${key}`, async () => {
    const [without, withIt] = await Promise.all([
      configOf(distributedLlmRouter, '', by),
      configOf(distributedLlmRouter, line, by),
    ])
    assert.deepEqual(withIt[key], expected)
    assert.notDeepEqual(without[key], expected, 'it changes nothing')
  })

test('each flag that has an effect is tested for it', () => {
  const tested = new Set(FLAGS.flatMap(([line]) => line.split(' ')))
  const untested = distributedLlmRouter.flags([]).filter((flag) => !flag.inert && !tested.has(flag.names[0]))
  assert.deepEqual(untested, [])
})

for (const [text, key, expected] of VARIABLES)
  test(`${text} sets ${key}`, async () => {
    const [without, withIt] = await Promise.all([
      configOf(distributedLlmRouter, ''),
      configOf(distributedLlmRouter, '', variables(text)),
    ])
    assert.deepEqual(withIt[key], expected)
    assert.notDeepEqual(without[key], expected, 'it changes nothing')
  })

test('its defaults hold', async () => {
  const config = await configOf(distributedLlmRouter, '')
  const { host, port, policy, firstTokenTimeout, connectTimeout, retries, maxInFlight, queueSize } = config
  assert.deepEqual(
    { host, port, policy, firstTokenTimeout, connectTimeout, retries, maxInFlight, queueSize },
    {
      host: '0.0.0.0',
      port: 8000,
      policy: 'least_loaded',
      firstTokenTimeout: 120_000,
      connectTimeout: 10_000,
      retries: 2,
      maxInFlight: 16,
      queueSize: 32,
    },
  )
  assert.deepEqual(
    config.workers.map(({ url }) => url),
    ['http://localhost:8001'],
  )
  assert.deepEqual(
    config.apiKeys.map(({ key }) => key),
    ['your-secret-token-here'],
  )
})

test('the line of its README is understood with the program’s own word in it', async () => {
  const config = await configOf(distributedLlmRouter, 'gateway.main:app --host 0.0.0.0 --port 8000')
  assert.equal(config.port, 8000)
})

test('--port beats GATEWAY_PORT', async () => {
  const config = await configOf(distributedLlmRouter, '--port 9000', variables('GATEWAY_PORT=8123'))
  assert.equal(config.port, 9000)
})

test('a token that everybody knows opens no control plane, and is told of', async () => {
  const { config, notes } = await translated(distributedLlmRouter, '')
  assert.equal(config.has('adminKey'), false)
  assert.match(notes?.join() ?? '', /AUTH_TOKEN/)
})

for (const [text, problem] of [
  ['MAX_RETRIES=many', /MAX_RETRIES: Input should be a valid integer/],
  ['HEALTH_FAILURE_THRESHOLD=0', /HEALTH_FAILURE_THRESHOLD: Input should be greater than or equal to 1/],
  ['ROUTING_STRATEGY=fastest', /ROUTING_STRATEGY: Input should be 'round_robin' or 'least_loaded'/],
  ['VLLM_NODES=[1]', /VLLM_NODES: Input should be a valid list/],
] as const)
  test(`${text} is told`, async () => {
    const { problems = [] } = await translated(distributedLlmRouter, '', variables(text))
    assert.equal(problems.length, 1)
    assert.match(problems[0] ?? '', problem)
  })
