// The SGLang router: `python -m sglang_router.launch_router`, its endpoints and its habits.
import { readArguments, valuesOf } from '../argparse.ts'
import type { Circumstances, Dialect, Translation } from '../dialect.ts'
import { labelsOf, prefillsOf, Settings, translateShared, type Values } from '../gateway/translate.ts'
import { flags } from './flags.ts'
import { surface } from './surface.ts'

/** Their names for policies whose rule has another name here. */
const POLICIES: Readonly<Record<string, string>> = { consistent_hashing: 'sglang_consistent_hashing' }

export const sglangRouter: Dialect = {
  name: 'sglang-router',
  about: 'the SGLang router (python -m sglang_router.launch_router)',
  commands: ['launch', 'sglang_router.launch_router'],
  flags: () => flags,
  translate,
  surface,
}

function translate(argv: readonly string[], { defaults }: Circumstances): Translation {
  const { given, words, problems, inert } = readArguments(argv, flags)
  const values = valuesOf(flags, given, defaults)
  const settings = new Settings(given)
  translateShared(values, settings)
  const prefills = prefillsOf(values['prefill'])
  translateFleet(values, settings, prefills.urls)
  settings.set('cacheAwareVariant', defaults, 'policy')
  const strays = words.length > 0 ? [`unrecognized arguments: ${words.join(' ')}`] : []
  return {
    config: settings.config,
    options: optionsOf(values),
    notes: inert.map(({ name, why }) => `${name} has no effect: ${why}`),
    problems: [...problems, ...strays, ...prefills.problems],
  }
}

function translateFleet(values: Values, settings: Settings, prefills: readonly string[]): void {
  const key = values['api_key']
  settings.set('workers', urlsOf(values['worker_urls']), 'worker_urls')
  if (values['pd_disaggregation'] === true) {
    settings.set('prefill', prefills, 'prefill')
    settings.set('decode', values['decode'] ?? [], 'decode')
  }
  settings.set('policy', policyOf(values['policy']), 'policy')
  settings.set('models', values['enable_igw'] === true ? 'check' : 'ignore', 'enable_igw')
  settings.set('ranks', values['dp_aware'] === true ? 'ask' : undefined, 'dp_aware')
  settings.set('apiKeys', key === undefined ? undefined : [key], 'api_key')
  settings.set('adminKey', key, 'api_key')
  settings.set('workerApiKey', key, 'api_key')
  settings.set('tlsCert', values['tls_cert_path'], 'tls_cert_path')
  settings.set('tlsKey', values['tls_key_path'], 'tls_key_path')
  settings.set('state', 'off')
}

const policyOf = (name: unknown): unknown => POLICIES[String(name)] ?? name

const urlsOf = (value: unknown): readonly string[] =>
  (Array.isArray(value) ? value : [])
    .flatMap((item) => String(item).split(/[\s,]+/))
    .filter((url) => url !== '')

/** What the endpoints go by. */
function optionsOf(values: Values): Record<string, unknown> {
  return {
    startupTimeout: values['worker_startup_timeout_secs'],
    hasModels: values['enable_igw'] === true,
    isDisaggregated: values['pd_disaggregation'] === true,
    selector: labelsOf(values['selector']),
  }
}
