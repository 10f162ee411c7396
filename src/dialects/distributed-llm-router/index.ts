// Distributed-LLM-Router: `uvicorn gateway.main:app`, its environment and its `.env` files.
import { parseDotenv } from '../../config/dotenv.ts'
import { readArguments, valuesOf } from '../argparse.ts'
import type { Circumstances, Dialect, Translation } from '../dialect.ts'
import type { GivenFlag } from '../flag.ts'
import { Variables } from '../python/environment.ts'
import { flags } from './flags.ts'
import { surface } from './surface.ts'

/** The token of its README, which everybody knows. */
const KNOWN_TOKEN = 'your-secret-token-here'
const STRATEGIES = ['round_robin', 'least_loaded', 'latency_based'] as const
/** Every status of a broken server is tried elsewhere. */
const SERVER_ERRORS = Array.from({ length: 100 }, (_, i) => 500 + i)

export const distributedLlmRouter: Dialect = {
  name: 'distributed-llm-router',
  about: 'Distributed-LLM-Router (uvicorn gateway.main:app)',
  commands: ['gateway.main:app'],
  dotenv: ['.env', 'gateway/.env'],
  flags: () => flags,
  translate,
  surface,
}

class Settings {
  readonly config = new Map<string, GivenFlag>()

  /** `name`: of the flag or variable that gave the value; none: it is the program's default. */
  set(key: string, value: unknown, name = ''): void {
    if (value !== undefined) this.config.set(key, { value, name })
  }
}

async function translate(argv: readonly string[], by: Circumstances): Promise<Translation> {
  const { given, words, problems, inert } = readArguments(argv, flags)
  const values = valuesOf(flags, given, by.defaults)
  const envFile = values['env_file'] as string | undefined
  const file = envFile === undefined ? '' : await by.readFile(envFile)
  const named = file === null ? [] : parseDotenv(file).assignments
  const more = Object.fromEntries(named.map(({ name, value }) => [name, value]))
  const variables = new Variables({ ...by.environment, ...more })
  const settings = new Settings()
  listen(settings, values, variables)
  serve(settings, variables)
  const token = variables.text('AUTH_TOKEN') ?? KNOWN_TOKEN
  const strays = words.filter((word) => word !== 'gateway.main:app')
  return {
    config: settings.config,
    options: { threshold: variables.number('HEALTH_FAILURE_THRESHOLD', WHOLE) ?? 3 },
    notes: [
      ...inert.map(({ name, why }) => `${name} has no effect: ${why}`),
      ...(token === KNOWN_TOKEN
        ? ['AUTH_TOKEN is that of the README, which everybody knows: set another']
        : []),
    ],
    problems: [
      ...problems,
      ...(strays.length > 0 ? [`unrecognized arguments: ${strays.join(' ')}`] : []),
      ...(file === null ? [`--env-file: there is no file ${envFile}`] : []),
      ...new Set(variables.problems),
    ],
  }
}

const WHOLE = { least: 1, isWhole: true }

function listen(settings: Settings, values: Readonly<Record<string, unknown>>, variables: Variables): void {
  const port = values['port'] ?? variables.number('GATEWAY_PORT', { isWhole: true })
  const level = (values['log_level'] as string | undefined) ?? variables.text('LOG_LEVEL')?.toLowerCase()
  const grace = values['timeout_graceful_shutdown'] as number | undefined
  settings.set('socket', values['uds'], '--uds')
  if (values['uds'] === undefined) {
    settings.set('host', values['host'] === 'localhost' ? '127.0.0.1' : values['host'])
    settings.set('port', port ?? 8000, values['port'] === undefined ? 'GATEWAY_PORT' : '--port')
  }
  settings.set('threads', values['workers'], '--workers')
  settings.set('logLevel', LEVELS[level ?? ''], values['log_level'] ? '--log-level' : 'LOG_LEVEL')
  settings.set('tlsKey', values['ssl_keyfile'], '--ssl-keyfile')
  settings.set('tlsCert', values['ssl_certfile'], '--ssl-certfile')
  settings.set('grace', grace === undefined ? grace : `${grace}s`, '--timeout-graceful-shutdown')
}

const LEVELS: Readonly<Record<string, string>> = {
  critical: 'error',
  error: 'error',
  warning: 'warn',
  info: 'info',
  debug: 'debug',
  trace: 'debug',
}

function serve(settings: Settings, variables: Variables): void {
  const from = (key: string, value: unknown, name: string) =>
    settings.set(key, value, variables.has(name) ? name : '')
  const seconds = (name: string, initial: number, least = 0) =>
    `${variables.number(name, { least }) ?? initial}s`
  const count = (name: string, initial: number, least = 0) =>
    variables.number(name, { least, isWhole: true }) ?? initial
  const token = variables.text('AUTH_TOKEN') ?? KNOWN_TOKEN
  const timeout = seconds('NODE_TIMEOUT_SECONDS', 120)
  from('workers', variables.list('VLLM_NODES') ?? ['http://localhost:8001'], 'VLLM_NODES')
  from('policy', variables.choice('ROUTING_STRATEGY', STRATEGIES) ?? 'least_loaded', 'ROUTING_STRATEGY')
  from('firstTokenTimeout', timeout, 'NODE_TIMEOUT_SECONDS')
  from('idleTimeout', timeout, 'NODE_TIMEOUT_SECONDS')
  from('connectTimeout', seconds('CONNECT_TIMEOUT_SECONDS', 10), 'CONNECT_TIMEOUT_SECONDS')
  from('retries', count('MAX_RETRIES', 2), 'MAX_RETRIES')
  from('healthInterval', seconds('HEALTH_CHECK_INTERVAL_SECONDS', 15, 1), 'HEALTH_CHECK_INTERVAL_SECONDS')
  from('healthFailures', count('HEALTH_FAILURE_THRESHOLD', 3, 1), 'HEALTH_FAILURE_THRESHOLD')
  from('defaultModel', variables.text('MODEL_NAME') ?? 'mistralai/Mistral-7B-Instruct-v0.3', 'MODEL_NAME')
  from('maxInFlight', count('MAX_CONCURRENT_REQUESTS', 16, 1), 'MAX_CONCURRENT_REQUESTS')
  from('queueSize', count('MAX_QUEUE_SIZE', 32), 'MAX_QUEUE_SIZE')
  from('apiKeys', [token], 'AUTH_TOKEN')
  // Clients and engines share the token there: it is passed on.
  from('workerApiKey', token, 'AUTH_TOKEN')
  if (token !== KNOWN_TOKEN) settings.set('adminKey', token, 'AUTH_TOKEN')
  for (const [key, value] of Object.entries(HABITS)) settings.set(key, value)
}

/** What it does without being asked. */
const HABITS: Readonly<Record<string, unknown>> = {
  models: 'ignore',
  state: 'off',
  queueTimeout: 'off',
  healthPath: '/v1/models',
  healthTimeout: '5s',
  retryOn: SERVER_ERRORS,
  retryTimeouts: true,
  retryDelay: '100ms',
  retryFactor: 2,
  retryMaxDelay: '2s',
  retryJitter: 0,
  retryBudget: 1,
  breakerFailures: 0,
  busyOn: [],
}
