import assert from 'node:assert/strict'
import { test } from 'node:test'
import { productionStack } from '../../src/dialects/production-stack/index.ts'
import { sglangLaunchServer } from '../../src/dialects/sglang-launch-server/index.ts'
import { sglangRouter } from '../../src/dialects/sglang-router/index.ts'
import { vllmRouter } from '../../src/dialects/vllm-router/index.ts'
import type { Config } from '../../src/config/schema.ts'
import { configOf, translated } from './_translate.ts'

/** The flags of every command in the README of the SGLang router, each with what it has to come to. */
const SGLANG: readonly (readonly [flags: string, expected: Partial<Config>])[] = [
  [
    '--worker-urls http://worker1:8000 http://worker2:8001 --host 0.0.0.0 --port 30000 --policy cache_aware',
    { host: '0.0.0.0', port: 30000, policy: 'cache_aware' },
  ],
  [
    '--pd-disaggregation --prefill http://prefill1:8000 9000 --prefill http://prefill2:8001 9001 --decode http://decode1:8002 --decode http://decode2:8003 --prefill-policy cache_aware --decode-policy round_robin',
    {
      prefill: ['http://prefill1:8000,9000', 'http://prefill2:8001,9001'],
      decode: ['http://decode1:8002', 'http://decode2:8003'],
      prefillPolicy: 'cache_aware',
      decodePolicy: 'round_robin',
    },
  ],
  [
    '--pd-disaggregation --prefill http://prefill1:8000 --prefill http://prefill2:8000 --decode http://decode1:8001 --decode http://decode2:8001 --policy round_robin --prefill-policy cache_aware',
    { policy: 'round_robin', prefillPolicy: 'cache_aware' },
  ],
  [
    '--pd-disaggregation --service-discovery --prefill-selector app=prefill-server tier=gpu --decode-selector app=decode-server tier=cpu --service-discovery-namespace production --prefill-policy cache_aware --decode-policy round_robin',
    {
      discover: ['kubernetes'],
      kubernetesPrefillSelector: 'app=prefill-server,tier=gpu',
      kubernetesDecodeSelector: 'app=decode-server,tier=cpu',
      kubernetesNamespace: 'production',
    },
  ],
  [
    '--worker-urls http://worker1:8000 http://worker2:8001 --retry-max-retries 3 --retry-initial-backoff-ms 100 --retry-max-backoff-ms 10000 --retry-backoff-multiplier 2.0 --retry-jitter-factor 0.1',
    { retries: 2, retryDelay: 100, retryMaxDelay: 10_000, retryFactor: 2, retryJitter: 0.1 },
  ],
  [
    '--worker-urls http://worker1:8000 http://worker2:8001 --cb-failure-threshold 5 --cb-success-threshold 2 --cb-timeout-duration-secs 30 --cb-window-duration-secs 60',
    { breakerFailures: 5, breakerSuccesses: 2, breakerOpen: 30_000, breakerWindow: 60_000 },
  ],
  [
    '--policy cache_aware --cache-threshold 0.5 --balance-abs-threshold 32 --balance-rel-threshold 1.0001',
    { cacheThreshold: 0.5, balanceAbs: 32, balanceRel: 1.0001 },
  ],
  ['--policy random', { policy: 'random' }],
  ['--policy round_robin', { policy: 'round_robin' }],
  ['--policy power_of_two', { policy: 'power_of_two' }],
  ['--dp-aware --api-key your_api_key', { ranks: 'ask', workerApiKey: 'your_api_key' }],
  [
    '--service-discovery --selector app=sglang-worker env=prod --service-discovery-namespace production --service-discovery-port 8000',
    { kubernetesSelector: 'app=sglang-worker,env=prod', kubernetesPort: 8000 },
  ],
  [
    '--pd-disaggregation --service-discovery --prefill-selector app=prefill-server env=prod --decode-selector app=decode-server env=prod --service-discovery-namespace production',
    { kubernetesBootstrapAnnotations: ['sglang.ai/bootstrap-port'] },
  ],
  [
    '--worker-urls http://worker1:8000 http://worker2:8001 --prometheus-port 29000 --prometheus-host 0.0.0.0',
    { metricsListen: '0.0.0.0:29000' },
  ],
  [
    '--worker-urls http://worker1:8000 http://worker2:8001 --request-id-headers x-request-id x-trace-id',
    { requestIdHeaders: ['x-request-id', 'x-trace-id'] },
  ],
  [
    '--worker-urls http://worker1:8000 http://worker2:8001 --log-level debug --log-dir ./router_logs',
    { logLevel: 'debug', logDir: './router_logs' },
  ],
]

