// The one shape of the configuration. Flags, environment and files are tables that map onto it (load.ts).
import * as z from 'zod'
import { policies } from '../policies/policy.ts'
import { duration, size } from './units.ts'
import { normalizeUrl, parsePrefill } from './urls.ts'

const count = (initial: number) => z.number().int().min(0).prefault(initial)
const flag = (initial: boolean) => z.boolean().prefault(initial)
const headerText = z
  .string()
  .regex(
    /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/,
    'must be visible ASCII without spaces or line breaks at its ends',
  )
/** IPv6 is often written in brackets, which sockets do not know. */
const address = z
  .string()
  .min(1)
  .transform((text) => text.replace(/^\[(.*)\]$/, '$1'))
const headerName = z
  .string()
  .regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/, 'must be a header name like x-request-id')

/** One inference server, as configured or added by the API. Only `url` is needed; the rest is found by asking it. */
export const workerSchema = z.strictObject({
  url: z.string().transform(readUrl).describe('http://gpu1:8000, https://…, or unix:/run/engine.sock'),
  engine: z
    .enum(['vllm', 'sglang', 'lmdeploy', 'unknown'])
    .optional()
    .describe('found by asking when absent'),
  role: z.enum(['mixed', 'prefill', 'decode']).prefault('mixed'),
  models: z.array(z.string()).optional().describe('models it serves; found by asking when absent'),
  weight: z.number().positive().prefault(1),
  apiKey: headerText.optional().describe('sent to this worker in place of the client key'),
  headers: z.record(headerName, headerText).optional().describe('extra headers for this worker'),
  labels: z.record(z.string(), z.string()).prefault({}),
  maxInFlight: z.number().int().min(1).optional().describe('overrides maxInFlightPerWorker'),
  bootstrapPort: z.number().int().min(1).max(65535).optional(),
})
export type WorkerSpec = z.output<typeof workerSchema>

const apiKey = z.union([
  headerText.transform((key) => ({
    key,
    tenant: undefined,
    requestsPerMinute: 0,
    tokensPerMinute: 0,
    priority: undefined,
  })),
  z.strictObject({
    key: headerText,
    tenant: z.string().optional().describe('name in metrics and logs'),
    requestsPerMinute: count(0).describe('0: no limit'),
    tokensPerMinute: count(0).describe('0: no limit'),
    priority: z.number().int().optional().describe('default priority of this key; lower goes first'),
  }),
])

const tunnelToken = z.union([
  headerText.transform((token) => ({ token, name: undefined, revoked: false })),
  z.strictObject({
    token: headerText.describe('what the worker sends first'),
    name: z.string().min(1).optional().describe('the only worker name that it is good for; none: any'),
    revoked: flag(false).describe('turned away, and cut off at a reload'),
  }),
])

const worker = z.union([
  z
    .string()
    .transform((url) => ({ url }))
    .pipe(workerSchema),
  workerSchema,
])

const listen = {
  host: address.prefault('127.0.0.1').describe('address to listen on'),
  port: z.number().int().min(0).max(65535).prefault(8000).describe('port to listen on; 0 takes a free one'),
  socket: z.string().min(1).optional().describe('unix socket to listen on in place of host and port'),
  tlsCert: z.string().min(1).optional().describe('PEM file: serve HTTPS'),
  tlsKey: z.string().min(1).optional().describe('PEM file: serve HTTPS'),
  threads: z.number().int().min(1).prefault(1).describe('threads that serve requests'),
}

const fleet = {
  workers: z.array(worker).prefault([]).describe('inference servers: URL, or an object in a file'),
  prefill: z
    .array(z.string().transform(readPrefill))
    .prefault([])
    .describe('prefill workers: URL[,BOOTSTRAP_PORT]'),
  decode: z.array(z.string().transform(readUrl)).prefault([]).describe('decode workers: URL'),
  ranks: z
    .union([z.number().int().min(1), z.literal('ask')])
    .optional()
    .describe('data-parallel ranks behind each URL'),
  models: z
    .enum(['check', 'ignore'])
    .prefault('check')
    .describe('ignore: serve calls whatever model they name'),
  aliases: z
    .record(z.string().min(1), z.string().min(1))
    .prefault({})
    .describe('name that clients use: model that workers serve'),
  policy: z
    .enum(policies.map((policy) => policy.name) as [string, ...string[]])
    .prefault('least_load')
    .describe('how a worker is chosen'),
  state: z
    .string()
    .min(1)
    .optional()
    .describe('file that keeps workers added by the API; off: none (default: .fetchway/PORT.json)'),
}

