// LMDeploy's proxy: `lmdeploy serve proxy`, its flags and environment.
import { readArguments, valuesOf } from '../argparse.ts'
import type { Circumstances, Dialect, Translation } from '../dialect.ts'
import { Settings, type Values } from '../gateway/translate.ts'
import { levelOf, setChecks, setTimeouts, setTls } from '../nodes/settings.ts'
import { Variables } from '../python/environment.ts'
import { flags } from './flags.ts'
import { surface } from './surface.ts'

export const lmdeployProxy: Dialect = {
  name: 'lmdeploy-proxy',
  about: 'LMDeploy’s proxy (lmdeploy serve proxy)',
  commands: ['proxy'],
  flags: () => flags,
  translate,
  surface,
}

/** Its rule goes by the mean alone. */
const POLICIES: Readonly<Record<string, string>> = { min_observed_latency: 'latency_based' }

const OPEN =
  'whoever reaches this port may add, remove and end nodes, with --api-keys too: as engines register there'

function translate(argv: readonly string[], by: Circumstances): Translation {
  const { given, words, problems } = readArguments(argv, flags)
  const values = valuesOf(flags, given, by.defaults)
  const variables = new Variables(by.environment)
  const settings = new Settings(given)
  const isPaired = values['serving_strategy'] === 'DistServe'
  translateServer(values, { settings, variables })
  if (!given.has('log_level') && variables.has('UVICORN_LOG_LEVEL'))
    settings.set('logLevel', levelOf(variables.text('UVICORN_LOG_LEVEL') ?? 'info'))
  translateNodes(values, settings)
  if (isPaired) {
    settings.set('pdProtocol', 'distserve', 'serving_strategy')
    // A role that has nobody is a refusal there.
    settings.set('pdStandIn', false, 'serving_strategy')
  }
  const expiration = variables.number('LMDEPLOY_CONTROLLER_HEART_BEAT_EXPIRATION') ?? 90
  setChecks(settings, { interval: expiration, timeout: 30, failures: 1 })
  setTimeouts(settings, variables.number('AIOHTTP_TIMEOUT') ?? 0)
  const strays = words.length > 0 ? [`unrecognized arguments: ${words.join(' ')}`] : []
  return {
    config: settings.config,
    options: { isPaired },
    notes: [OPEN],
    problems: [...problems, ...strays, ...variables.problems],
  }
}

function translateServer(
  values: Values,
  { settings, variables }: { readonly settings: Settings; readonly variables: Variables },
): void {
  const host = values['server_name']
  const keys = values['api_keys'] as readonly string[]
  settings.set('host', host === 'localhost' ? '127.0.0.1' : host, 'server_name')
  settings.set('port', values['server_port'], 'server_port')
  settings.set('logLevel', levelOf(values['log_level'] as string), 'log_level')
  if (keys.length > 0) {
    settings.set('apiKeys', keys, 'api_keys')
    settings.set('adminKey', keys[0], 'api_keys')
  }
  if (values['ssl'] === true) setTls(settings, variables)
  settings.set('corsOrigins', ['*'])
}

function translateNodes(values: Values, settings: Settings): void {
  const strategy = values['routing_strategy'] as string
  settings.set('policy', POLICIES[strategy] ?? strategy, 'routing_strategy')
  settings.set('migrationProtocol', values['migration_protocol'], 'migration_protocol')
  settings.set('linkType', values['link_type'], 'link_type')
  settings.set('withGdr', values['gdr'], 'gdr')
  settings.set('dummyPrefill', values['dummy_prefill'], 'dummy_prefill')
  if (values['disable_cache_status'] === true) {
    settings.set('state', 'off', 'disable_cache_status')
    return
  }
  settings.set('state', values['config_path'] ?? '.fetchway/proxy_config.json', 'config_path')
  settings.set('stateFormat', 'nodes')
}
