// vLLM production-stack's router: `vllm-router` (`python -m vllm_router.app`), its flags and its files.
import { isLoopback } from '../../config/urls.ts'
import { readArguments, valuesOf } from '../argparse.ts'
import type { Circumstances, Dialect, Translation } from '../dialect.ts'
import { notesOf, seconds, Settings, straysOf, type Values } from '../gateway/translate.ts'
import { levelOf } from '../nodes/settings.ts'
import { translateAround } from './around.ts'
import { joinGiven, readDynamic, type DynamicConfig } from './dynamic.ts'
import { flags } from './flags.ts'
import { listOf, translateKubernetes, translateStatic, type Labels } from './fleet.ts'
import type { LiveOptions, Options } from './options.ts'
import { surface } from './lasting.ts'
import { tracing } from './tracing.ts'

export const productionStack: Dialect = {
  name: 'production-stack',
  about: 'the router of vLLM production-stack (vllm-router, python -m vllm_router.app)',
  flags: () => flags,
  translate,
  surface,
}

/** Their names for policies, and ours. */
const POLICIES: Readonly<Record<string, string>> = {
  roundrobin: 'production_stack_roundrobin',
  session: 'production_stack_session',
  prefixaware: 'production_stack_prefixaware',
  kvaware: 'production_stack_kvaware',
  disaggregated_prefill: 'round_robin',
  disaggregated_prefill_orchestrated: 'round_robin',
}

/** How the KV cache of a pair is handed over. */
const PROTOCOLS: Readonly<Record<string, string>> = {
  disaggregated_prefill: 'plain',
  disaggregated_prefill_orchestrated: 'orchestrated',
}

async function translate(argv: readonly string[], by: Circumstances): Promise<Translation> {
  const line = readArguments(argv, flags)
  const dynamic = await readDynamic(valuesOf(flags, line.given, by.defaults), flags, by)
  const given = joinGiven(line.given, dynamic)
  const values = valuesOf(flags, given, by.defaults)
  const settings = new Settings(given)
  translateServer(values, settings)
  const routing = translateRouting(values, settings)
  const found = translateDiscovery(values, settings, routing.labels)
  const around = await translateAround(values, settings, { by, given })
  const key = by.environment['VLLM_API_KEY']
  if (key !== undefined && key !== '') settings.set('workerProbeKey', key)
  return {
    config: settings.config,
    flagOf: settings.flagOf,
    options: { ...optionsOf(values, liveOf(values, dynamic)), ...tracing(values) },
    notes: [...notesOf(line.inert, openDoor(values)), ...around.notes],
    problems: [
      ...line.problems,
      ...straysOf(line.words),
      ...dynamic.problems,
      // What is missing may be what could not be read.
      ...(line.problems.length + dynamic.problems.length > 0
        ? []
        : [...found, ...routing.problems, ...around.problems, ...wrongRanges(values)]),
    ],
    ...(dynamic.file !== null && { watched: [dynamic.file] }),
  }
}

function liveOf(values: Values, { shown }: DynamicConfig): LiveOptions {
  const sessionKey = values['session_key'] as string | undefined
  return {
    discovery: isExternal(values)
      ? 'external-only'
      : (values['service_discovery'] as LiveOptions['discovery']),
    isChecked: values['static_backend_health_checks'] === true,
    routing: (values['routing_logic'] as string | undefined) ?? '',
    ...(sessionKey && { sessionKey }),
    ...(shown && { dynamic: shown }),
  }
}

function translateServer(values: Values, settings: Settings): void {
  const host = values['host']
  settings.set('host', host === 'localhost' ? '127.0.0.1' : host, 'host')
  settings.set('port', values['port'], 'port')
  settings.set('logLevel', levelOf(String(values['log_level'])), 'log_level')
  settings.set('logFormat', values['log_format'] === 'json' ? 'json' : 'pretty', 'log_format')
  settings.set(
    'retries',
    values['max_instance_failover_reroute_attempts'],
    'max_instance_failover_reroute_attempts',
  )
  settings.set('loadInterval', seconds(values['engine_stats_interval']), 'engine_stats_interval')
  settings.set('loadAlways', true)
  // There every call tries: one that is back is not kept waiting for half a minute.
  settings.set('breakerOpen', '5s')
  settings.set('state', 'off')
  const keeps = values['enable_batch_api'] === true
  settings.set('batches', keeps, 'enable_batch_api')
  if (keeps) settings.set('batchStore', values['file_storage_path'], 'file_storage_path')
  // An engine may take as long as it likes there.
  for (const key of ['firstTokenTimeout', 'idleTimeout']) settings.set(key, 'off')
}

