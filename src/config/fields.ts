// What flags and environment know of each key: derived from the schema, so that there is no second table (but of words, words.ts).
import type { Form } from './form.ts'
import { configSchema } from './schema.ts'

export type FieldKind =
  | 'boolean'
  | 'integer'
  | 'number'
  | 'text'
  | 'choice'
  | 'mixed'
  | 'duration'
  | 'size'
  | 'list'
  | 'map'

/** One key of the configuration as text sources see it. */
export interface Field {
  readonly key: string
  readonly kind: FieldKind
  /** As it would be written; undefined when there is none. */
  readonly initial: unknown
  readonly choices: readonly string[]
  /** Without the dashes; lists and maps are given one item at a time, so theirs is singular. */
  readonly flag: string
  /** Flag names that are understood, `flag` first. */
  readonly flags: readonly string[]
  readonly env: string
  readonly isSecret: boolean
}

const SECRETS: readonly string[] = [
  'apiKeys',
  'adminKey',
  'workerApiKey',
  'workerProbeKey',
  'tunnelTokens',
  'heartbeatToken',
  'controlKeys',
  'kubernetesToken',
]

/** All keys in the order of the schema. */
export function fields(): readonly Field[] {
  return Object.entries(configSchema.shape).map(([key, form]) => fieldOf(key, form))
}

/** Name of a key in the environment: `queueTimeout` → `FETCHWAY_QUEUE_TIMEOUT`. */
export function envName(key: string): string {
  return `FETCHWAY_${kebab(key).replaceAll('-', '_').toUpperCase()}`
}

/** Name of a key as a flag, with its dashes: `queueTimeout` → `--queue-timeout`, `apiKeys` → `--api-key`. */
export function flagName(key: string): string {
  const field = fields().find((candidate) => candidate.key === key)
  return `--${field?.flag ?? kebab(key)}`
}

function fieldOf(key: string, form: Form): Field {
  const { kind, initial, choices } = readShape(form)
  const plain = kebab(key)
  const flag = kind === 'list' || kind === 'map' ? singular(plain) : plain
  return {
    key,
    kind,
    initial,
    choices,
    flag,
    flags: flag === plain ? [flag] : [flag, plain],
    env: envName(key),
    isSecret: SECRETS.includes(key),
  }
}

type Shape = Pick<Field, 'kind' | 'initial' | 'choices'>

function readShape({ unit, definition }: Form): Shape {
  if (unit) return shape(unit)
  switch (definition.type) {
    case 'prefault':
      return { ...readShape(definition.inner), initial: definition.initial }
    case 'optional':
    case 'nullable':
      return readShape(definition.inner)
    case 'pipe':
      return readShape(definition.first)
    case 'enum':
      return { ...shape('choice'), choices: definition.values }
    default:
      return shape(KINDS[definition.type] ?? 'text')
  }
}

const KINDS: Readonly<Record<string, FieldKind>> = {
  union: 'mixed',
  array: 'list',
  record: 'map',
  boolean: 'boolean',
  number: 'number',
  int: 'integer',
}

const shape = (kind: FieldKind): Shape => ({ kind, initial: undefined, choices: [] })

const kebab = (key: string): string => key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)

const singular = (word: string): string => (word.endsWith('ses') ? word.slice(0, -2) : word.replace(/s$/, ''))
