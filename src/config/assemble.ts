// From what was written in several places to the one frozen configuration, or to all that is wrong with it.
import { findConflicts, type Check } from './combinations.ts'
import { readEnvironment, type Environment, type Variables } from './environment.ts'
import { fields as allFields, type Field } from './fields.ts'
import { explain, formatPath, type ConfigIssue, type Given, type Path, type Place } from './issues.ts'
import { suggest } from './nearest.ts'
import { configSchema, workerSchema, type Config } from './schema.ts'
import { readTree, type FileValues, type ParsedFile } from './tree.ts'

/** What a configuration is made from on every runtime, strongest first. */
export interface Everywhere {
  readonly environment?: Environment
  readonly file?: ParsedFile | null
  /** What `${NAME}` in the file may name; without it the environment. */
  readonly variables?: Environment
}

/** What programs have besides, which are started from a command line and listen by themselves. */
export interface OfProgram {
  /** Beat the environment, the strongest first. */
  readonly stronger: readonly Layer[]
  /** Beats the file. */
  readonly dotenv: Variables
  /** Beat nothing but the defaults. */
  readonly presets: readonly Layer[]
  readonly issues: readonly ConfigIssue[]
  readonly checks: readonly Check[]
}

export type Loaded =
  | {
      readonly config: Config
      readonly origins: Origins
      readonly issues: readonly []
      /** Worth a line at the start, and no reason not to start. */
      readonly warnings: readonly ConfigIssue[]
    }
  | { readonly config: null; readonly issues: readonly ConfigIssue[] }

/** Where the value of each key was written; keys that are missing have their default. */
export type Origins = Readonly<Partial<Record<keyof Config, Place>>>

/** Values of keys from one source. */
export type Layer = ReadonlyMap<string, Given>

/** A key is taken whole from the strongest source that has it. Finds all issues rather than the first. */
export function assemble(sources: Everywhere, program: OfProgram = NONE): Loaded {
  const fields = allFields()
  const environment = readEnvironment(sources.environment ?? {}, fields)
  const { dotenv } = program
  const file = sources.file
    ? readTree(sources.file, fields, sources.variables ?? sources.environment ?? {})
    : NO_FILE
  const layers = [...program.stronger, environment.given, dotenv.given, file.given, ...program.presets]
  const issues = [
    ...program.issues,
    ...environment.issues,
    ...dotenv.issues,
    ...file.issues,
    ...unknownKeys(file, sources, fields),
  ]
  const chosen = choose(layers, fields, issues)
  const input = Object.fromEntries([...chosen].map(([key, given]) => [key, given.value]))
  const parsed = configSchema.safeParse(input)
  if (!parsed.success) {
    const findings = explain(parsed.error.issues, input, knownKeys)
    return {
      config: null,
      issues: inOrder([...issues, ...findings.map((finding) => place(finding, chosen))]),
    }
  }
  const conflicts = findConflicts(parsed.data, (key) => chosen.has(key), program.checks)
  const all = [...issues, ...conflicts.map((conflict) => place(conflict, chosen))]
  if (all.length > 0) return { config: null, issues: inOrder(all) }
  const origins = Object.fromEntries([...chosen].map(([key, given]) => [key, given.at([key])])) as Origins
  const warnings = [...environment.warnings, ...dotenv.warnings]
  return { config: deepFreeze(parsed.data), origins, issues: [], warnings }
}

/** Nothing written in variables. */
export const NO_VARIABLES: Variables = { given: new Map(), issues: [], warnings: [] }
const NO_FILE: FileValues = { given: new Map(), unknown: [], issues: [] }
const NONE: OfProgram = { stronger: [], dotenv: NO_VARIABLES, presets: [], issues: [], checks: [] }

/** The strongest value of each key that has no issue of its own (one broken value should be told once). */
function choose(
  layers: readonly Layer[],
  fields: readonly Field[],
  issues: readonly ConfigIssue[],
): Map<string, Given> {
  const broken = new Set(issues.map((issue) => issue.key.split(/[.[]/)[0]))
  const chosen = new Map<string, Given>()
  for (const { key } of fields) {
    const given = layers.find((layer) => layer.has(key))?.get(key)
    if (given && !broken.has(key)) chosen.set(key, given)
  }
  return chosen
}

function unknownKeys(file: FileValues, sources: Everywhere, fields: readonly Field[]): ConfigIssue[] {
  const names = fields.map((field) => field.key)
  return file.unknown.map(({ key, line, column }): ConfigIssue => {
    const byOtherName = fields.find(
      (field) => field.flags.includes(key.replace(/^--/, '')) || field.env === key,
    )
    const hint = byOtherName
      ? `; did you mean ${byOtherName.key}?`
      : suggest(key, names) || '; remove it, or see --help for the keys'
    return {
      source: 'file',
      name: key,
      key,
      file: sources.file?.name ?? '',
      line,
      column,
      message: `unknown key${hint}`,
    }
  })
}

const KEY_OF_API: readonly string[] = ['key', 'tenant', 'requestsPerMinute', 'tokensPerMinute', 'priority']

function knownKeys(path: Path): readonly string[] {
  if (path[0] === 'workers') return Object.keys(workerSchema.shape)
  return path[0] === 'apiKeys' ? KEY_OF_API : Object.keys(configSchema.shape)
}

function place(finding: { path: Path; message: string }, chosen: ReadonlyMap<string, Given>): ConfigIssue {
  const key = String(finding.path[0] ?? '')
  const at = chosen.get(key)?.at(finding.path) ?? { source: 'default', name: key }
  return { ...at, key: formatPath(finding.path), message: finding.message }
}

/** Each issue once, those of a file in the order of its lines. */
function inOrder(issues: readonly ConfigIssue[]): ConfigIssue[] {
  const seen = new Set<string>()
  const once = issues.filter((issue) => {
    const text = JSON.stringify([issue.name, issue.key, issue.file, issue.line, issue.message])
    return seen.has(text) ? false : seen.add(text)
  })
  return once.toSorted((a, b) => (a.source === b.source ? (a.line ?? 0) - (b.line ?? 0) : 0))
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) {
    for (const part of Object.values(value)) deepFreeze(part)
    Object.freeze(value)
  }
  return value
}