/** The same of the vLLM router. */
const VLLM: readonly (readonly [flags: string, expected: Partial<Config>])[] = [
  [
    '--worker-urls http://worker1:8000 http://worker2:8000 --policy consistent_hash --intra-node-data-parallel-size 8',
    { policy: 'vllm_consistent_hash', ranks: 8 },
  ],
  [
    '-- --worker-urls http://worker1:8000 http://worker2:8000 --policy consistent_hash --intra-node-data-parallel-size 8',
    { ranks: 8 },
  ],
  [
    '-- --policy consistent_hash --vllm-pd-disaggregation --prefill http://127.0.0.1:8081 --prefill http://127.0.0.1:8082 --decode http://127.0.0.1:8083 --decode http://127.0.0.1:8084 --decode http://127.0.0.1:8085 --decode http://127.0.0.1:8086 --host 127.0.0.1 --port 8090 --intra-node-data-parallel-size 1 \n',
    { port: 8090, pdProtocol: 'nixl', policy: 'vllm_consistent_hash' },
  ],
  [
    '-- --policy consistent_hash --vllm-pd-disaggregation --vllm-discovery-address 0.0.0.0:30001 --host 0.0.0.0 --port 10001 --prefill-policy consistent_hash --decode-policy consistent_hash',
    { host: '0.0.0.0', port: 10001, pdProtocol: 'p2p', prefillPolicy: 'vllm_consistent_hash' },
  ],
  [
    '--api-key-validation-urls https://codebase.helmholtz.cloud/api/v4/user',
    { apiKeyValidationUrls: ['https://codebase.helmholtz.cloud/api/v4/user'] },
  ],
  [
    '--worker-urls http://localhost:8080 http://localhost:8081 --prometheus-host 0.0.0.0 --prometheus-port 9000',
    { metricsListen: '0.0.0.0:9000' },
  ],
  [
    '--worker-urls http://localhost:8080 http://localhost:8081 --retry-max-retries 3 --retry-initial-backoff-ms 100 --retry-max-backoff-ms 10000 --retry-backoff-multiplier 2.0 --retry-jitter-factor 0.1',
    { retries: 2, retryFactor: 2 },
  ],
  [
    '--worker-urls http://localhost:8080 http://localhost:8081 --cb-failure-threshold 5 --cb-success-threshold 2 --cb-timeout-duration-secs 30 --cb-window-duration-secs 60',
    { breakerFailures: 5, breakerOpen: 30_000 },
  ],
  [
    '--worker-urls http://localhost:8080 --request-id-headers x-trace-id x-request-id',
    { requestIdHeaders: ['x-trace-id', 'x-request-id'] },
  ],
  [
    '--service-discovery --selector app=vllm-worker role=inference --service-discovery-namespace default',
    {
      kubernetesSelector: 'app=vllm-worker,role=inference',
      kubernetesNamespace: 'default',
      kubernetesPort: 8000,
    },
  ],
]

/** The same of production-stack's router; a shell takes its quotes away. */
const PRODUCTION_STACK: readonly (readonly [flags: string, expected: Partial<Config>])[] = [
  [
    '--port 8000 --service-discovery static --static-backends http://localhost:9001,http://localhost:9002,http://localhost:9003 --static-models facebook/opt-125m,meta-llama/Llama-3.1-8B-Instruct,facebook/opt-125m --engine-stats-interval 10 --log-stats --routing-logic roundrobin',
    {
      host: '0.0.0.0',
      port: 8000,
      workers: [
        ['http://localhost:9001', 'facebook/opt-125m'],
        ['http://localhost:9002', 'meta-llama/Llama-3.1-8B-Instruct'],
        ['http://localhost:9003', 'facebook/opt-125m'],
      ].map(([url = '', model = '']) => ({
        url,
        models: [model],
        role: 'mixed',
        weight: 1,
        labels: { model: 'default' },
      })),
      loadInterval: 10_000,
      policy: 'production_stack_roundrobin',
    },
  ],
]

for (const [dialect, commands] of [
  [sglangRouter, SGLANG],
  [vllmRouter, VLLM],
  [productionStack, PRODUCTION_STACK],
] as const)
  for (const [flags, expected] of commands)
    test(`${dialect.name} ${flags.trim()}`, async () => {
      const config = await configOf(dialect, flags)
      for (const [key, value] of Object.entries(expected))
        assert.deepEqual(config[key as keyof Config], value, key)
    })

test('the co-launch of the README', async () => {
  const flags = '--model-path meta-llama/Meta-Llama-3.1-8B-Instruct --dp-size 4 --host 0.0.0.0 --port 30000'
  const config = await configOf(sglangLaunchServer, flags)
  const { launch } = await translated(sglangLaunchServer, flags)
  assert.deepEqual([config.host, config.port, launch?.count], ['0.0.0.0', 30000, 4])
})
