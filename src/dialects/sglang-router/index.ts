// The SGLang router: `python -m sglang_router.launch_router`, its endpoints and its habits.
import { readArguments, valuesOf } from '../argparse.ts'
import type { Circumstances, Dialect, Translation } from '../dialect.ts'
import type { GivenFlag } from '../flag.ts'
import { translateSecurity } from '../gateway/security.ts'
import {
  notesOf,
  openDoor,
  Settings,
  straysOf,
  translateKubernetes,
  translatePairs,
  translateShared,
  urlsOf,
  type Values,
} from '../gateway/translate.ts'
import { traceRules } from '../gateway/traces.ts'
import { flags } from './flags.ts'
import { surface } from './surface.ts'

/** Their names for policies whose rule has another name here. */
const POLICIES: Readonly<Record<string, string>> = { consistent_hashing: 'sglang_consistent_hashing' }

export const sglangRouter: Dialect = {
  name: 'sglang-router',
  about: 'the SGLang router (python -m sglang_router.launch_router)',
  commands: ['launch', 'sglang_router.launch_router'],
  flags: () => flags,
  meant: ([first]) => (first === 'server' ? 'sglang-launch-server' : undefined),
  translate,
  surface,
}

function translate(argv: readonly string[], circumstances: Circumstances): Translation {
  const { given, words, problems, inert } = readArguments(argv, flags)
  const values = valuesOf(flags, given, circumstances.defaults)
  const { options, problems: more, ...translated } = translateValues(values, given, circumstances)
  return {
    ...translated,
    options,
    notes: notesOf(inert, values['api_key'] === undefined ? openDoor(values) : []),
    problems: [...problems, ...straysOf(words), ...more],
  }
}

/** The values of its flags as a configuration; `given`: which flag said each. */
export function translateValues(
  values: Values,
  given: ReadonlyMap<string, GivenFlag>,
  { defaults, isStrict }: Pick<Circumstances, 'defaults' | 'isStrict'>,
): Pick<Translation, 'config' | 'flagOf'> & {
  readonly options: Record<string, unknown>
  readonly problems: string[]
} {
  const settings = new Settings(given)
  translateShared(values, settings, isStrict)
  if (isStrict) settings.set('breakerClientErrors', true)
  translateSecurity(values, settings)
  translateFleet(values, settings)
  settings.set('cacheAwareVariant', defaults, 'policy')
  settings.set('breakerProbes', true)
  const isPaired = values['pd_disaggregation'] === true
  // Whatever its workers say of themselves.
  if (isPaired) settings.set('pdProtocol', 'sglang')
  const problems = [
    ...translatePairs(values, settings, isPaired, policyOf),
    ...translateKubernetes(values, settings),
  ]
  return { config: settings.config, flagOf: settings.flagOf, options: optionsOf(values), problems }
}

function translateFleet(values: Values, settings: Settings): void {
  const key = values['api_key']
  const urls = urlsOf(values['worker_urls'])
  // Servers that are no engine have nothing to tell, and no /health.
  const isOpenAi = values['backend'] === 'openai'
  const workers = isOpenAi ? urls.map((url) => ({ url, engine: 'unknown' })) : urls
  settings.set('workers', workers, 'worker_urls')
  if (isOpenAi) settings.set('healthInterval', 'off', 'backend')
  settings.set('policy', policyOf(values['policy']), 'policy')
  settings.set('models', values['enable_igw'] === true ? 'check' : 'ignore', 'enable_igw')
  settings.set('ranks', values['dp_aware'] === true ? 'ask' : undefined, 'dp_aware')
  settings.set('apiKeys', key === undefined ? undefined : [key], 'api_key')
  // Keys with roles and tokens open the control plane in place of the plain key.
  const hasRoles =
    values['jwt_issuer'] !== undefined || (values['control_plane_api_keys'] as unknown[]).length > 0
  if (!hasRoles) settings.set('adminKey', key, 'api_key')
  settings.set('workerApiKey', key, 'api_key')
  settings.set('state', 'off')
}

const policyOf = (name: unknown): unknown => POLICIES[String(name)] ?? name

/** What the endpoints go by. */
function optionsOf(values: Values): Record<string, unknown> {
  return {
    startupTimeout: values['worker_startup_timeout_secs'],
    checkInterval: values['worker_startup_check_interval'],
    hasModels: values['enable_igw'] === true,
    isPaired: values['pd_disaggregation'] === true,
    policy: values['policy'],
    ...traceRules(values, 'sglang-router'),
    prefillPolicy: values['prefill_policy'],
    decodePolicy: values['decode_policy'],
    backend: values['backend'],
  }
}
