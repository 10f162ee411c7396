// Parses configuration files, YAML and JSON alike, into trees that know their lines.
import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  visit,
  type Document,
  type Node,
  type Scalar,
  type YAMLMap,
} from 'yaml'
import type { Entry, ParsedFile, Tree } from '../../src/config/tree.ts'

const MAX_NODES = 100_000

interface Reading {
  readonly document: Document
  readonly lines: LineCounter
  nodes: number
}

/**
 * Parses the text of a file; JSON is read as the YAML that it is. Syntax errors come back as issues with line and column.
 * @param name as it is shown in messages
 */
export function parseConfigFile(name: string, text: string): ParsedFile {
  const lines = new LineCounter()
  const document = parseDocument(text, {
    lineCounter: lines,
    prettyErrors: false,
    uniqueKeys: true,
    merge: true,
  })
  const names = document.errors.some(isDuplicate) ? namesOf(document) : null
  const issues = document.errors.map((error) => ({
    message: isDuplicate(error)
      ? `${names?.get(error.pos[0]) ?? 'a key'} is written twice; leave one out`
      : tell(error.code, error.message),
    ...positionOf(lines, error.pos[0]),
  }))
  if (issues.length > 0 || document.contents === null) return { name, tree: null, issues }
  const reading: Reading = { document, lines, nodes: 0 }
  try {
    return { name, tree: readNode(document.contents, reading), issues: [] }
  } catch (error) {
    return {
      name,
      tree: null,
      issues: [{ message: error instanceof Error ? error.message : String(error), line: 1, column: 1 }],
    }
  }
}

function readNode(node: Node | null, reading: Reading): Tree {
  if (++reading.nodes > MAX_NODES) throw new Error('too many values: does an anchor repeat itself?')
  const position = positionOf(reading.lines, node?.range?.[0] ?? 0)
  if (isAlias(node)) return { ...readNode(node.resolve(reading.document) ?? null, reading), ...position }
  if (isSeq<Node>(node))
    return { kind: 'list', items: node.items.map((item) => readNode(item, reading)), ...position }
  if (isMap<Node, Node | null>(node)) return { kind: 'map', entries: readPairs(node, reading), ...position }
  return { kind: 'scalar', value: isScalar(node) ? plainValue(node) : null, ...position }
}

/** Dates, big integers and the like stay as they were written. */
function plainValue(node: Scalar): string | number | boolean | null {
  const { value } = node
  if (value === null || typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean')
    return value
  return node.source ?? ''
}

/** Entries in their order; what `<<` brings along yields to what is written beside it. */
function readPairs(map: YAMLMap<Node, Node | null>, reading: Reading): Entry[] {
  const own: Entry[] = []
  const merged: Entry[] = []
  for (const { key, value } of map.items) {
    const name = nameOf(key)
    const tree = readNode(value, reading)
    const sources = name !== '<<' ? [] : tree.kind === 'list' ? tree.items : [tree]
    if (name !== '<<') own.push({ key: name, value: tree, ...positionOf(reading.lines, key.range?.[0] ?? 0) })
    for (const source of sources) merged.push(...(source.kind === 'map' ? source.entries : []))
  }
  const names = new Set(own.map((entry) => entry.key))
  const first = merged.filter((entry) => !names.has(entry.key) && names.add(entry.key))
  return [...own, ...first]
}

/** The text of a key; one that YAML would take for a number stays as it was written. */
function nameOf(key: Node): string {
  if (!isScalar(key)) return String(key)
  return typeof key.value === 'string' ? key.value : (key.source ?? String(key.value))
}

const isDuplicate = ({ code }: { readonly code: string }): boolean => code === 'DUPLICATE_KEY'

/** The keys of all maps by where they begin. */
function namesOf(document: Document): Map<number, string> {
  const names = new Map<number, string>()
  visit(document, {
    Pair(_, { key }) {
      if (isScalar(key) && key.range) names.set(key.range[0], nameOf(key))
    },
  })
  return names
}

function positionOf(lines: LineCounter, offset: number): { line: number; column: number } {
  const { line, col } = lines.linePos(offset)
  return { line: Math.max(1, line), column: Math.max(1, col) }
}

function tell(code: string, message: string): string {
  if (code === 'TAB_AS_INDENT') return 'indented by a tab; use spaces'
  return message
}
