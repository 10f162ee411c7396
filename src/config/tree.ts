// A configuration file as a tree that knows the line of each value, whatever the file's syntax was.
import { coerceScalar } from './coerce.ts'
import type { Environment } from './environment.ts'
import type { Field } from './fields.ts'
import { formatPath, type ConfigIssue, type Given, type Path, type Place } from './issues.ts'

/** Where a node stands; both count from 1. */
interface Position {
  readonly line: number
  readonly column: number
}

export type Scalar = string | number | boolean | null
export interface Entry extends Position {
  readonly key: string
  readonly value: Tree
}
export type Tree = Position &
  (
    | { readonly kind: 'scalar'; readonly value: Scalar }
    | { readonly kind: 'list'; readonly items: readonly Tree[] }
    | { readonly kind: 'map'; readonly entries: readonly Entry[] }
  )

/** A parsed file; `issues` are what its syntax has wrong. An empty file has no tree. */
export interface ParsedFile {
  readonly name: string
  readonly tree: Tree | null
  readonly issues: readonly { readonly message: string; readonly line: number; readonly column: number }[]
}

export interface FileValues {
  readonly given: ReadonlyMap<string, Given>
  /** Top-level keys that the schema does not have. */
  readonly unknown: readonly Entry[]
  readonly issues: readonly ConfigIssue[]
}

interface Reading {
  readonly file: string
  readonly environment: Environment
  readonly issues: ConfigIssue[]
}

/** Values of a file. `${NAME}` in its texts is replaced from the environment, `${NAME:-else}` with a fallback; `$${` is a plain `${`. */
export function readTree(file: ParsedFile, fields: readonly Field[], environment: Environment): FileValues {
  const issues: ConfigIssue[] = file.issues.map(({ message, line, column }) => ({
    source: 'file',
    name: '',
    key: '',
    file: file.name,
    line,
    column,
    message,
  }))
  const given = new Map<string, Given>()
  const reading: Reading = { file: file.name, environment, issues }
  if (file.tree === null || issues.length > 0) return { given, unknown: [], issues }
  if (file.tree.kind !== 'map') {
    const { line, column } = file.tree
    issues.push({
      source: 'file',
      name: '',
      key: '',
      file: file.name,
      line,
      column,
      message: 'expected keys like "port: 8000" at the top',
    })
    return { given, unknown: [], issues }
  }
  const byKey = new Map(fields.map((field) => [field.key, field]))
  const entries = file.tree.entries.filter((entry) => entry.key !== '$schema')
  for (const entry of entries) {
    const field = byKey.get(entry.key)
    if (!field || isEmpty(entry.value)) continue
    const value = readEntry(entry, field, reading)
    given.set(entry.key, { value, at: (path) => placeIn(file.name, entry, path) })
  }
  return { given, unknown: entries.filter((entry) => !byKey.has(entry.key)), issues }
}

function readEntry(entry: Entry, field: Field, reading: Reading): unknown {
  const tree = entry.value
  const value = valueOf(tree, reading, [entry.key])
  const isFilledIn = tree.kind === 'scalar' && value !== tree.value && typeof value === 'string'
  if (!isFilledIn || field.kind === 'list' || field.kind === 'map') return value
  const coerced = coerceScalar(field, value)
  return 'value' in coerced ? coerced.value : value
}

/** `key:` with nothing behind it: as if it were not there. */
const isEmpty = (tree: Tree): boolean => tree.kind === 'scalar' && tree.value === null

function valueOf(tree: Tree, reading: Reading, path: Path): unknown {
  if (tree.kind === 'list') return tree.items.map((item, index) => valueOf(item, reading, [...path, index]))
  if (tree.kind === 'scalar')
    return typeof tree.value === 'string' ? fillIn(tree.value, tree, { reading, path }) : tree.value
  const map: Record<string, unknown> = {}
  for (const { key, value } of tree.entries) {
    Object.defineProperty(map, key, {
      value: valueOf(value, reading, [...path, key]),
      enumerable: true,
      writable: true,
    })
  }
  return map
}

function fillIn(text: string, at: Position, context: { reading: Reading; path: Path }): string {
  const { reading, path } = context
  return text.replace(/\$?\$\{([^}]*)\}/g, (whole, inside: string) => {
    if (whole.startsWith('$$')) return whole.slice(1)
    const match = /^([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?$/s.exec(inside)
    const value = match ? reading.environment[match[1] ?? ''] : undefined
    if (value !== undefined && value !== '') return value
    if (match?.[2] !== undefined) return match[2]
    const message = match
      ? `\${${match[1]}} is not set in the environment; set it, or write \${${match[1]}:-else}`
      : `${whole} is no variable; write \${NAME}, or $\${ for a plain \${`
    const key = formatPath(path)
    reading.issues.push({
      source: 'file',
      name: String(path[0]),
      key,
      file: reading.file,
      line: at.line,
      column: at.column,
      message,
    })
    return ''
  })
}

/** The place of `path` (whose first part is the entry's key), or of the deepest part of it that is written. */
function placeIn(file: string, entry: Entry, path: Path): Place {
  let position: Position = path.length > 1 ? entry.value : entry
  let tree: Tree | undefined = entry.value
  for (const part of path.slice(1)) {
    const next: { at: Position; tree: Tree } | null = step(tree, part)
    if (!next) break
    position = next.at
    tree = next.tree
  }
  return { source: 'file', name: entry.key, file, line: position.line, column: position.column }
}

function step(tree: Tree | undefined, part: PropertyKey): { at: Position; tree: Tree } | null {
  if (tree?.kind === 'list') {
    const item = tree.items[Number(part)]
    return item ? { at: item, tree: item } : null
  }
  const entry = tree?.kind === 'map' ? tree.entries.find((candidate) => candidate.key === part) : undefined
  return entry ? { at: entry, tree: entry.value } : null
}
