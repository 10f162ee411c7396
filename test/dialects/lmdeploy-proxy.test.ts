// What the flags and environment of LMDeploy's proxy amount to.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { lmdeployProxy } from '../../src/dialects/lmdeploy-proxy/index.ts'
import { configOf, testEffects, translated } from './_translate.ts'

const key = (text: string) => ({
  key: text,
  tenant: undefined,
  requestsPerMinute: 0,
  tokensPerMinute: 0,
  priority: undefined,
})

testEffects(
  {
    ...lmdeployProxy,
    // Its files come from the environment: tested below.
    flags: (argv) => lmdeployProxy.flags(argv).filter(({ names }) => !names.includes('--ssl')),
  },
  [
    ['--server-name 127.0.0.1', 'host', '127.0.0.1'],
    ['--server-port 9000', 'port', 9000],
    ['--serving-strategy DistServe', 'pdProtocol', 'distserve'],
    ['--routing-strategy random', 'policy', 'random'],
    ['--routing-strategy min_observed_latency', 'policy', 'latency_based'],
    ['--dummy-prefill', 'dummyPrefill', true],
    ['--migration-protocol NVLINK', 'migrationProtocol', 'NVLINK'],
    ['--link-type IB', 'linkType', 'IB'],
    ['--disable-gdr', 'withGdr', false],
    ['--disable-cache-status', 'state', 'off'],
    ['--config-path nodes.json', 'state', 'nodes.json'],
    ['--api-keys one two', 'apiKeys', [key('one'), key('two')]],
    ['--log-level ERROR', 'logLevel', 'error'],
  ],
)

for (const [text, name, expected] of [
  ['LMDEPLOY_CONTROLLER_HEART_BEAT_EXPIRATION=10', 'healthInterval', 10_000],
  ['AIOHTTP_TIMEOUT=7', 'totalTimeout', 7000],
  ['AIOHTTP_TIMEOUT=7', 'firstTokenTimeout', 7000],
  ['UVICORN_LOG_LEVEL=debug', 'logLevel', 'debug'],
] as const)
  test(`lmdeploy-proxy: ${text} sets ${name}`, async () => {
    const environment = Object.fromEntries([text.split('=')])
    assert.deepEqual((await configOf(lmdeployProxy, '', { environment }))[name], expected)
    assert.notDeepEqual((await configOf(lmdeployProxy, ''))[name], expected)
  })

test('lmdeploy-proxy: its defaults hold', async () => {
  const config = await configOf(lmdeployProxy, '')
  const { host, port, policy, healthFailures, stateFormat, withGdr, totalTimeout } = config
  assert.deepEqual(
    { host, port, policy, healthFailures, stateFormat, withGdr, totalTimeout },
    {
      host: '0.0.0.0',
      port: 8000,
      policy: 'min_expected_latency',
      healthFailures: 1,
      stateFormat: 'nodes',
      withGdr: true,
      totalTimeout: 0,
    },
  )
})

test('lmdeploy-proxy: --ssl takes its files from the environment, and says which is missing', async () => {
  const environment = { SSL_KEYFILE: 'k.pem', SSL_CERTFILE: 'c.pem' }
  const { tlsKey, tlsCert } = await configOf(lmdeployProxy, '--ssl', { environment })
  assert.deepEqual({ tlsKey, tlsCert }, { tlsKey: 'k.pem', tlsCert: 'c.pem' })
  assert.equal((await translated(lmdeployProxy, '--ssl')).problems?.length, 2)
})

test('lmdeploy-proxy: doors that stand open as theirs do are told', async () => {
  const { notes = [] } = await translated(lmdeployProxy, '')
  assert.match(notes.join(), /whoever reaches this port/)
})
