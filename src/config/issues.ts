// What is wrong with a configuration: each finding names the key, where it was written, and what to do.
import type { Finding as Fault, Path } from './form-core.ts'
import { suggest } from './nearest.ts'

export type SourceKind = 'flag' | 'env' | 'dotenv' | 'file' | 'default'

/** Where a value was written. Lines and columns count from 1. */
export interface Place {
  readonly source: SourceKind
  /** The flag with its dashes, the name of the variable, or the key in the file. */
  readonly name: string
  readonly file?: string
  readonly line?: number
  readonly column?: number
}

export interface ConfigIssue extends Place {
  /** What is wrong and what to write instead. Holds no secret. */
  readonly message: string
  /** The key, with a path into it where there is one: `workers[1].url`. */
  readonly key: string
}

export type { Path } from './form-core.ts'

/** A value of one key from one source. `at` finds where a part of it was written. */
export interface Given {
  readonly value: unknown
  at(path: Path): Place
}

/** One line for a person: `fetchway.yaml:3:7: port: …`, `--port: …`, `FETCHWAY_PORT: …`. */
export function formatIssue(issue: ConfigIssue): string {
  const where =
    issue.file === undefined
      ? ''
      : `${[issue.file, issue.line, issue.column].filter((part) => part !== undefined).join(':')}: `
  if (issue.source === 'file' || issue.source === 'default')
    return `${where}${issue.key === '' ? '' : `${issue.key}: `}${issue.message}`
  return `${where}${issue.name === '' ? '' : `${issue.name}: `}${issue.message}`
}

/** `workers[1].url` of a path. */
export function formatPath(path: Path): string {
  return path
    .map((part, at) =>
      typeof part === 'number' ? `[${part}]` : at === 0 ? String(part) : `.${String(part)}`,
    )
    .join('')
}

type Finding = { readonly path: Path; readonly message: string }

/**
 * Findings of the schema in words.
 * @param known keys that may be written at a path, for "did you mean"
 */
export function explain(
  issues: readonly Fault[],
  input: unknown,
  known: (path: Path) => readonly string[],
): Finding[] {
  return issues.flatMap((issue) => explainOne(issue, input, known))
}

function explainOne(issue: Fault, input: unknown, known: (path: Path) => readonly string[]): Finding[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({
      path: [...issue.path, key],
      message: `unknown key${suggest(key, known(issue.path))}`,
    }))
  }
  if (issue.code === 'invalid_union') return explainUnion(issue, input, known)
  const value = valueAt(input, issue.path)
  return [{ path: issue.path, message: sentence(issue, value, isSecretPath(issue.path)) }]
}

/** A value may have several forms; the one that it was meant to have is the one whose outer type fits. */
function explainUnion(
  issue: Fault & { code: 'invalid_union' },
  input: unknown,
  known: (path: Path) => readonly string[],
): Finding[] {
  const meant = issue.errors.find(
    (branch) => !branch.some((inner) => inner.path.length === 0 && inner.code === 'invalid_type'),
  )
  const onlyWord = meant?.length === 1 && meant[0]?.code === 'invalid_value'
  if (meant && !onlyWord) {
    return meant.flatMap((inner) =>
      explainOne({ ...inner, path: [...issue.path, ...inner.path] } as Fault, input, known),
    )
  }
  const forms = issue.errors.map((branch) => (branch[0] ? form(branch[0]) : '')).filter((text) => text !== '')
  const value = valueAt(input, issue.path)
  return [
    { path: issue.path, message: `expected ${forms.join(' or ')}${got(value, isSecretPath(issue.path))}` },
  ]
}

function sentence(issue: Fault, value: unknown, isSecret: boolean): string {
  if (issue.code === 'invalid_type')
    return value === undefined
      ? 'is missing'
      : `expected ${form(issue)}${got(value, isSecret)}${typeHint(issue.expected, value)}`
  if (issue.code === 'invalid_value')
    return `expected ${form(issue)}${got(value, isSecret)}${suggest(String(value), issue.values.map(String))}`
  if (issue.code === 'too_small')
    return `must be ${!issue.isInclusive ? 'more than' : 'at least'} ${issue.limit}${got(value, isSecret)}`
  if (issue.code === 'too_big')
    return `must be ${!issue.isInclusive ? 'less than' : 'at most'} ${issue.limit}${got(value, isSecret)}`
  return issue.message
}

const FORMS: Readonly<Record<string, string>> = {
  int: 'a whole number',
  number: 'a number',
  string: 'text',
  boolean: 'true or false',
  array: 'a list',
  object: 'an object with keys',
  record: 'an object of names and values',
}

function form(issue: Fault): string {
  if (issue.code === 'invalid_type') return FORMS[issue.expected] ?? issue.expected
  if (issue.code !== 'invalid_value') return ''
  const words = issue.values.map(String)
  return words.length === 1 ? (words[0] ?? '') : `one of ${words.join(', ')}`
}

function typeHint(expected: string, value: unknown): string {
  if (expected === 'string' && (typeof value === 'number' || typeof value === 'boolean'))
    return '; put it in quotes'
  if (
    (expected === 'number' || expected === 'int') &&
    typeof value === 'string' &&
    value.trim() !== '' &&
    Number.isFinite(Number(value))
  )
    return '; write it without quotes'
  if (expected === 'array') return '; write [a, b] or one "- item" a line'
  return ''
}

function got(value: unknown, isSecret: boolean): string {
  if (value === undefined || isSecret) return ''
  const text = JSON.stringify(value)
  return `, got ${text.length > 60 ? `${text.slice(0, 57)}…` : text}`
}

function isSecretPath(path: Path): boolean {
  return path.some((part) => typeof part === 'string' && /key|^token$|^tunnelTokens$|^headers$/i.test(part))
}

function valueAt(input: unknown, path: Path): unknown {
  let value = input
  for (const part of path) {
    if (typeof value !== 'object' || value === null) return undefined
    value = (value as Record<PropertyKey, unknown>)[part]
  }
  return value
}
