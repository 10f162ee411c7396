// DLRouter: `python -m dlrouter`, its flags and environment.
import type { ConfigInput } from '../../config/schema.ts'
import { readArguments, valuesOf } from '../argparse.ts'
import type { Circumstances, Dialect, Translation } from '../dialect.ts'
import { Settings, type Values } from '../gateway/translate.ts'
import { levelOf, setChecks, setTimeouts, setTls } from '../nodes/settings.ts'
import { Variables } from '../python/environment.ts'
import { backendOf, flagsFor } from './flags.ts'
import { fleetOf } from './fleet.ts'
import { surface } from './surface.ts'

export const dlrouter: Dialect = {
  name: 'dlrouter',
  about: 'DLRouter (python -m dlrouter)',
  flags: flagsFor,
  translate,
  surface,
}

/** Their names for policies whose rule has another name here. */
const POLICIES: Readonly<Record<string, string>> = {
  consistent_hash: 'dlrouter_consistent_hash',
  prefix_cache: 'dlrouter_prefix_cache',
}

const NO_DLENGINE =
  'argument --backend: dlengine is not spoken here: its nodes are listed by a NanoCtrl server that Fetchway does not ask; use vllm, sglang or lmdeploy, or add the nodes with POST /nodes/add'

function translate(argv: readonly string[], by: Circumstances): Translation {
  const table = flagsFor(argv)
  const backend = backendOf(argv)
  const { given, words, problems } = readArguments(argv, table)
  const values = valuesOf(table, given, by.defaults)
  const variables = new Variables(by.environment)
  const settings = new Settings(given)
  const fleet = fleetOf(values, backend)
  translateServer(values, { settings, variables }, given.has('log_level'))
  translateHealth({ settings, variables })
  translateNodes(values, settings)
  // Of pairs of vLLM alone, as there.
  if (backend === 'vllm' && values['serving_strategy'] === 'distserve')
    settings.set('workerApiKey', variables.text('OPENAI_API_KEY'))
  for (const [key, value, dest] of fleet.config) settings.set(key, value, dest)
  const keys = keysOf(values)
  const strays = words.length > 0 ? [`unrecognized arguments: ${words.join(' ')}`] : []
  return {
    config: settings.config,
    options: {
      strategy: values['routing_strategy'],
      ...(values['serving_strategy'] === 'distserve' && { engine: backend }),
    },
    notes: keys.length > 0 ? [] : [OPEN],
    problems: [
      ...(backend === 'dlengine' ? [NO_DLENGINE] : []),
      ...problems,
      ...strays,
      ...fleet.problems,
      ...variables.problems,
    ],
  }
}

const OPEN = 'whoever reaches this port may add, remove and end nodes: set --api_keys'

const keysOf = (values: Values): string[] =>
  String((values['api_keys'] as string | undefined) ?? '')
    .split(',')
    .map((key) => key.trim())
    .filter((key) => key !== '')

type By = { readonly settings: Settings; readonly variables: Variables }

function translateServer(values: Values, { settings, variables }: By, hasLevel: boolean): void {
  const keys = keysOf(values)
  const host = values['server_name']
  settings.set('host', host === 'localhost' ? '127.0.0.1' : host, 'server_name')
  settings.set('port', values['server_port'], 'server_port')
  settings.set('threads', values['workers'], 'workers')
  const uvicorn = variables.text('UVICORN_LOG_LEVEL')
  const level = hasLevel ? (values['log_level'] as string) : (uvicorn ?? 'info')
  settings.set('logLevel', levelOf(level), 'log_level')
  if (keys.length > 0) {
    settings.set('apiKeys', keys, 'api_keys')
    settings.set('adminKey', keys[0], 'api_keys')
  }
  if (values['ssl'] === true) setTls(settings, variables)
  settings.set('corsOrigins', ['*'])
}

function translateHealth({ settings, variables }: By): void {
  const seconds = (name: string, initial: number) => variables.number(name, { least: 0 }) ?? initial
  setChecks(settings, {
    interval: seconds('DLROUTER_HEARTBEAT_EXPIRATION', 90),
    timeout: seconds('DLROUTER_HEALTH_CHECK_TIMEOUT', 30),
    failures: variables.number('DLROUTER_HEALTH_CHECK_MAX_FAILURES', { least: 1, isWhole: true }) ?? 3,
  })
  setTimeouts(settings, seconds('DLROUTER_AIOHTTP_TIMEOUT', 1800))
}

function translateNodes(values: Values, settings: Settings): void {
  const strategy = String(values['routing_strategy'] as string)
  settings.set('policy', POLICIES[strategy] ?? strategy, 'routing_strategy')
  if (values['disable_cache_status'] === true) {
    settings.set('state', 'off', 'disable_cache_status')
    return
  }
  settings.set('state', values['config_path'] ?? '.fetchway/router_config.json', 'config_path')
  settings.set('stateFormat', 'nodes' satisfies ConfigInput['stateFormat'])
}
