// Where production-stack's workers are: named by flags, or found in Kubernetes.
import { PROBE_KINDS } from '../../config/kinds.ts'
import { normalizeUrl } from '../../config/urls.ts'
import { seconds, type Settings, type Values } from '../gateway/translate.ts'

/** One row of the static lists. */
interface Row {
  readonly url: string
  readonly model: string | undefined
  readonly label: string
  readonly type: string | undefined
}

/** Who takes which part of a call, by label. */
export interface Labels {
  readonly prefill: readonly string[]
  readonly decode: readonly string[]
}

/** A list with commas between its items. */
export function listOf(value: unknown): string[] {
  if (Array.isArray(value)) return value.map(String)
  if (typeof value !== 'string') return []
  return value
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '')
}

/** The workers that flags name, with their checks and aliases. Returns what is wrong. */
export function translateStatic(values: Values, settings: Settings, labels: Labels | null): string[] {
  const problems: string[] = []
  const rows = rowsOf(values, problems)
  const isChecked = values['static_backend_health_checks'] === true
  settings.set('workers', workersOf(rows, labels, isChecked), 'static_backends')
  const aliases = aliasesOf(values['static_aliases'], new Set(rows.map(({ model }) => model ?? '')), problems)
  if (Object.keys(aliases).length > 0) settings.set('aliases', aliases, 'static_aliases')
  if (isChecked) {
    settings.set(
      'healthInterval',
      seconds(values['static_backend_health_check_interval']),
      'static_backend_health_check_interval',
    )
    settings.set(
      'healthTimeout',
      seconds(values['static_backend_health_check_timeout_seconds']),
      'static_backend_health_check_timeout_seconds',
    )
    settings.set('healthFailures', 1)
  }
  return problems
}

function rowsOf(values: Values, problems: string[]): Row[] {
  const urls = listOf(values['static_backends'])
  const column = (dest: string): string[] => listOf(values[dest])
  const [models, labels, types] = [
    column('static_models'),
    column('static_model_labels'),
    column('static_model_types'),
  ]
  if (urls.length === 0)
    problems.push(
      '--static-backends is missing: Static backends must be provided when using static service discovery.',
    )
  for (const [name, items] of [
    ['static-models', models],
    ['static-model-labels', labels],
    ['static-model-types', types],
  ] as const)
    if (items.length > 0 && items.length !== urls.length)
      problems.push(`--${name} must be as many as --static-backends: ${items.length} for ${urls.length}`)
  const isChecked = values['static_backend_health_checks'] === true
  if (isChecked && types.length === 0)
    problems.push(
      '--static-model-types is missing: Static model types must be provided when using the backend healthcheck.',
    )
  for (const type of types)
    if (!isKind(type)) problems.push(`--static-model-types: ${type} is none of ${PROBE_KINDS.join(', ')}`)
  return urls.flatMap((text, i) => {
    const url = readUrl(text, problems)
    return url === null ? [] : [{ url, model: models[i], label: labels[i] ?? 'default', type: types[i] }]
  })
}

const isKind = (type: string | undefined): boolean => PROBE_KINDS.some((one) => one === type)

function readUrl(text: string, problems: string[]): string | null {
  try {
    return normalizeUrl(text)
  } catch (error) {
    problems.push(`--static-backends: ${error instanceof Error ? error.message : String(error)}`)
    return null
  }
}

/** A URL that is named for several models is one worker that has them all; its first label counts. */
function workersOf(rows: readonly Row[], labels: Labels | null, isChecked: boolean): object[] {
  return [...Map.groupBy(rows, ({ url }) => url)].map(([url, own]) => {
    const models = [...new Set(own.flatMap(({ model }) => model ?? []))]
    const label = own[0]?.label ?? 'default'
    const probes = own.flatMap(({ model, type }) => (model && isKind(type) ? [{ model, kind: type }] : []))
    return {
      url,
      ...(models.length > 0 && { models }),
      labels: { model: label },
      // Those of a pair must be known to be of one kind before they are asked.
      ...(labels && { role: roleOf(label, labels), engine: 'vllm' }),
      ...(isChecked && probes.length > 0 && { probes }),
    }
  })
}

/** By exact name. */
function roleOf(label: string, { prefill, decode }: Labels): string {
  if (prefill.includes(label)) return 'prefill'
  return decode.includes(label) ? 'decode' : 'mixed'
}

/** `ALIAS:MODEL`; where either has a colon of its own, the model is one of those that there are. */
function aliasesOf(value: unknown, models: ReadonlySet<string>, problems: string[]): Record<string, string> {
  const aliases: Record<string, string> = {}
  for (const item of listOf(value)) {
    const parts = item.split(':')
    const ends = Array.from({ length: parts.length - 1 }, (_, at) => at + 1)
    const split = ends.find((at) => models.has(parts.slice(at).join(':'))) ?? (parts.length === 2 ? 1 : null)
    if (split === null)
      problems.push(`--static-aliases: ${item} is no ALIAS:MODEL with a model of --static-models`)
    else aliases[parts.slice(0, split).join(':')] = parts.slice(split).join(':')
  }
  return aliases
}

/** Workers in Kubernetes. */
export function translateKubernetes(values: Values, settings: Settings, labels: Labels | null): void {
  const selector = values['k8s_label_selector'] as string
  const isByName = values['k8s_service_discovery_type'] === 'service-name'
  settings.set('discover', ['kubernetes'], 'service_discovery')
  settings.set('kubernetesTarget', isByName ? 'services' : 'pods', 'k8s_service_discovery_type')
  settings.set('kubernetesPort', values['k8s_port'], 'k8s_port')
  settings.set('kubernetesNamespace', values['k8s_namespace'], 'k8s_namespace')
  settings.set('kubernetesSelector', selector === '' ? '*' : selector, 'k8s_label_selector')
  settings.set('kubernetesNotReady', 'remove')
  settings.set('kubernetesDrainSelector', 'sleeping=true')
  const among = (names: readonly string[]) =>
    [...(selector === '' ? [] : [selector]), `model in (${names.join(',')})`].join(',')
  if (labels && labels.prefill.length > 0)
    settings.set('kubernetesPrefillSelector', among(labels.prefill), 'prefill_model_labels')
  if (labels && labels.decode.length > 0)
    settings.set('kubernetesDecodeSelector', among(labels.decode), 'decode_model_labels')
  settings.set(
    'healthTimeout',
    seconds(values['backend_health_check_timeout_seconds']),
    'backend_health_check_timeout_seconds',
  )
}
