// What each key of the configuration is for, in the words of the help, the reference and editors: apart, for a Worker has no use for them.
import { fields, type Field } from './fields.ts'
import { groups, type Config } from './schema.ts'

/** A key as the help shows it. */
export interface ToldField extends Field {
  /** Its heading. */
  readonly group: string
  readonly about: string
}

/** All keys in the order of the schema. */
export const toldFields = (): readonly ToldField[] =>
  fields().map((field) => ({ ...field, group: groupOf(field), about: words[field.key as keyof Config] }))

const groupOf = ({ key }: Field): string =>
  Object.entries(groups).find(([, members]) => Object.hasOwn(members, key))?.[0] ?? ''

export const words: Readonly<Record<keyof Config, string>> = {
  // Listening
  host: 'address to listen on',
  port: 'port to listen on; 0 takes a free one',
  socket: 'unix socket to listen on in place of host and port',
  tlsCert: 'PEM file: serve HTTPS',
  tlsKey: 'PEM file: serve HTTPS',
  threads: 'threads that serve requests',
  // Workers
  workers: 'inference servers: URL, or an object in a file',
  prefill: 'prefill workers: URL[,BOOTSTRAP_PORT|none]',
  decode: 'decode workers: URL',
  ranks: 'data-parallel ranks behind each URL, which are workers of their own; ask: as many as it says',
  models: 'ignore: serve calls whatever model they name',
  aliases: 'name that clients use: model that workers serve',
  defaultModel: 'model of calls that name none',
  policy: 'how a worker is chosen',
  shadowPolicy: 'a second policy that decides on live traffic and sends nothing: GET /fetchway/v1/shadow',
  state:
    'file that keeps workers added by the API; kv:NAME: shared in Deno KV; off: none (default: .fetchway/PORT.json)',
  stateFormat: 'how that file is written; nodes: as DLRouter and LMDeploy’s proxy do',
  // Choosing
  costAlpha: 'least_cost: how much a token weighs that is computed though another worker holds it',
  costBeta: 'least_cost: what each call in flight counts for',
  costGamma: 'least_cost: what a KV cache counts for that would be twice full',
  costTau: 'least_cost: how fast the popularity of a prefix fades',
  coldBand: 'least_cost: costs this close are equal for prompts that no worker holds: hashing decides',
  binding:
    'least_cost: calls go to a worker as they come (early), or wait here until one has nearly read what it was sent (late)',
  bindingThreshold:
    'late binding: seconds of reading ahead below which a worker gets more; a far worker gets it sooner',
  bindingFairness:
    'late binding: seconds that a call lets pass those that came later, for each second by which they are shorter',
  slowStart: 'least_cost: how long a worker that joins late gets less than its share',
  prefillSpeed: 'prompt tokens a second of a worker, until first tokens tell',
  kvCapacity: 'tokens that fit into the KV cache of a worker that does not tell',
  indexSize: 'memory for what is known of the KV caches of the workers',
  cacheAwareVariant:
    'cache_aware below its threshold: the smallest tree (readme), or the fewest calls in flight (release)',
  cacheThreshold:
    'cache_aware: cached share of a prompt above which it goes to its worker; none: 0.5 (release: 0.3)',
  balanceAbs:
    'cache_aware, bucket: loads further apart than this, and by balanceRel, come first; none: 32 (release: 64)',
  balanceRel: 'cache_aware, bucket: the factor to balanceAbs; none: 1.0001 (release: 1.5)',
  treeSize: 'cache_aware, production_stack_prefixaware: bytes of prompts that are remembered of each worker',
  treeInterval: 'cache_aware: how often what is more than treeSize is forgotten; off: at once',
  prefixTokens: 'prefix_hash: tokens at the beginning of a prompt that name its worker',
  prefixLoadFactor: 'prefix_hash: most that a worker takes, in mean loads',
  prefixMinMatch: 'production_stack_prefixaware: prompt bytes of a match below which load decides',
  kvTemperature: 'kv_aware: how much chance there is in a choice; 0: none',
  kvSessionIdle: 'kv_aware: a session keeps its worker until it was unused for so long; off: it does not',
  kvHostWorth: 'kv_aware: what a token cached in host memory is worth, one on the GPU being 1',
  kvExternalWorth: 'kv_aware: the same in a cache outside of the machine',
  kvDiskWorth: 'kv_aware: the same on a disk',
  kvAwareThreshold: 'production_stack_kvaware: tokens of a prompt that may be missing where most of it is',
  manualAssignment:
    'manual: where a new session goes: by chance, to the fewest calls in flight, or to the fewest sessions',
  manualIdle: 'manual: how long an unused session is remembered; off: as long as there is room',
  stickyIdle: 'sticky_least_loaded: how long an unused session is remembered; off: as long as there is room',
  bucketInterval: 'bucket: the window over prompt lengths, and how often the classes are looked at',
  vllmKeyPrefix: 'vllm_consistent_hash: what stands before a session where it is hashed',
  // Prefill and decode
  prefillPolicy: 'how a prefill worker is chosen; none: by policy',
  decodePolicy: 'how a decode worker is chosen; none: by policy',
  pdProtocol: 'how KV is handed over; none: sglang, nixl (vLLM) or distserve (LMDeploy), by the engine',
  prefillTimeout: 'until the prefill worker has handed over; off: firstTokenTimeout',
  pdSkipBelow:
    'prompt tokens that a decode worker may compute itself: with fewer to compute, prefill is skipped (vLLM alone); 0: never',
  pdStandIn:
    'mixed workers take calls alone while a role has nobody, and decode workers while there is no prefill worker at all',
  migrationProtocol: 'LMDeploy: how KV migrates',
  linkType: 'LMDeploy: the link under RDMA',
  withGdr: 'LMDeploy: RDMA straight between GPUs',
  dummyPrefill: 'LMDeploy: no prefill at all, to measure decode workers',
  // Workers in Kubernetes
  discover: 'where workers are found besides: kubernetes',
  kubernetesSelector: 'labels of pods that are workers: app=vllm,tier in (a,b); *: every pod',
  kubernetesPrefillSelector: 'labels of pods that are prefill workers',
  kubernetesDecodeSelector: 'labels of pods that are decode workers',
  kubernetesDrainSelector: 'labels of pods that get no new calls, though they are ready: sleeping=true',
  kubernetesNamespace: 'namespace to look in; *: all; none: that of the router itself',
  kubernetesTarget: 'what is a worker: each pod, or each service that has a ready pod (reached by its name)',
  kubernetesPort: 'port of the workers: a number, or the name of a port of the pod or service',
  kubernetesNotReady:
    'a pod that is not ready any more: no new calls (drain), left to the health probes (keep), or none of ours (remove)',
  kubernetesModelFrom:
    'what names the model of a pod: engine (it is asked), namespace, label:KEY or annotation:KEY',
  kubernetesBootstrapAnnotations:
    'annotations of prefill pods that name their bootstrap port; the first that is there counts',
  kubernetesHeaders: 'extra headers for workers found so',
  kubernetesRelist:
    'how often all of them are listed, whatever the watch tells: so long an error of it lasts at most; off: never',
  kubernetesStall: 'silence after which a watch is taken to be dead; off: never',
  kubernetesApi: 'URL of the API server; none: by kubeconfig, or that of the cluster',
  kubernetesToken: 'token for the API server',
  kubernetesTokenFile: 'file that holds that token; read anew for each request',
  kubernetesCa: 'PEM file of the authority that signed the certificate of the API server',
  kubeconfig: 'kubeconfig file; none: KUBECONFIG, the pod itself, or ~/.kube/config',
  kubeContext: 'context of the kubeconfig; none: the current one',
  // Workers that register themselves
  heartbeatListen:
    'tcp://HOST:PORT where workers register over ZeroMQ, as vLLM with P2P/NCCL and MoRI-IO does; none: by HTTP alone',
  heartbeatTimeout: 'a worker that registered leaves after so long without a heartbeat',
  heartbeatModels: 'models of workers that register and name none; none: they are asked',
  heartbeatToken: 'what each heartbeat must carry; none: whoever reaches heartbeatListen may register',
  // Several pools and routers
  poolShards:
    'objects that decide side by side where one is too small (Cloudflare Workers); each has conversations of its own',
  peers: 'URLs of routers with the same workers: told every 10 ms at most what this one has there',
  leader: 'URL of the router that decides for this one; it decides by itself while that is silent',
  // Keys
  apiKeys: 'keys that clients must send; none: open',
  adminKey: 'key of the control plane',
  adminListen: 'HOST:PORT or unix:/path of a listener of its own for the control plane',
  workerApiKey: 'sent to workers that have no key of their own',
  workerProbeKey:
    'sent to those with what the router itself asks them alone; calls keep the keys of their clients',
  tunnelTokens: 'tokens of workers that dial in (fetchway connect); none: nobody may',
  apiKeyValidationUrls:
    'URLs that are asked, with its bearer token, for each caller: 200 lets it in; then every endpoint needs a token',
  controlKeys: 'keys of the control plane with roles: ID:NAME:ROLE:KEY, or objects in a file',
  jwtIssuer: 'issuer of the JWTs that open the control plane',
  jwtAudience: 'audience that those JWTs must name',
  jwtJwksUri: 'where their keys are (JWKS); none: found by OpenID discovery from the issuer',
  jwtRoleClaim: 'claim that names roles',
  jwtRoles: 'role of the issuer: admin or user; none: admin and user as they are',
  audit: 'log each use of the control plane: who, what, and how it ended',
  workerTlsCert: 'PEM file: shown to workers that ask for a client certificate (Node alone)',
  workerTlsKey: 'PEM file: its key',
  workerTlsCa: 'PEM file of an authority that workers are checked by, in place of the usual ones',
  // Limits
  maxInFlight: 'calls in flight in all; 0: no limit',
  maxInFlightPerWorker: 'calls in flight to one worker; 0: no limit',
  queueSize: 'calls that may wait for room',
  queueTimeout: 'how long a call may wait for room',
  refillRate: 'calls a second by which room comes back before calls end; 0: none',
  maxBody: 'largest request body',
  maxBuffered: 'request bytes held in memory at once, over all calls',
  maxHeader: 'largest request head',
  minUploadRate: 'bytes a second below which an upload is cut; off: never',
  // Timeouts
  connectTimeout: 'until a connection to a worker stands',
  firstTokenTimeout: 'from sending the request to the first token (the whole answer when it does not stream)',
  idleTimeout: 'silence inside an answer that has begun',
  totalTimeout: 'from the request to the end of its answer',
  workerKeepAlive:
    'how long an idle connection to a worker is kept for the next call, at most (Node alone); off: not at all',
  keepAlive: 'send ": keep-alive" comments at this interval while a stream waits',
  grace: 'how long streams may finish after SIGTERM',
  // Retries and breakers
  retries: 'further attempts after the first, before the first byte',
  retryOn: 'statuses of a worker after which another is tried',
  retryTimeouts: 'another worker is tried, too, when one gave no first token or no whole answer in time',
  retryDelay: 'back-off before the same worker is tried again',
  retryFactor: 'each back-off is this much longer',
  retryMaxDelay: 'longest back-off',
  retryJitter: 'share of a back-off that is random',
  retryBudget: 'retries as a share of calls, above the floor',
  retryFloor: 'retries a second that are always allowed',
  breakerFailures: 'consecutive failures that open a breaker; 0: no breaker',
  breakerWindow: 'failures further apart than this do not add up',
  breakerOpen: 'how long an open breaker keeps calls away',
  breakerSuccesses: 'successes that close a half-open breaker',
  breakerProbes: 'good probes count as successes of a half-open breaker, too',
  breakerClientErrors: 'answers from 400 to 499 are failures of the worker, too',
  busyOn: 'statuses that mean busy, not broken: no breaker counts them',
  // Health probes
  healthInterval: 'time between probes; off: no probes',
  healthTimeout: 'how long a probe may take',
  healthPath: 'path that is probed',
  healthFailures: 'failed probes in a row that take a worker out',
  removeAfter:
    'how long a worker that was taken out may fail its probes before it is removed; off: it is waited for',
  healthSuccesses: 'good probes in a row that bring it back',
  // Load of the workers
  loadInterval:
    'time between questions to a busy worker for its load (an idle one: five times that, without loadAlways), where the policy uses it; off: never',
  loadAlways: 'ask for loads whatever the policy, so that /metrics tells them',
  orca: 'take the load that engines tell with their answers (endpoint-load-metrics)',
  // KV events of the workers
  kvEvents:
    'follow the KV events of workers that publish them, so that it is known what they hold; off: guess',
  kvBlockTokens: 'tokens of a block of KV cache where events do not tell',
  kvSessions:
    'name each call to such workers, so that its blocks are found: auto: vLLM alone; all: SGLang too',
  // Files and batches
  batches: 'keep files and run batches here (/v1/files, /v1/batches); off: they go to the workers',
  batchStore:
    'directory that keeps them; memory: forgotten with the process (default: .fetchway/PORT.batches; memory where the port is 0)',
  batchConcurrency: 'lines of batches under way at once',
  batchLines: 'lines that a batch may have',
  maxFile: 'largest file that is uploaded; off: no limit',
  fileQuota: 'bytes that the files of one key may hold together; off: no limit',
  fileExpiry: 'until a file is deleted, where its upload says nothing else; off: never',
  // Around calls
  callbacks: 'ES module (PATH or PATH#EXPORT) whose pre_request and post_request see each call',
  requestRewriter:
    'ES module (PATH or PATH#EXPORT) whose rewrite_request changes bodies before they are routed',
  providers: 'OpenAI-compatible services outside of the fleet: URL#MODEL, or objects in a file',
  lmcache:
    'port where LMCache’s workers report what they hold, for production_stack_kvaware, or an object in a file',
  semanticCache:
    'answers chats from answers to chats that mean the same: what embeds, or an object in a file; none: off',
  // Telemetry and headers
  usage: 'token counts of streams',
  requestIdHeaders: 'first one present is kept; made up when none is',
  sessionHeaders: 'headers that name a session, first one first',
  corsOrigins: 'origins whose web pages may call the router (https://app.example, or *); none: no page may',
  metrics: 'serve /metrics',
  record: 'file that calls are recorded in for fetchway replay: lengths, times and salted hashes, no text',
  decisions: 'newest decisions that GET /fetchway/v1/decisions/ID explains; 0: none',
  logLevel: 'least level that is logged',
  logFormat: 'log lines for people or for machines',
  metricsListen: 'HOST:PORT of a listener of its own for the metrics, whatever the path',
  durationBuckets: 'upper bounds of the histogram of how long calls take, seconds; none: 5 ms to an hour',
  profile:
    'file that a CPU profile of the serving thread is written to at the end (Node alone), for developer tools to open',
  logDir: 'directory where log lines are kept too, in a file for each day',
  // Standing in for another router
  dialect: 'the router whose endpoints and habits are taken over (fetchway as NAME)',
  dialectOptions: 'what that dialect needs besides; fetchway import NAME -- FLAGS writes it',
  strictCompat: 'keep also those of its bugs that a client could depend on',
}