const keys = {
  apiKeys: z.array(apiKey).prefault([]).describe('keys that clients must send; none: open'),
  adminKey: headerText.optional().describe('key of the control plane'),
  adminListen: z
    .string()
    .min(1)
    .optional()
    .describe('HOST:PORT or unix:/path of a listener of its own for the control plane'),
  workerApiKey: headerText.optional().describe('sent to workers that have no key of their own'),
  tunnelTokens: z
    .array(tunnelToken)
    .prefault([])
    .describe('tokens of workers that dial in (fetchway connect); none: nobody may'),
}

const limits = {
  maxInFlight: count(0).describe('calls in flight in all; 0: no limit'),
  maxInFlightPerWorker: count(0).describe('calls in flight to one worker; 0: no limit'),
  queueSize: count(1000).describe('calls that may wait for room'),
  queueTimeout: duration('60s').describe('how long a call may wait for room'),
  maxBody: size('256MB').describe('largest request body'),
  maxBuffered: size('1GiB').describe('request bytes held in memory at once, over all calls'),
  maxHeader: size('64KiB').describe('largest request head'),
  minUploadRate: size('1KB').describe('bytes a second below which an upload is cut; off: never'),
}

const timeouts = {
  connectTimeout: duration('5s').describe('until a connection to a worker stands'),
  firstTokenTimeout: duration('600s').describe(
    'from sending the request to the first token (the whole answer when it does not stream)',
  ),
  idleTimeout: duration('120s').describe('silence inside an answer that has begun'),
  totalTimeout: duration('off').describe('from the request to the end of its answer'),
  keepAlive: duration('off').describe('send ": keep-alive" comments at this interval while a stream waits'),
  grace: duration('180s').describe('how long streams may finish after SIGTERM'),
}

const recovery = {
  retries: count(3).describe('further attempts after the first, before the first byte'),
  retryDelay: duration('50ms').describe('back-off before the same worker is tried again'),
  retryFactor: z.number().min(1).prefault(1.5).describe('each back-off is this much longer'),
  retryMaxDelay: duration('30s').describe('longest back-off'),
  retryJitter: z.number().min(0).max(1).prefault(0.2).describe('share of a back-off that is random'),
  retryBudget: z
    .number()
    .min(0)
    .max(1)
    .prefault(0.1)
    .describe('retries as a share of calls, above the floor'),
  retryFloor: count(10).describe('retries a second that are always allowed'),
  breakerFailures: count(5).describe('consecutive failures that open a breaker; 0: no breaker'),
  breakerWindow: duration('60s').describe('failures further apart than this do not add up'),
  breakerOpen: duration('30s').describe('how long an open breaker keeps calls away'),
  breakerSuccesses: count(2).describe('successes that close a half-open breaker'),
}

const health = {
  healthInterval: duration('10s').describe('time between probes; off: no probes'),
  healthTimeout: duration('5s').describe('how long a probe may take'),
  healthPath: z.string().prefault('/health').describe('path that is probed'),
  healthFailures: count(3).describe('failed probes in a row that take a worker out'),
}

const telling = {
  usage: z.enum(['all', 'sample', 'off']).prefault('all').describe('token counts of streams'),
  requestIdHeaders: z
    .array(headerName)
    .prefault(['x-request-id'])
    .describe('first one present is kept; made up when none is'),
  sessionHeaders: z
    .array(headerName)
    .prefault(['x-session-id'])
    .describe('headers that name a session, first one first'),
  metrics: flag(true).describe('serve /metrics'),
  logLevel: z
    .enum(['debug', 'info', 'warn', 'error', 'silent'])
    .prefault('info')
    .describe('least level that is logged'),
  logFormat: z.enum(['pretty', 'json']).prefault('pretty').describe('log lines for people or for machines'),
}

/** The keys under the headings that `--help` shows them under. */
export const groups = {
  Listening: listen,
  Workers: fleet,
  Keys: keys,
  Limits: limits,
  Timeouts: timeouts,
  'Retries and breakers': recovery,
  'Health probes': health,
  'Telemetry and headers': telling,
} as const

export const configSchema = z.strictObject({
  ...listen,
  ...fleet,
  ...keys,
  ...limits,
  ...timeouts,
  ...recovery,
  ...health,
  ...telling,
})

/** The whole configuration, frozen, with every default filled in. Durations are ms, sizes bytes, 0 is off. */
export type Config = z.output<typeof configSchema>
export type ConfigInput = z.input<typeof configSchema>

function readUrl(text: string, ctx: z.RefinementCtx): string {
  return attempt(() => normalizeUrl(text), ctx)
}

function readPrefill(text: string, ctx: z.RefinementCtx): string {
  return attempt(() => {
    const { url, bootstrapPort } = parsePrefill(text)
    return bootstrapPort === undefined ? url : `${url},${bootstrapPort}`
  }, ctx)
}

function attempt(read: () => string, ctx: z.RefinementCtx): string {
  try {
    return read()
  } catch (error) {
    ctx.addIssue({ code: 'custom', message: error instanceof Error ? error.message : String(error) })
    return z.NEVER
  }
}
