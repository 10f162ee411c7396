// The one shape of the configuration. Flags, environment and files are tables that map onto it (load.ts).
import * as z from './form.ts'
import { checkKvEndpoint } from './kv-endpoint.ts'
import { policies } from '../policies/policy.ts'
import { dialectNames } from '../dialects/names.ts'
import { extending } from './extending.ts'
import { batching } from './batching.ts'
import { choosing } from './choosing.ts'
import { guarding } from './guarding.ts'
import { about, count, flag, PROBE_KINDS, read, whole } from './kinds.ts'
import { kubernetes } from './kubernetes.ts'
import { events, load } from './hearing.ts'
import { health, recovery } from './recovery.ts'
import { telling as elsewhere } from './telling.ts'
import { beating, transfer } from './beating.ts'
import { pairing } from './pairing.ts'
import { sharing } from './sharing.ts'
import { duration, size } from './units.ts'
import { normalizeUrl, parsePrefill } from './urls.ts'

const list = <T extends z.Form>(item: T) => z.prefault(z.array(item), [])
const text = () => z.string().check(z.minLength(1))
const headerText = z
  .string()
  .check(
    z.regex(
      /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/,
      'must be visible ASCII without spaces or line breaks at its ends',
    ),
  )
/** IPv6 is often written in brackets, which sockets do not know. */
const address = z.pipe(
  text(),
  z.transform((written) => written.replace(/^\[(.*)\]$/, '$1')),
)
const headerName = z
  .string()
  .check(z.regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/, 'must be a header name like x-request-id'))
const policyNames = policies.map((policy) => policy.name) as [string, ...string[]]
const url = read(normalizeUrl)
const prefillUrl = read((written) => {
  const { url, bootstrapPort } = parsePrefill(written)
  return bootstrapPort === undefined ? url : `${url},${bootstrapPort ?? 'none'}`
})

const ranks = z.union([whole(1, 4096), z.literal('ask')])

/** One inference server, as configured or added by the API. Only `url` is needed; the rest is found by asking it. */
export const workerSchema = z.strictObject({
  url: about(url, 'http://gpu1:8000, https://…, or unix:/run/engine.sock'),
  engine: about(z.optional(z.enum(['vllm', 'sglang', 'lmdeploy', 'unknown'])), 'found by asking when absent'),
  role: z.prefault(z.enum(['mixed', 'prefill', 'decode']), 'mixed'),
  models: about(z.optional(z.array(z.string())), 'models it serves; found by asking when absent'),
  weight: z.prefault(z.number().check(z.positive()), 1),
  apiKey: about(z.optional(headerText), 'sent to this worker in place of the client key'),
  headers: about(z.optional(z.record(headerName, headerText)), 'extra headers for this worker'),
  labels: z.prefault(z.record(z.string(), z.string()), {}),
  maxInFlight: about(z.optional(whole(1)), 'overrides maxInFlightPerWorker'),
  via: about(
    z.optional(z.strictObject({ binding: text() })),
    'on Cloudflare Workers alone: the VPC or service binding that its calls go through',
  ),
  kvEvents: about(
    z.optional(read(checkKvEndpoint)),
    'tcp://HOST:PORT of its KV events, @tcp://*:PORT to be connected to, push, or off; commas between those of its ranks; found by asking when absent',
  ),
  kvEventsReplay: about(
    z.optional(read(checkKvEndpoint)),
    'tcp://HOST:PORT where missed KV events are had, or off',
  ),
  ranks: about(z.optional(ranks), 'data-parallel ranks behind its URL; overrides ranks'),
  probes: about(
    z.optional(z.array(z.strictObject({ kind: z.enum(PROBE_KINDS), model: text() }))),
    'real calls that it is probed with in place of healthPath: all must answer JSON',
  ),
  kvAddress: about(
    z.optional(text()),
    'HOST:PORT of its KV connector (vLLM P2P/NCCL), where that is not its URL’s',
  ),
  transfer: about(z.optional(transfer), 'its MoRI-IO connector'),
  bootstrapPort: about(
    z.optional(z.nullable(whole(1, 65535))),
    'of a prefill worker: where its bootstrap server listens (default: 8998); null: not told',
  ),
})
export type WorkerSpec = z.Output<typeof workerSchema>

