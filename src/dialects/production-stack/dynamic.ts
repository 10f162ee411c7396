// The dynamic configuration of production-stack: a YAML or JSON file whose keys are its flags, and which may change while the router runs.
import { suggest } from '../../config/nearest.ts'
import type { Entry, Tree } from '../../config/tree.ts'
import type { Circumstances } from '../dialect.ts'
import { destOf, type DialectFlag, type GivenFlag } from '../flag.ts'

/**
 * Keys that are looked at while the router runs, in the order in which /health shows them. What they say there counts, whatever the flags
 * say.
 */
const WATCHED = [
  'callbacks',
  'decode_model_labels',
  'k8s_label_selector',
  'k8s_namespace',
  'k8s_port',
  'prefill_model_labels',
  'routing_logic',
  'service_discovery',
  'session_key',
  'static_aliases',
  'static_backend_health_check_interval',
  'static_backend_health_check_timeout_seconds',
  'static_backend_health_checks',
  'static_backends',
  'static_model_labels',
  'static_model_types',
  'static_models',
] as const

/** What /health shows of those that the file does not name; null for the others. */
const SHOWN: Readonly<Record<string, unknown>> = {
  static_backend_health_checks: false,
  static_backend_health_check_interval: 60,
  static_backend_health_check_timeout_seconds: 10,
}

/** Shown as lists. */
const LISTED: ReadonlySet<string> = new Set(['prefill_model_labels', 'decode_model_labels'])

export interface DynamicConfig {
  /** Values by name, as flags would give them. */
  readonly given: ReadonlyMap<string, GivenFlag>
  /** As /health shows them; null: there is no file. */
  readonly shown: Readonly<Record<string, unknown>> | null
  readonly problems: readonly string[]
  /** Name of the file. */
  readonly file: string | null
}

const NONE: DynamicConfig = { given: new Map(), shown: null, problems: [], file: null }

/** Reads the file that the flags name. What is wrong in it is told with its line and key. */
export async function readDynamic(
  values: Readonly<Record<string, unknown>>,
  table: readonly DialectFlag[],
  { readFile, parse }: Circumstances,
): Promise<DynamicConfig> {
  const names = [values['dynamic_config_yaml'], values['dynamic_config_json']].filter(isText)
  const [file] = names
  if (file === undefined) return NONE
  const wrong = (...problems: string[]): DynamicConfig => ({ ...NONE, problems, file })
  if (names.length > 1)
    return wrong('argument --dynamic-config-json: not allowed with argument --dynamic-config-yaml')
  const text = await readFile(file)
  if (text === null) return wrong(`${file}: there is no such file`)
  if (parse === undefined) return wrong(`${file}: files are not read here`)
  const { tree, issues } = parse(file, text)
  if (issues.length > 0)
    return wrong(...issues.map(({ line, column, message }) => `${file}:${line}:${column}: ${message}`))
  if (tree === null) return { ...NONE, shown: shownOf({}), file }
  if (tree.kind !== 'map')
    return wrong(`${file}:${tree.line}: expected keys like "routing_logic: roundrobin"`)
  return readEntries(tree.entries, table, file)
}

function readEntries(entries: readonly Entry[], table: readonly DialectFlag[], file: string): DynamicConfig {
  const flags = new Map(table.map((flag) => [destOf(flag), flag]))
  const given = new Map<string, GivenFlag>()
  const problems: string[] = []
  const raw: Record<string, unknown> = {}
  for (const { key, value, line } of entries) {
    const flag = flags.get(key)
    const where = `${file}:${line}`
    const tell = (problem: string) => problems.push(`${where}: ${key}: ${problem}`)
    if (!flag) {
      tell(`unknown key${suggest(key, [...flags.keys()])}`)
      continue
    }
    for (const [dest, plain] of key === 'static_models' ? modelsOf(value, tell) : [[key, value] as const]) {
      const read = valueOf(flags.get(dest) as DialectFlag, plain, tell)
      if (read === undefined || read === null) continue
      given.set(dest, { value: read, name: `${where}: ${key}` })
      raw[dest] = LISTED.has(dest) ? listed(read) : read
    }
  }
  return { given, shown: shownOf(raw), problems, file }
}

const listed = (value: unknown): unknown => (typeof value === 'string' ? value.split(',') : value)

const shownOf = (raw: Readonly<Record<string, unknown>>) =>
  Object.fromEntries(WATCHED.map((key) => [key, raw[key] ?? SHOWN[key] ?? null]))

type Plain = Tree | string

/** The form with models as keys: each has `static_backends`, and a type and a label for all of them. */
function modelsOf(tree: Tree, tell: (problem: string) => void): (readonly [string, Plain])[] {
  if (tree.kind !== 'map') return [['static_models', tree]]
  const columns: Record<string, string[]> = {
    static_backends: [],
    static_models: [],
    static_model_types: [],
    static_model_labels: [],
  }
  for (const { key: model, value } of tree.entries) {
    const fields = new Map(value.kind === 'map' ? value.entries.map((entry) => [entry.key, entry.value]) : [])
    const backends = itemsOf(fields.get('static_backends'))
    if (backends.length === 0) tell(`${model} has no static_backends`)
    const [type, label] = [
      itemsOf(fields.get('static_model_type')),
      itemsOf(fields.get('static_model_label')),
    ]
    for (const backend of backends) {
      columns['static_backends']?.push(backend)
      columns['static_models']?.push(model)
      columns['static_model_types']?.push(...type.slice(0, 1))
      columns['static_model_labels']?.push(...label.slice(0, 1))
    }
  }
  return Object.entries(columns)
    .filter(([, items]) => items.length > 0)
    .map(([name, items]) => [name, items.join(',')] as const)
}

/** A value as the flag would have it; undefined: it is none, and that was told. */
function valueOf({ kind, choices }: DialectFlag, tree: Plain, tell: (problem: string) => void): unknown {
  if (typeof tree === 'string') return tree
  if (tree.kind === 'map')
    return tree.entries.map(({ key, value }) => `${key}:${itemsOf(value)[0] ?? ''}`).join(',')
  if (tree.kind === 'list') return itemsOf(tree).join(',')
  const { value } = tree
  if (value === null) return null
  const isRight =
    kind === 'switch'
      ? typeof value === 'boolean'
      : kind === 'integer'
        ? Number.isInteger(value)
        : kind !== 'number' || typeof value === 'number'
  if (!isRight) {
    const wanted = kind === 'switch' ? 'true or false' : kind === 'integer' ? 'a whole number' : 'a number'
    tell(`expected ${wanted}, not ${JSON.stringify(value)}`)
    return undefined
  }
  if (choices && !choices.includes(String(value))) {
    tell(`${JSON.stringify(value)} is none of ${choices.join(', ')}`)
    return undefined
  }
  return kind === undefined || kind === 'text' ? String(value) : value
}

function itemsOf(tree: Tree | undefined): string[] {
  if (tree === undefined || tree.kind === 'map') return []
  if (tree.kind === 'list') return tree.items.flatMap(itemsOf)
  return tree.value === null ? [] : [String(tree.value)]
}

/** What holds: the file for keys that are watched, then the flags, then the file for the others. */
export function joinGiven(
  line: ReadonlyMap<string, GivenFlag>,
  { given }: DynamicConfig,
): ReadonlyMap<string, GivenFlag> {
  const watched: ReadonlySet<string> = new Set(WATCHED)
  const strong = [...given].filter(([dest]) => watched.has(dest))
  return new Map([...given, ...line, ...strong])
}

const isText = (value: unknown): value is string => typeof value === 'string' && value !== ''
