// The vLLM router: `vllm-router`, its endpoints and its habits.
import { readArguments, valuesOf } from '../argparse.ts'
import type { Circumstances, Dialect, Translation } from '../dialect.ts'
import type { Environment } from '../../config/environment.ts'
import type { GivenFlag } from '../flag.ts'
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
import { ofBackend, readEncoders, splitPrefills, translateKv, workersOf } from './workers.ts'

/** Its names for policies whose rule has another name here. */
const POLICIES: Readonly<Record<string, string>> = { consistent_hash: 'vllm_consistent_hash' }

/** Flags that only the other program of that name has, production-stack's. */
const OTHERS =
  /^--(?:static-[\w-]+|k8s-[\w-]+|lmcache-[\w-]+|dynamic-config-\w+|routing-logic|session-key|external-providers-config|engine-stats-interval|request-stats-window|log-stats|feature-gates|callbacks|enable-batch-api)(?:=|$)/

export const vllmRouter: Dialect = {
  name: 'vllm-router',
  about: 'the vLLM router (vllm-router, ./target/release/vllm-router)',
  dotenv: ['.env'],
  flags: () => flags,
  meant: (argv) => (isOther(argv) ? 'production-stack' : undefined),
  translate,
  surface,
}

/** A bare `--service-discovery` is a switch here; with a value it is production-stack's. */
function isOther(argv: readonly string[]): boolean {
  return argv.some((word, at) => {
    if (OTHERS.test(word) || word.startsWith('--service-discovery=')) return true
    const next = argv[at + 1]
    return word === '--service-discovery' && next !== undefined && next.trim() !== '' && !next.startsWith('-')
  })
}

async function translate(
  argv: readonly string[],
  { environment, defaults, isStrict, readFile }: Circumstances,
): Promise<Translation> {
  // What `cargo run` has between its own flags and the program's.
  const { given, words, problems, inert } = readArguments(argv[0] === '--' ? argv.slice(1) : argv, flags)
  const values = valuesOf(flags, given, defaults)
  const settings = new Settings(given)
  translateShared(values, settings, isStrict)
  translateFleet(values, settings)
  translateKv(values, settings)
  settings.set('apiKeyValidationUrls', validators(given, environment), 'api_key_validation_urls')
  settings.set('cacheAwareVariant', 'release', 'policy')
  settings.set('kubernetesNotReady', 'remove')
  const found = translateKubernetes(values, settings)
  const isPaired = values['vllm_pd_disaggregation'] === true
  const { plain, told } = splitPrefills(values)
  const pairs = translatePairs({ ...values, prefill: plain }, settings, isPaired, policyOf)
  const workers = ofBackend([...workersOf(values), ...(isPaired ? told : [])], values['backend'])
  settings.set('workers', workers, 'worker_urls', 'pd_kv_events')
  if (values['backend'] === 'openai') settings.set('healthInterval', 'off', 'backend')
  if (values['profile'] === true) settings.set('profile', 'vllm-router.cpuprofile', 'profile')
  const encoders = await readEncoders(values['epd_config'], readFile)
  if (isPaired) {
    const address = values['vllm_discovery_address']
    settings.set('pdProtocol', protocolOf(values), 'kv_connector', 'vllm_discovery_address')
    settings.set('heartbeatListen', address && `tcp://${String(address as string)}`, 'vllm_discovery_address')
  }
  return {
    config: settings.config,
    flagOf: settings.flagOf,
    options: { ...optionsOf(values), ...(encoders.urls.length > 0 && { encoders: encoders.urls }) },
    notes: notesOf(inert, openDoor(values)),
    problems: [...problems, ...straysOf(words), ...pairs, ...found, ...encoders.problems],
  }
}

function translateFleet(values: Values, settings: Settings): void {
  const ranks = Number(values['intra_node_data_parallel_size'])
  settings.set('policy', policyOf(values['policy']), 'policy')
  settings.set('models', values['enable_igw'] === true ? 'check' : 'ignore', 'enable_igw')
  settings.set('ranks', ranks > 1 ? ranks : undefined, 'intra_node_data_parallel_size')
  settings.set('workerApiKey', values['api_key'], 'api_key')
  // The whole key is made where the session is found.
  settings.set('vllmKeyPrefix', '')
  settings.set('stickyIdle', '2h')
  settings.set('state', 'off')
}

const policyOf = (name: unknown): unknown => POLICIES[String(name)] ?? name

/** Workers that register over ZMQ speak P2P/NCCL, or MoRI-IO where that is named. */
function protocolOf(values: Values): unknown {
  const connector = values['kv_connector']
  return values['vllm_discovery_address'] !== undefined && connector === 'nixl' ? 'p2p' : connector
}

/** The flag before the variable (which `.env` may hold). */
function validators(given: ReadonlyMap<string, GivenFlag>, environment: Environment): unknown {
  const flag = given.get('api_key_validation_urls')?.value
  const urls = urlsOf(flag ?? [environment['API_KEY_VALIDATION_URLS'] ?? ''])
  return urls.length > 0 ? urls : undefined
}

/** What the endpoints go by. */
function optionsOf(values: Values): Record<string, unknown> {
  return {
    startupTimeout: values['worker_startup_timeout_secs'],
    checkInterval: values['worker_startup_check_interval'],
    hasModels: values['enable_igw'] === true,
    isPaired: values['vllm_pd_disaggregation'] === true,
    policy: values['policy'],
    ...traceRules(values, 'vllm-router'),
    prefillPolicy: values['prefill_policy'],
    decodePolicy: values['decode_policy'],
    ...(values['vllm_discovery_address'] !== undefined && { discovery: values['vllm_discovery_address'] }),
  }
}