const bareKey = z.transform((key: string) => ({
  key,
  tenant: undefined,
  requestsPerMinute: 0,
  tokensPerMinute: 0,
  priority: undefined,
}))

const apiKey = z.union([
  z.pipe(headerText, bareKey),
  z.strictObject({
    key: headerText,
    tenant: about(z.optional(z.string()), 'name in metrics and logs'),
    requestsPerMinute: about(count(0), '0: no limit'),
    tokensPerMinute: about(count(0), '0: no limit'),
    priority: about(z.optional(z.int()), 'default priority of this key; lower goes first'),
  }),
])

const bareToken = z.transform((token: string) => ({ token, name: undefined, revoked: false }))

const tunnelToken = z.union([
  z.pipe(headerText, bareToken),
  z.strictObject({
    token: about(headerText, 'what the worker sends first'),
    name: about(z.optional(text()), 'the only worker name that it is good for; none: any'),
    revoked: about(flag(false), 'turned away, and cut off at a reload'),
  }),
])

const bareWorker = z.transform((url: string) => ({ url }))
const worker = z.union([z.pipe(z.pipe(z.string(), bareWorker), workerSchema), workerSchema])

const listen = {
  host: about(z.prefault(address, '127.0.0.1'), 'address to listen on'),
  port: about(z.prefault(whole(0, 65535), 8000), 'port to listen on; 0 takes a free one'),
  socket: about(z.optional(text()), 'unix socket to listen on in place of host and port'),
  tlsCert: about(z.optional(text()), 'PEM file: serve HTTPS'),
  tlsKey: about(z.optional(text()), 'PEM file: serve HTTPS'),
  threads: about(z.prefault(whole(1), 1), 'threads that serve requests'),
}

const fleet = {
  workers: about(list(worker), 'inference servers: URL, or an object in a file'),
  prefill: about(list(prefillUrl), 'prefill workers: URL[,BOOTSTRAP_PORT|none]'),
  decode: about(list(url), 'decode workers: URL'),
  ranks: about(
    z.optional(ranks),
    'data-parallel ranks behind each URL, which are workers of their own; ask: as many as it says',
  ),
  models: about(
    z.prefault(z.enum(['check', 'ignore']), 'check'),
    'ignore: serve calls whatever model they name',
  ),
  aliases: about(z.prefault(z.record(text(), text()), {}), 'name that clients use: model that workers serve'),
  defaultModel: about(z.optional(text()), 'model of calls that name none'),
  policy: about(z.prefault(z.enum(policyNames), 'least_cost'), 'how a worker is chosen'),
  shadowPolicy: about(
    z.optional(z.enum(policyNames)),
    'a second policy that decides on live traffic and sends nothing: GET /fetchway/v1/shadow',
  ),
  state: about(
    z.optional(text()),
    'file that keeps workers added by the API; kv:NAME: shared in Deno KV; off: none (default: .fetchway/PORT.json)',
  ),
  stateFormat: about(
    z.prefault(z.enum(['own', 'nodes']), 'own'),
    'how that file is written; nodes: as DLRouter and LMDeploy’s proxy do',
  ),
}

const keys = {
  apiKeys: about(list(apiKey), 'keys that clients must send; none: open'),
  adminKey: about(z.optional(headerText), 'key of the control plane'),
  adminListen: about(
    z.optional(text()),
    'HOST:PORT or unix:/path of a listener of its own for the control plane',
  ),
  workerApiKey: about(z.optional(headerText), 'sent to workers that have no key of their own'),
  workerProbeKey: about(
    z.optional(headerText),
    'sent to those with what the router itself asks them alone; calls keep the keys of their clients',
  ),
  tunnelTokens: about(
    list(tunnelToken),
    'tokens of workers that dial in (fetchway connect); none: nobody may',
  ),
  ...guarding,
}

