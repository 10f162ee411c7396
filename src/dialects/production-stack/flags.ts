// The flags of vLLM production-stack's router: one row each, with the defaults of its README and, where they differ, of its program.
import type { DialectFlag } from '../flag.ts'

const SENTRY = 'errors are in the log; nothing is sent to Sentry'
const WATCH = 'a watch is begun anew by itself when it goes silent'
const ONE = 'there is no other'
const BEATS = 'how workers register is the same at any pace'

const listening: readonly DialectFlag[] = [
  { names: ['--host'], initial: '0.0.0.0', about: 'address to listen on' },
  { names: ['--port'], kind: 'integer', initial: 8001, about: 'port to listen on' },
  { names: ['--root-path'], initial: '', about: 'path below which the router is reached behind a proxy' },
  {
    names: ['--log-level'],
    choices: ['critical', 'error', 'warning', 'info', 'debug', 'trace'],
    initial: 'info',
    about: 'least level that is logged',
  },
  {
    names: ['--log-format'],
    choices: ['text', 'json'],
    initial: 'text',
    about: 'lines for people or machines',
  },
]

const discovery: readonly DialectFlag[] = [
  {
    names: ['--service-discovery'],
    choices: ['static', 'k8s', 'external-only'],
    about: 'where workers are found; required, unless there are external providers',
  },
  {
    names: ['--k8s-service-discovery-type'],
    choices: ['pod-ip', 'service-name'],
    about: 'what is a worker in Kubernetes: each pod, or each service; none: pod-ip',
  },
  { names: ['--static-backends'], about: 'URLs of workers, commas between' },
  { names: ['--static-models'], about: 'the model of each, commas between' },
  { names: ['--static-aliases'], about: 'other names of models: ALIAS:MODEL, commas between' },
  { names: ['--static-model-types'], about: 'what kind of call each is checked with, commas between' },
  { names: ['--static-model-labels'], about: 'a label of each, commas between; none: default' },
  {
    names: ['--static-backend-health-checks'],
    kind: 'switch',
    initial: false,
    about: 'check workers with real calls',
  },
  {
    names: ['--static-backend-health-check-interval'],
    kind: 'integer',
    initial: 60,
    about: 'seconds between checks',
  },
  {
    names: ['--static-backend-health-check-timeout-seconds'],
    kind: 'integer',
    initial: 10,
    about: 'seconds of one check',
  },
  { names: ['--k8s-port'], kind: 'integer', initial: 8000, about: 'port of workers in Kubernetes' },
  { names: ['--k8s-namespace'], initial: 'default', about: 'namespace to look in' },
  { names: ['--k8s-label-selector'], initial: '', about: 'labels of pods that are workers; none: all' },
  {
    names: ['--k8s-watcher-timeout-seconds'],
    kind: 'integer',
    initial: 0,
    about: 'longest time of one watch',
    inert: WATCH,
  },
  {
    names: ['--backend-health-check-timeout-seconds'],
    kind: 'integer',
    initial: 10,
    about: 'seconds for a worker in Kubernetes to say what it is',
  },
  { names: ['--external-providers-config'], about: 'YAML file of providers outside of the fleet' },
]

