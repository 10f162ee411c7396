// The one shape of the configuration. Flags, environment and files are tables that map onto it (load.ts).
import * as z from './form.ts'
import { checkKvEndpoint } from './kv-endpoint.ts'
import { policies } from '../policies/policy.ts'
import { dialectNames } from '../dialects/names.ts'
import { extending } from './extending.ts'
import { batching } from './batching.ts'
import { choosing } from './choosing.ts'
import { guarding } from './guarding.ts'
import { count, flag, PROBE_KINDS, read, whole } from './kinds.ts'
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

/** One inference server, as configured or added by the API. Only `url` is needed; the rest is found by asking it (members.ts: what for). */
export const workerSchema = z.strictObject({
  url,
  engine: z.optional(z.enum(['vllm', 'sglang', 'lmdeploy', 'unknown'])),
  role: z.prefault(z.enum(['mixed', 'prefill', 'decode']), 'mixed'),
  models: z.optional(z.array(z.string())),
  weight: z.prefault(z.number().check(z.positive()), 1),
  apiKey: z.optional(headerText),
  headers: z.optional(z.record(headerName, headerText)),
  labels: z.prefault(z.record(z.string(), z.string()), {}),
  maxInFlight: z.optional(whole(1)),
  via: z.optional(z.strictObject({ binding: text() })),
  kvEvents: z.optional(read(checkKvEndpoint)),
  kvEventsReplay: z.optional(read(checkKvEndpoint)),
  ranks: z.optional(ranks),
  probes: z.optional(z.array(z.strictObject({ kind: z.enum(PROBE_KINDS), model: text() }))),
  kvAddress: z.optional(text()),
  transfer: z.optional(transfer),
  past: z.optional(
    z.strictObject({ calls: count(0), times: z.prefault(z.array(z.number().check(z.positive())), []) }),
  ),
  bootstrapPort: z.optional(z.nullable(whole(1, 65535))),
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
    tenant: z.optional(z.string()),
    requestsPerMinute: count(0),
    tokensPerMinute: count(0),
    priority: z.optional(z.int()),
  }),
])

const bareToken = z.transform((token: string) => ({ token, name: undefined, revoked: false }))

const tunnelToken = z.union([
  z.pipe(headerText, bareToken),
  z.strictObject({
    token: headerText,
    name: z.optional(text()),
    revoked: flag(false),
  }),
])

const bareWorker = z.transform((url: string) => ({ url }))
const worker = z.union([z.pipe(z.pipe(z.string(), bareWorker), workerSchema), workerSchema])

const listen = {
  host: z.prefault(address, '127.0.0.1'),
  port: z.prefault(whole(0, 65535), 8000),
  socket: z.optional(text()),
  tlsCert: z.optional(text()),
  tlsKey: z.optional(text()),
  threads: z.prefault(whole(1), 1),
}

const fleet = {
  workers: list(worker),
  prefill: list(prefillUrl),
  decode: list(url),
  ranks: z.optional(ranks),
  models: z.prefault(z.enum(['check', 'ignore']), 'check'),
  aliases: z.prefault(z.record(text(), text()), {}),
  defaultModel: z.optional(text()),
  policy: z.prefault(z.enum(policyNames), 'least_cost'),
  shadowPolicy: z.optional(z.enum(policyNames)),
  state: z.optional(text()),
  stateFormat: z.prefault(z.enum(['own', 'nodes']), 'own'),
}

const keys = {
  apiKeys: list(apiKey),
  adminKey: z.optional(headerText),
  adminListen: z.optional(text()),
  workerApiKey: z.optional(headerText),
  workerProbeKey: z.optional(headerText),
  tunnelTokens: list(tunnelToken),
  ...guarding,
}

const limits = {
  maxInFlight: count(0),
  maxInFlightPerWorker: count(0),
  queueSize: count(1000),
  queueTimeout: duration('60s'),
  refillRate: count(0),
  maxBody: size('256MB'),
  maxBuffered: size('1GiB'),
  maxHeader: size('64KiB'),
  minUploadRate: size('1KB'),
}

const timeouts = {
  connectTimeout: duration('5s'),
  firstTokenTimeout: duration('600s'),
  idleTimeout: duration('120s'),
  totalTimeout: duration('off'),
  workerKeepAlive: duration('4s'),
  keepAlive: duration('off'),
  grace: duration('180s'),
}

const telling = {
  usage: z.prefault(z.enum(['all', 'sample', 'off']), 'all'),
  requestIdHeaders: z.prefault(z.array(headerName), ['x-request-id']),
  sessionHeaders: z.prefault(z.array(headerName), ['x-session-id']),
  corsOrigins: list(text()),
  metrics: flag(true),
  record: z.optional(text()),
  decisions: z.prefault(whole(0, 1_000_000), 4096),
  logLevel: z.prefault(z.enum(['debug', 'info', 'warn', 'error', 'silent']), 'info'),
  logFormat: z.prefault(z.enum(['pretty', 'json']), 'pretty'),
  ...elsewhere,
}

const speaking = {
  dialect: z.optional(z.enum(dialectNames)),
  dialectOptions: z.prefault(z.record(z.string(), z.unknown()), {}),
  strictCompat: flag(false),
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
