// Every command of the READMEs of the two Rust routers as it stands there: continued lines, comments and slips included.
import type { Config } from '../../src/config/schema.ts'

export interface Command {
  /** As in the README. */
  readonly text: string
  /** What the router has to be, by that. */
  readonly expected: Partial<Config>
}

const RETRIES: Partial<Config> = {
  retries: 2,
  retryDelay: 100,
  retryMaxDelay: 10_000,
  retryFactor: 2,
  retryJitter: 0.1,
}
const BREAKERS: Partial<Config> = {
  breakerFailures: 5,
  breakerSuccesses: 2,
  breakerOpen: 30_000,
  breakerWindow: 60_000,
}

export const SGLANG: readonly Command[] = [
  {
    text: `python -m sglang_router.launch_router \\
    --worker-urls http://worker1:8000 http://worker2:8001 \\
    --host 0.0.0.0 \\
    --port 30000 \\
    --policy cache_aware  # or random, round_robin, power_of_two`,
    expected: { host: '0.0.0.0', port: 30000, policy: 'cache_aware' },
  },
  {
    text: `python -m sglang_router.launch_router \\
    --pd-disaggregation \\
    --prefill http://prefill1:8000 9000 \\
    --prefill http://prefill2:8001 9001 \\
    --decode http://decode1:8002 \\
    --decode http://decode2:8003 \\
    --prefill-policy cache_aware \\
    --decode-policy round_robin`,
    expected: {
      prefill: ['http://prefill1:8000,9000', 'http://prefill2:8001,9001'],
      decode: ['http://decode1:8002', 'http://decode2:8003'],
      prefillPolicy: 'cache_aware',
      decodePolicy: 'round_robin',
    },
  },
  {
    // Two backslashes are missing there; with them it means this.
    text: `python -m sglang_router.launch_router \\
    --pd-disaggregation \\
    --prefill http://prefill1:8000 \\
    --prefill http://prefill2:8000 \\
    --decode http://decode1:8001 \\
    --decode http://decode2:8001 \\
    --policy round_robin \\
    --prefill-policy cache_aware  # Prefill uses cache_aware and decode uses round_robin from --policy`,
    expected: {
      prefill: ['http://prefill1:8000,none', 'http://prefill2:8000,none'],
      policy: 'round_robin',
      prefillPolicy: 'cache_aware',
    },
  },
  {
    text: `python -m sglang_router.launch_router \\
    --pd-disaggregation \\
    --service-discovery \\
    --prefill-selector app=prefill-server tier=gpu \\
    --decode-selector app=decode-server tier=cpu \\
    --service-discovery-namespace production \\
    --prefill-policy cache_aware \\
    --decode-policy round_robin`,
    expected: {
      discover: ['kubernetes'],
      kubernetesPrefillSelector: 'app=prefill-server,tier=gpu',
      kubernetesDecodeSelector: 'app=decode-server,tier=cpu',
      kubernetesNamespace: 'production',
    },
  },
  {
    text: `python -m sglang_router.launch_router \\
    --worker-urls http://worker1:8000 http://worker2:8001 \\
    --retry-max-retries 3 \\
    --retry-initial-backoff-ms 100 \\
    --retry-max-backoff-ms 10000 \\
    --retry-backoff-multiplier 2.0 \\
    --retry-jitter-factor 0.1`,
    expected: RETRIES,
  },
  {
    text: `python -m sglang_router.launch_router \\
    --worker-urls http://worker1:8000 http://worker2:8001 \\
    --cb-failure-threshold 5 \\
    --cb-success-threshold 2 \\
    --cb-timeout-duration-secs 30 \\
    --cb-window-duration-secs 60`,
    expected: BREAKERS,
  },
  ...['random', 'round_robin', 'power_of_two'].map((policy) => ({
    text: `python -m sglang_router.launch_router --policy ${policy}`,
    expected: { policy },
  })),
  {
    text: `python -m sglang_router.launch_router --policy cache_aware \\
--cache-threshold 0.5 \\
--balance-abs-threshold 32 \\
--balance-rel-threshold 1.0001`,
    expected: { cacheThreshold: 0.5, balanceAbs: 32, balanceRel: 1.0001 },
  },
  {
    text: `python -m sglang_router.launch_router --dp-aware \\
--api-key your_api_key  # Required for worker authentication`,
    expected: { ranks: 'ask', workerApiKey: 'your_api_key' },
  },
  {
    text: `python -m sglang_router.launch_router \\
    --service-discovery \\
    --selector app=sglang-worker env=prod \\
    --service-discovery-namespace production \\
    --service-discovery-port 8000`,
    expected: { kubernetesSelector: 'app=sglang-worker,env=prod', kubernetesPort: 8000 },
  },
  {
    text: `python -m sglang_router.launch_router \\
    --pd-disaggregation \\
    --service-discovery \\
    --prefill-selector app=prefill-server env=prod \\
    --decode-selector app=decode-server env=prod \\
    --service-discovery-namespace production`,
    expected: { kubernetesBootstrapAnnotations: ['sglang.ai/bootstrap-port'] },
  },
  {
    text: `python -m sglang_router.launch_router \\
    --worker-urls http://worker1:8000 http://worker2:8001 \\
    --prometheus-port 29000 \\
    --prometheus-host 0.0.0.0`,
    expected: { metricsListen: '0.0.0.0:29000' },
  },
  {
    text: `python -m sglang_router.launch_router \\
    --worker-urls http://worker1:8000 http://worker2:8001 \\
    --request-id-headers x-request-id x-trace-id`,
    expected: { requestIdHeaders: ['x-request-id', 'x-trace-id'] },
  },
  {
    text: `python -m sglang_router.launch_router \\
    --worker-urls http://worker1:8000 http://worker2:8001 \\
    --log-level debug \\
    --log-dir ./router_logs`,
    expected: { logLevel: 'debug', logDir: './router_logs' },
  },
]

