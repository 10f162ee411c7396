// The one shape of the configuration. Flags, environment and files are tables that map onto it (load.ts).
import { z } from 'zod'
import { policies } from '../policies/policy.ts'
import { duration, size } from './units.ts'

const count = (initial: number) => z.number().int().min(0).prefault(initial)
const flag = (initial: boolean) => z.boolean().prefault(initial)

/** One inference server, as configured or added by the API. Only `url` is needed; the rest is found by asking it. */
export const workerSchema = z.strictObject({
  url: z.string().min(1).describe('http://gpu1:8000, https://…, or unix:/run/engine.sock'),
  engine: z.enum(['vllm', 'sglang', 'lmdeploy', 'unknown']).optional().describe('found by asking when absent'),
  role: z.enum(['mixed', 'prefill', 'decode']).prefault('mixed'),
  models: z.array(z.string()).optional().describe('models it serves; found by asking when absent'),
  weight: z.number().positive().prefault(1),
  apiKey: z.string().optional().describe('sent to this worker in place of the client key'),
  headers: z.record(z.string(), z.string()).optional().describe('extra headers for this worker'),
  labels: z.record(z.string(), z.string()).prefault({}),
  maxInFlight: z.number().int().min(1).optional().describe('overrides maxInFlightPerWorker'),
  bootstrapPort: z.number().int().min(1).max(65535).optional(),
})
export type WorkerSpec = z.output<typeof workerSchema>

const apiKey = z.union([
  z.string().min(1).transform((key) => ({ key, tenant: undefined, requestsPerMinute: 0, tokensPerMinute: 0, priority: undefined })),
  z.strictObject({
    key: z.string().min(1),
    tenant: z.string().optional().describe('name in metrics and logs'),
    requestsPerMinute: count(0).describe('0: no limit'),
    tokensPerMinute: count(0).describe('0: no limit'),
    priority: z.number().int().optional().describe('default priority of this key; lower goes first'),
  }),
])

export const configSchema = z.strictObject({
  host: z.string().prefault('127.0.0.1').describe('address to listen on'),
  port: z.number().int().min(0).max(65535).prefault(8000).describe('port to listen on; 0 takes a free one'),
  socket: z.string().optional().describe('unix socket to listen on in place of host and port'),
  tlsCert: z.string().optional().describe('PEM file: serve HTTPS'),
  tlsKey: z.string().optional().describe('PEM file: serve HTTPS'),
  workers: z.array(z.union([z.string().transform((url) => workerSchema.parse({ url })), workerSchema])).prefault([]),
  prefill: z.array(z.string()).prefault([]).describe('prefill workers: URL[,BOOTSTRAP_PORT]'),
  decode: z.array(z.string()).prefault([]).describe('decode workers: URL'),
  ranks: z.union([z.number().int().min(1), z.literal('ask')]).optional().describe('data-parallel ranks behind each URL'),
  models: z.enum(['check', 'ignore']).prefault('check').describe('ignore: serve calls whatever model they name'),
  aliases: z.record(z.string(), z.string()).prefault({}).describe('name that clients use: model that workers serve'),
  policy: z.enum(policies.map((policy) => policy.name) as [string, ...string[]]).prefault('least_load'),

  apiKeys: z.array(apiKey).prefault([]).describe('keys that clients must send; none: open'),
  adminKey: z.string().optional().describe('key of the control plane'),
  adminListen: z.string().optional().describe('HOST:PORT of a listener of its own for the control plane'),
  workerApiKey: z.string().optional().describe('sent to workers that have no key of their own'),

  maxInFlight: count(0).describe('calls in flight in all; 0: no limit'),
  maxInFlightPerWorker: count(0).describe('calls in flight to one worker; 0: no limit'),
  queueSize: count(1000).describe('calls that may wait for room'),
  queueTimeout: duration('60s').describe('how long a call may wait for room'),
  maxBody: size('256MB').describe('largest request body'),
  maxBuffered: size('1GiB').describe('request bytes held in memory at once, over all calls'),
  maxHeader: size('64KiB').describe('largest request head'),
  minUploadRate: size('1KB').describe('bytes a second below which an upload is cut; off: never'),
  keepAlive: duration('off').describe('send ": keep-alive" comments at this interval while a stream waits'),

  connectTimeout: duration('5s'),
  firstTokenTimeout: duration('600s').describe('from sending the request to the first token (the whole answer when it does not stream)'),
  idleTimeout: duration('120s').describe('silence inside an answer that has begun'),
  totalTimeout: duration('off'),
  grace: duration('180s').describe('how long streams may finish after SIGTERM'),

  retries: count(3).describe('further attempts after the first, before the first byte'),
  retryDelay: duration('50ms').describe('back-off before the same worker is tried again'),
  retryFactor: z.number().min(1).prefault(1.5),
  retryMaxDelay: duration('30s'),
  retryJitter: z.number().min(0).max(1).prefault(0.2),
  retryBudget: z.number().min(0).max(1).prefault(0.1).describe('retries as a share of calls, above the floor'),
  retryFloor: count(10).describe('retries a second that are always allowed'),
  breakerFailures: count(5).describe('consecutive failures that open a breaker; 0: no breaker'),
  breakerWindow: duration('60s'),
  breakerOpen: duration('30s'),
  breakerSuccesses: count(2).describe('successes that close a half-open breaker'),
  healthInterval: duration('10s').describe('off: no probes'),
  healthTimeout: duration('5s'),
  healthPath: z.string().prefault('/health'),
  healthFailures: count(3).describe('failed probes in a row that take a worker out'),

  usage: z.enum(['all', 'sample', 'off']).prefault('all').describe('token counts of streams'),
  requestIdHeaders: z.array(z.string()).prefault(['x-request-id']).describe('first one present is kept; made up when none is'),
  sessionHeaders: z.array(z.string()).prefault(['x-session-id']),
  metrics: flag(true),
  state: z.string().optional().describe('file that keeps workers added by the API; default: none are kept'),
  threads: z.number().int().min(1).prefault(1),
  logLevel: z.enum(['debug', 'info', 'warn', 'error', 'silent']).prefault('info'),
  logFormat: z.enum(['pretty', 'json']).prefault('pretty'),
})

/** The whole configuration, frozen, with every default filled in. Durations are ms, sizes bytes, 0 is off. */
export type Config = z.output<typeof configSchema>
export type ConfigInput = z.input<typeof configSchema>
