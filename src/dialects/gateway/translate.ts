// What the flags that both Rust routers share mean here.
import { isLoopback } from '../../config/urls.ts'
import type { GivenFlag } from '../flag.ts'

export type Values = Readonly<Record<string, unknown>>

/** Keys of the configuration with the flag that set each; a default of the program has no flag's name. */
export class Settings {
  readonly config = new Map<string, GivenFlag>()
  /** The flag of each key, given or not. */
  readonly flagOf = new Map<string, string>()
  readonly #given: ReadonlyMap<string, GivenFlag>

  constructor(given: ReadonlyMap<string, GivenFlag>) {
    this.#given = given
  }

  /** Sets a key from one of the flags `dests`; the first that was given names it. */
  set(key: string, value: unknown, ...dests: string[]): void {
    const [first] = dests
    if (first !== undefined) this.flagOf.set(key, `--${first.replaceAll('_', '-')}`)
    if (value === undefined || value === null) return
    const name = dests.map((dest) => this.#given.get(dest)?.name).find((one) => one !== undefined) ?? ''
    this.config.set(key, { value, name })
  }
}

const atLeastOne = (value: unknown): unknown => (typeof value === 'number' ? Math.max(1, value) : value)

/** Seconds and milliseconds as the configuration writes them; 0 and less: off. */
export const seconds = (value: unknown): string | undefined =>
  typeof value === 'number' ? (value > 0 ? `${value}s` : 'off') : undefined
export const milliseconds = (value: unknown): string | undefined =>
  typeof value === 'number' ? (value > 0 ? `${value}ms` : 'off') : undefined
export const bytes = (value: unknown): string | undefined =>
  typeof value === 'number' ? `${value}B` : undefined

/** Lists of `KEY=VALUE`; one argument may hold several with blanks between (as in Kubernetes manifests). */
export function labelsOf(items: unknown): Record<string, string> {
  const texts = (Array.isArray(items) ? items : []).flatMap((item) => String(item).trim().split(/\s+/))
  const pairs = texts.filter((text) => text.includes('='))
  return Object.fromEntries(
    pairs.map((text) => [text.slice(0, text.indexOf('=')), text.slice(text.indexOf('=') + 1)]),
  )
}

const LEVELS: Readonly<Record<string, string>> = {
  trace: 'debug',
  warning: 'warn',
  critical: 'error',
  off: 'silent',
}

/** Listening, limits, timeouts, retries, breakers, probes, headers, logs. `isStrict`: with bugs that a client could depend on. */
export function translateShared(values: Values, settings: Settings, isStrict: boolean): void {
  settings.set('host', values['host'] === 'localhost' ? '127.0.0.1' : values['host'], 'host')
  settings.set('port', values['port'], 'port')
  settings.set('maxBody', bytes(values['max_payload_size']), 'max_payload_size')
  settings.set('grace', seconds(values['shutdown_grace_period_secs']), 'shutdown_grace_period_secs')
  settings.set('requestIdHeaders', idHeadersOf(values), 'request_id_headers')
  settings.set('corsOrigins', originsOf(values), 'cors_allowed_origins')
  const level = values['log_level'] as string | undefined
  settings.set('logLevel', level === undefined ? level : (LEVELS[level] ?? level), 'log_level')
  const timeout = seconds(values['request_timeout_secs'])
  // Theirs cuts streams that go well, too.
  if (isStrict) settings.set('totalTimeout', timeout, 'request_timeout_secs')
  settings.set('firstTokenTimeout', timeout, 'request_timeout_secs')
  settings.set('idleTimeout', timeout, 'request_timeout_secs')
  settings.set('connectTimeout', '10s')
  settings.set('workerKeepAlive', seconds(values['pool_idle_timeout_secs']), 'pool_idle_timeout_secs')
  settings.set('logDir', values['log_dir'], 'log_dir')
  const metricsPort = values['prometheus_port']
  settings.set(
    'metricsListen',
    typeof metricsPort === 'number' ? `${bracketed(values['prometheus_host'])}:${metricsPort}` : undefined,
    'prometheus_port',
    'prometheus_host',
  )
  settings.set('durationBuckets', values['prometheus_duration_buckets'], 'prometheus_duration_buckets')
  translateLimits(values, settings)
  translateRetries(values, settings)
  translateProbes(values, settings)
  translateBalance(values, settings)
  if (isStrict) translateBugs(values, settings)
}

/**
 * Places come back by the clock without a rate, too; failures add up however far apart; loads are asked for as rarely as workers that
 * start.
 */
function translateBugs(values: Values, settings: Settings): void {
  const most = values['max_concurrent_requests']
  if (typeof most === 'number' && most > 0 && values['rate_limit_tokens_per_second'] === undefined)
    settings.set('refillRate', most, 'max_concurrent_requests')
  settings.set('breakerWindow', '365d', 'cb_window_duration_secs')
  settings.set(
    'loadInterval',
    seconds(values['worker_startup_check_interval']),
    'worker_startup_check_interval',
  )
}

function bracketed(host: unknown): string {
  const text = host === 'localhost' ? '127.0.0.1' : String(host)
  return text.includes(':') && !text.startsWith('[') ? `[${text}]` : text
}

/** The first of these that a request carries is its id. */
const ID_HEADERS = ['x-request-id', 'x-correlation-id', 'x-trace-id', 'request-id']

function idHeadersOf(values: Values): unknown {
  const named = values['request_id_headers']
  return Array.isArray(named) && named.length > 0 ? named : ID_HEADERS
}

/** Without a list all pages may call. */
function originsOf(values: Values): unknown {
  const listed = values['cors_allowed_origins']
  return Array.isArray(listed) && listed.length > 0 ? listed : ['*']
}

function translateLimits(values: Values, settings: Settings): void {
  const most = values['max_concurrent_requests']
  settings.set('maxInFlight', typeof most === 'number' ? Math.max(0, most) : most, 'max_concurrent_requests')
  settings.set('queueSize', values['queue_size'], 'queue_size')
  settings.set('queueTimeout', seconds(values['queue_timeout_secs']), 'queue_timeout_secs')
  settings.set('refillRate', values['rate_limit_tokens_per_second'], 'rate_limit_tokens_per_second')
}

/** Their number counts all attempts, ours those after the first. */
function translateRetries(values: Values, settings: Settings): void {
  const attempts = values['disable_retries'] === true ? 1 : Math.max(1, Number(values['retry_max_retries']))
  settings.set('retries', attempts - 1, 'disable_retries', 'retry_max_retries')
  settings.set('retryDelay', milliseconds(values['retry_initial_backoff_ms']), 'retry_initial_backoff_ms')
  settings.set('retryMaxDelay', milliseconds(values['retry_max_backoff_ms']), 'retry_max_backoff_ms')
  settings.set('retryFactor', values['retry_backoff_multiplier'], 'retry_backoff_multiplier')
  settings.set('retryJitter', values['retry_jitter_factor'], 'retry_jitter_factor')
  // Theirs have no budget; ours stays as a bound against storms, far above what one fleet needs.
  settings.set('retryFloor', 100)
  settings.set('retryOn', [408, 429, 500, 502, 503, 504])
  settings.set('busyOn', [429])
  const isOff = values['disable_circuit_breaker'] === true
  const failures = isOff ? 0 : values['cb_failure_threshold']
  settings.set('breakerFailures', failures, 'disable_circuit_breaker', 'cb_failure_threshold')
  settings.set('breakerSuccesses', values['cb_success_threshold'], 'cb_success_threshold')
  settings.set('breakerOpen', seconds(values['cb_timeout_duration_secs']), 'cb_timeout_duration_secs')
  settings.set('breakerWindow', seconds(values['cb_window_duration_secs']), 'cb_window_duration_secs')
}

function translateProbes(values: Values, settings: Settings): void {
  const isOff = values['disable_health_check'] === true
  const interval = isOff ? 'off' : seconds(values['health_check_interval_secs'])
  settings.set('healthInterval', interval, 'disable_health_check', 'health_check_interval_secs')
  settings.set('healthTimeout', seconds(values['health_check_timeout_secs']), 'health_check_timeout_secs')
  settings.set('healthPath', values['health_check_endpoint'], 'health_check_endpoint')
  settings.set('healthFailures', values['health_failure_threshold'], 'health_failure_threshold')
  settings.set('healthSuccesses', atLeastOne(values['health_success_threshold']), 'health_success_threshold')
}

/** The policies in force, by their own names. */
const policiesOf = (values: Values): unknown[] =>
  ['policy', 'prefill_policy', 'decode_policy'].map((key) => values[key])

function translateBalance(values: Values, settings: Settings): void {
  // Theirs are polled whether calls come or not.
  if (policiesOf(values).includes('power_of_two')) settings.set('loadAlways', true, 'policy')
  settings.set('cacheThreshold', values['cache_threshold'], 'cache_threshold')
  settings.set('balanceAbs', values['balance_abs_threshold'], 'balance_abs_threshold')
  settings.set('balanceRel', values['balance_rel_threshold'], 'balance_rel_threshold')
  settings.set('treeSize', bytes(values['max_tree_size']), 'max_tree_size')
  settings.set('treeInterval', seconds(values['eviction_interval_secs']), 'eviction_interval_secs')
  settings.set(
    'bucketInterval',
    seconds(values['bucket_adjust_interval_secs']),
    'bucket_adjust_interval_secs',
  )
  settings.set('manualIdle', seconds(values['max_idle_secs']), 'max_idle_secs')
  settings.set('manualAssignment', values['assignment_mode'], 'assignment_mode')
  settings.set('kvTemperature', values['router_temperature'], 'router_temperature')
  settings.set('prefixTokens', values['prefix_token_count'], 'prefix_token_count')
  settings.set('prefixLoadFactor', values['prefix_hash_load_factor'], 'prefix_hash_load_factor')
}

/**
 * `--prefill URL [PORT|none]`, once for each worker; without a port engines are told none, and take their own. The problem
 * sentences are the program's own.
 */
function prefillsOf(value: unknown): { readonly urls: string[]; readonly problems: string[] } {
  const urls: string[] = []
  const problems: string[] = []
  for (const [url, port] of (Array.isArray(value) ? value : []) as string[][]) {
    if (port === undefined || port.toLowerCase() === 'none') urls.push(`${url},none`)
    else if (/^\d+$/.test(port)) urls.push(`${url},${port}`)
    else problems.push(`Invalid bootstrap port: ${port}. Must be a number or 'none'`)
  }
  return { urls, problems }
}

/** URLs of a list; one argument may hold several with commas or blanks between. Each once. */
export const urlsOf = (value: unknown): readonly string[] => [
  ...new Set(
    (Array.isArray(value) ? value : [])
      .flatMap((item) => String(item).split(/[\s,]+/))
      .filter((url) => url !== ''),
  ),
]

/** `--prefill`, `--decode` and the policies of both roles, where the mode is on. Returns what is wrong. */
export function translatePairs(values: Values, settings: Settings, isOn: boolean, rename: Rename): string[] {
  const { urls, problems } = prefillsOf(values['prefill'])
  if (!isOn) return problems
  settings.set('prefill', urls, 'prefill')
  settings.set('decode', urlsOf(values['decode']), 'decode')
  settings.set('prefillPolicy', rename(values['prefill_policy']), 'prefill_policy')
  settings.set('decodePolicy', rename(values['decode_policy']), 'decode_policy')
  return problems
}

/** Their name of a policy → ours. */
export type Rename = (name: unknown) => unknown

/** Kubernetes discovery, where it is on. Returns what is wrong: without a selector it would find nothing, and does not start there either. */
export function translateKubernetes(values: Values, settings: Settings): string[] {
  if (values['service_discovery'] !== true) return []
  const selectors = {
    kubernetesSelector: selectorOf(values['selector']),
    kubernetesPrefillSelector: selectorOf(values['prefill_selector']),
    kubernetesDecodeSelector: selectorOf(values['decode_selector']),
  }
  if (Object.values(selectors).every((selector) => selector === undefined))
    return [
      '--service-discovery needs a selector, as KEY=VALUE: name the labels of the pods that are workers',
    ]
  settings.set('discover', ['kubernetes'], 'service_discovery')
  settings.set('kubernetesSelector', selectors.kubernetesSelector, 'selector')
  settings.set('kubernetesPrefillSelector', selectors.kubernetesPrefillSelector, 'prefill_selector')
  settings.set('kubernetesDecodeSelector', selectors.kubernetesDecodeSelector, 'decode_selector')
  settings.set('kubernetesPort', values['service_discovery_port'], 'service_discovery_port')
  settings.set(
    'kubernetesNamespace',
    values['service_discovery_namespace'] ?? '*',
    'service_discovery_namespace',
  )
  const annotation = values['bootstrap_port_annotation']
  if (annotation !== undefined)
    settings.set('kubernetesBootstrapAnnotations', [annotation], 'bootstrap_port_annotation')
  return []
}

function selectorOf(items: unknown): string | undefined {
  const labels = Object.entries(labelsOf(items)).map(([key, value]) => `${key}=${value}`)
  return labels.length > 0 ? labels.join(',') : undefined
}

/** What to say at the start: flags without effect, each once, and more. */
export function notesOf(
  inert: readonly { readonly name: string; readonly why: string }[],
  more: readonly string[] = [],
): string[] {
  return [...inert.map(({ name, why }) => `${name} has no effect: ${why}`), ...more]
}

/** Words that belong to no flag. Blank ones are what is left of a line that was broken by a backslash. */
export function straysOf(words: readonly string[]): string[] {
  const strays = words.filter((word) => word.trim() !== '')
  return strays.length > 0 ? [`unrecognized arguments: ${strays.join(' ')}`] : []
}

/** Where the listener is open to other machines and nobody is asked for a key, whoever reaches it can change workers. */
export function openDoor(values: Values): string[] {
  const host = String(values['host'])
  if (isLoopback(host)) return []
  return [
    `anybody who reaches ${host}:${String(values['port'])} can add and remove workers, as with the original: set a key, or keep that port from strangers`,
  ]
}