const REPLICAS: Partial<Config> = { policy: 'vllm_consistent_hash', ranks: 8 }

export const VLLM: readonly Command[] = [
  {
    text: `./target/release/vllm-router \\
    --worker-urls http://worker1:8000 http://worker2:8000 \\
    --policy consistent_hash \\
    --intra-node-data-parallel-size 8`,
    expected: REPLICAS,
  },
  {
    text: `cargo run --release -- \\
    --worker-urls http://worker1:8000 http://worker2:8000 \\
    --policy consistent_hash \\
    --intra-node-data-parallel-size 8`,
    expected: REPLICAS,
  },
  {
    text: `vllm-router \\
  --worker-urls http://worker1:8000 http://worker2:8000 \\
    --policy consistent_hash \\
    --intra-node-data-parallel-size 8`,
    expected: REPLICAS,
  },
  {
    text: `cargo run --release -- \\
    --policy consistent_hash \\
    --vllm-pd-disaggregation \\
    --prefill http://127.0.0.1:8081 \\
    --prefill http://127.0.0.1:8082 \\
    --decode http://127.0.0.1:8083 \\
    --decode http://127.0.0.1:8084 \\
    --decode http://127.0.0.1:8085 \\
    --decode http://127.0.0.1:8086 \\
    --host 127.0.0.1 \\
    --port 8090 \\
    --intra-node-data-parallel-size 1 \\

`,
    expected: { port: 8090, pdProtocol: 'nixl', policy: 'vllm_consistent_hash' },
  },
  {
    text: `cargo run --release -- \\
    --policy consistent_hash \\
    --vllm-pd-disaggregation \\
    --vllm-discovery-address 0.0.0.0:30001 \\
    --host 0.0.0.0 \\
    --port 10001 \\
    --prefill-policy consistent_hash \\
    --decode-policy consistent_hash`,
    expected: { host: '0.0.0.0', port: 10001, pdProtocol: 'p2p', prefillPolicy: 'vllm_consistent_hash' },
  },
  {
    text: `vllm-router --api-key-validation-urls https://codebase.helmholtz.cloud/api/v4/user`,
    expected: { apiKeyValidationUrls: ['https://codebase.helmholtz.cloud/api/v4/user'] },
  },
  {
    text: `vllm-router \\
    --worker-urls http://localhost:8080 http://localhost:8081 \\
    --prometheus-host 0.0.0.0 \\
    --prometheus-port 9000`,
    expected: { metricsListen: '0.0.0.0:9000' },
  },
  {
    text: `vllm-router \\
  --worker-urls http://localhost:8080 http://localhost:8081 \\
  --retry-max-retries 3 \\
  --retry-initial-backoff-ms 100 \\
  --retry-max-backoff-ms 10000 \\
  --retry-backoff-multiplier 2.0 \\
  --retry-jitter-factor 0.1`,
    expected: RETRIES,
  },
  {
    text: `vllm-router \\
  --worker-urls http://localhost:8080 http://localhost:8081 \\
  --cb-failure-threshold 5 \\
  --cb-success-threshold 2 \\
  --cb-timeout-duration-secs 30 \\
  --cb-window-duration-secs 60`,
    expected: BREAKERS,
  },
  {
    text: `vllm-router \\
    --worker-urls http://localhost:8080 \\
    --request-id-headers x-trace-id x-request-id`,
    expected: { requestIdHeaders: ['x-trace-id', 'x-request-id'] },
  },
  {
    text: `vllm-router \\
    --service-discovery \\
    --selector app=vllm-worker role=inference \\
    --service-discovery-namespace default`,
    expected: {
      kubernetesSelector: 'app=vllm-worker,role=inference',
      kubernetesNamespace: 'default',
      kubernetesPort: 8000,
    },
  },
]