/** Where the listener is open to other machines. */
function openDoor(values: Values): string[] {
  const host = String(values['host'] as string)
  if (isLoopback(host)) return []
  return [
    `anybody who reaches ${host}:${String(values['port'] as number)} may put engines to sleep, as with the original: keep that port from strangers`,
  ]
}

interface Routing {
  readonly labels: Labels | null
  readonly problems: readonly string[]
}

function translateRouting(values: Values, settings: Settings): Routing {
  const logic = values['routing_logic'] as string | undefined
  if (logic === undefined)
    return isExternal(values)
      ? { labels: null, problems: [] }
      : { labels: null, problems: ['the following arguments are required: --routing-logic'] }
  settings.set('policy', POLICIES[logic], 'routing_logic')
  settings.set('kvAwareThreshold', values['kv_aware_threshold'], 'kv_aware_threshold')
  settings.set('prefixMinMatch', values['prefix_min_match_length'], 'prefix_min_match_length')
  const problems =
    logic === 'session' && !values['session_key']
      ? ['--session-key is missing: Session key must be provided when using session routing logic.']
      : []
  const protocol = PROTOCOLS[logic]
  if (protocol === undefined) return { labels: null, problems }
  const labels = {
    prefill: listOf(values['prefill_model_labels']),
    decode: listOf(values['decode_model_labels']),
  }
  settings.set('pdProtocol', protocol, 'routing_logic')
  settings.set('pdStandIn', false)
  for (const role of ['prefill', 'decode'] as const)
    if (labels[role].length === 0) problems.push(`--routing-logic ${logic} needs --${role}-model-labels`)
  return { labels, problems }
}

const isExternal = (values: Values): boolean =>
  values['service_discovery'] === 'external-only' ||
  (values['service_discovery'] === undefined && values['external_providers_config'] !== undefined)

function translateDiscovery(values: Values, settings: Settings, labels: Labels | null): string[] {
  const kind = values['service_discovery']
  if (kind === 'static') return translateStatic(values, settings, labels)
  if (kind === 'k8s') translateKubernetes(values, settings, labels)
  return kind === undefined && !isExternal(values)
    ? ['the following arguments are required: --service-discovery']
    : []
}

/** Numbers that must be positive, and shares. */
function wrongRanges(values: Values): string[] {
  const positive = ['engine_stats_interval', 'request_stats_window', 'log_stats_interval']
  const counts = ['max_instance_failover_reroute_attempts', 'prefix_min_match_length', 'kv_aware_threshold']
  const shares = [
    'sentry_traces_sample_rate',
    'sentry_profile_session_sample_rate',
    'semantic_cache_threshold',
  ]
  const wrong = (names: readonly string[], isGood: (value: number) => boolean, what: string) =>
    names
      .filter((name) => !isGood(Number(values[name])))
      .map((name) => `argument --${name.replaceAll('_', '-')}: must be ${what}`)
  return [
    ...wrong(positive, (value) => value > 0, 'greater than 0'),
    ...wrong(counts, (value) => value >= 0, '0 or more'),
    ...wrong(shares, (value) => value >= 0 && value <= 1, 'between 0 and 1'),
  ]
}

function optionsOf(values: Values, live: LiveOptions): Options {
  const number = (dest: string) => Number(values[dest])
  const [reply, heartbeat] = [
    values['lmcache_controller_reply_port'] as number | undefined,
    values['lmcache_controller_heartbeat_port'] as number | undefined,
  ]
  return {
    rootPath: String(values['root_path']).replace(/\/+$/, ''),
    requestStatsWindow: number('request_stats_window'),
    logStats: values['log_stats'] === true,
    logStatsInterval: number('log_stats_interval'),
    hasBatchApi: values['enable_batch_api'] === true,
    lmcache: {
      port: number('lmcache_controller_port'),
      ...(reply !== undefined && { replyPort: reply }),
      ...(heartbeat !== undefined && { heartbeatPort: heartbeat }),
      workerTimeout: number('lmcache_worker_timeout'),
    },
    kvAwareThreshold: number('kv_aware_threshold'),
    live,
  }
}