const routing: readonly DialectFlag[] = [
  {
    names: ['--routing-logic'],
    choices: [
      'roundrobin',
      'session',
      'kvaware',
      'prefixaware',
      'disaggregated_prefill',
      'disaggregated_prefill_orchestrated',
    ],
    about: 'how a worker is chosen; required',
  },
  { names: ['--session-key'], about: 'header or field of the body that names a session' },
  {
    names: ['--lmcache-controller-port'],
    kind: 'integer',
    initial: 9000,
    about: 'port where LMCache workers report',
  },
  {
    names: ['--lmcache-controller-reply-port'],
    kind: 'integer',
    about: 'port where LMCache workers are answered',
  },
  {
    names: ['--lmcache-controller-heartbeat-port'],
    kind: 'integer',
    about: 'port for heartbeats of LMCache workers',
  },
  {
    names: ['--lmcache-health-check-interval'],
    kind: 'integer',
    initial: 5,
    about: 'seconds between looks at LMCache workers',
    inert: BEATS,
  },
  {
    names: ['--lmcache-worker-timeout'],
    kind: 'integer',
    initial: 30,
    about: 'seconds of silence after which an LMCache worker is forgotten',
  },
  {
    names: ['--kv-aware-threshold'],
    kind: 'integer',
    initial: 2000,
    about: 'kvaware: tokens of a prompt that may be missing in a cache',
  },
  {
    names: ['--prefix-min-match-length'],
    kind: 'integer',
    initial: 0,
    about: 'prefixaware: characters that must match',
  },
  {
    names: ['--max-instance-failover-reroute-attempts'],
    kind: 'integer',
    initial: 3,
    release: 0,
    about: 'further attempts with other workers',
  },
  { names: ['--prefill-model-labels'], about: 'labels of prefill workers, commas between' },
  { names: ['--decode-model-labels'], about: 'labels of decode workers, commas between' },
]

const telling: readonly DialectFlag[] = [
  { names: ['--callbacks'], about: 'module whose functions see requests and answers' },
  { names: ['--request-rewriter'], initial: 'noop', about: 'module that rewrites requests; noop: none' },
  { names: ['--enable-batch-api'], kind: 'switch', initial: false, about: 'files and batches' },
  {
    names: ['--file-storage-class'],
    choices: ['local_file'],
    initial: 'local_file',
    about: 'how files are kept',
    inert: ONE,
  },
  { names: ['--file-storage-path'], initial: '/tmp/vllm_files', about: 'where files are kept' },
  {
    names: ['--batch-processor'],
    choices: ['local'],
    initial: 'local',
    about: 'what works through batches',
    inert: ONE,
  },
  {
    names: ['--engine-stats-interval'],
    kind: 'integer',
    initial: 30,
    about: 'seconds between questions to workers for their statistics',
  },
  {
    names: ['--request-stats-window'],
    kind: 'integer',
    initial: 60,
    about: 'seconds over which requests are counted',
  },
  { names: ['--log-stats'], kind: 'switch', initial: false, about: 'log statistics of each worker' },
  {
    names: ['--log-stats-interval'],
    kind: 'integer',
    initial: 30,
    release: 10,
    about: 'seconds between those logs',
  },
  { names: ['--dynamic-config-yaml'], about: 'YAML file with options that may change while the router runs' },
  { names: ['--dynamic-config-json'], about: 'the same as JSON' },
  { names: ['--feature-gates'], initial: '', about: 'NAME=true,NAME=false: SemanticCache' },
  { names: ['--semantic-cache-model'], initial: 'all-MiniLM-L6-v2', about: 'what embeds prompts' },
  { names: ['--semantic-cache-dir'], initial: 'semantic_cache', about: 'where answers are kept' },
  {
    names: ['--semantic-cache-threshold'],
    kind: 'number',
    initial: 0.95,
    about: 'how much prompts must be alike, 0 to 1',
  },
  { names: ['--sentry-dsn'], about: 'Sentry project', inert: SENTRY },
  {
    names: ['--sentry-traces-sample-rate'],
    kind: 'number',
    initial: 0.1,
    about: 'share of traces',
    inert: SENTRY,
  },
  {
    names: ['--sentry-profile-session-sample-rate'],
    kind: 'number',
    initial: 1,
    about: 'share of profiles',
    inert: SENTRY,
  },
  { names: ['--otel-endpoint'], about: 'collector that takes OTLP over HTTP; port 4317 means 4318' },
  { names: ['--otel-service-name'], initial: 'vllm-router', about: 'name in traces' },
  { names: ['--otel-secure'], kind: 'switch', initial: false, about: 'traces over TLS' },
]

export const flags: readonly DialectFlag[] = [...listening, ...discovery, ...routing, ...telling]