const limits = {
  maxInFlight: about(count(0), 'calls in flight in all; 0: no limit'),
  maxInFlightPerWorker: about(count(0), 'calls in flight to one worker; 0: no limit'),
  queueSize: about(count(1000), 'calls that may wait for room'),
  queueTimeout: about(duration('60s'), 'how long a call may wait for room'),
  refillRate: about(count(0), 'calls a second by which room comes back before calls end; 0: none'),
  maxBody: about(size('256MB'), 'largest request body'),
  maxBuffered: about(size('1GiB'), 'request bytes held in memory at once, over all calls'),
  maxHeader: about(size('64KiB'), 'largest request head'),
  minUploadRate: about(size('1KB'), 'bytes a second below which an upload is cut; off: never'),
}

const timeouts = {
  connectTimeout: about(duration('5s'), 'until a connection to a worker stands'),
  firstTokenTimeout: about(
    duration('600s'),
    'from sending the request to the first token (the whole answer when it does not stream)',
  ),
  idleTimeout: about(duration('120s'), 'silence inside an answer that has begun'),
  totalTimeout: about(duration('off'), 'from the request to the end of its answer'),
  workerKeepAlive: about(
    duration('4s'),
    'how long an idle connection to a worker is kept for the next call, at most (Node alone); off: not at all',
  ),
  keepAlive: about(duration('off'), 'send ": keep-alive" comments at this interval while a stream waits'),
  grace: about(duration('180s'), 'how long streams may finish after SIGTERM'),
}

const telling = {
  usage: about(z.prefault(z.enum(['all', 'sample', 'off']), 'all'), 'token counts of streams'),
  requestIdHeaders: about(
    z.prefault(z.array(headerName), ['x-request-id']),
    'first one present is kept; made up when none is',
  ),
  sessionHeaders: about(
    z.prefault(z.array(headerName), ['x-session-id']),
    'headers that name a session, first one first',
  ),
  corsOrigins: about(
    list(text()),
    'origins whose web pages may call the router (https://app.example, or *); none: no page may',
  ),
  metrics: about(flag(true), 'serve /metrics'),
  record: about(
    z.optional(text()),
    'file that calls are recorded in for fetchway replay: lengths, times and salted hashes, no text',
  ),
  decisions: about(
    z.prefault(whole(0, 1_000_000), 4096),
    'newest decisions that GET /fetchway/v1/decisions/ID explains; 0: none',
  ),
  logLevel: about(
    z.prefault(z.enum(['debug', 'info', 'warn', 'error', 'silent']), 'info'),
    'least level that is logged',
  ),
  logFormat: about(z.prefault(z.enum(['pretty', 'json']), 'pretty'), 'log lines for people or for machines'),
  ...elsewhere,
}

const speaking = {
  dialect: about(
    z.optional(z.enum(dialectNames)),
    'the router whose endpoints and habits are taken over (fetchway as NAME)',
  ),
  dialectOptions: about(
    z.prefault(z.record(z.string(), z.unknown()), {}),
    'what that dialect needs besides; fetchway import NAME -- FLAGS writes it',
  ),
  strictCompat: about(flag(false), 'keep also those of its bugs that a client could depend on'),
}

/** The keys under the headings that `--help` shows them under. */
export const groups = {
  Listening: listen,
  Workers: fleet,
  Choosing: choosing,
  'Prefill and decode': pairing,
  'Workers in Kubernetes': kubernetes,
  'Workers that register themselves': beating,
  'Several pools and routers': sharing,
  Keys: keys,
  Limits: limits,
  Timeouts: timeouts,
  'Retries and breakers': recovery,
  'Health probes': health,
  'Load of the workers': load,
  'KV events of the workers': events,
  'Files and batches': batching,
  'Around calls': extending,
  'Telemetry and headers': telling,
  'Standing in for another router': speaking,
} as const

export const configSchema = z.strictObject({
  ...listen,
  ...fleet,
  ...choosing,
  ...pairing,
  ...kubernetes,
  ...beating,
  ...sharing,
  ...keys,
  ...limits,
  ...timeouts,
  ...recovery,
  ...health,
  ...load,
  ...events,
  ...batching,
  ...extending,
  ...telling,
  ...speaking,
})

/** The whole configuration, frozen, with every default filled in. Durations are ms, sizes bytes, 0 is off. */
export type Config = z.Output<typeof configSchema>
export type ConfigInput = z.Input<typeof configSchema>
