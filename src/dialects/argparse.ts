// Reads a command line by a dialect's table with the habits of Python's argparse, since start scripts rely on them.
import { suggest } from '../config/nearest.ts'
import { destOf, type DialectFlag, type GivenFlag } from './flag.ts'

/** What a command line said. */
export interface Arguments {
  readonly given: ReadonlyMap<string, GivenFlag>
  /** Words that belong to no flag. */
  readonly words: readonly string[]
  /** Sentences like argparse's own, without the program's name: `argument --port: invalid int value: 'x'`. */
  readonly problems: readonly string[]
  /** Flags that were given and have no effect, each with its reason. */
  readonly inert: readonly { readonly name: string; readonly why: string }[]
  readonly wantsHelp: boolean
  readonly wantsVersion: boolean
}

interface Reading {
  readonly flags: ReadonlyMap<string, DialectFlag>
  readonly queue: string[]
  readonly given: Map<string, GivenFlag>
  readonly words: string[]
  readonly problems: string[]
  readonly unknown: string[]
  readonly inert: Map<string, string>
}

const HELP: readonly string[] = ['-h', '--help']
const VERSION: readonly string[] = ['-V', '--version']

/**
 * Reads `--flag value`, `--flag=value`, `-f value`, lists that end at the next flag, and any unambiguous beginning of a long
 * flag. A repeatable flag that takes lists gives a list of lists. Numbers below zero are values. After `--` all is words.
 */
export function readArguments(argv: readonly string[], table: readonly DialectFlag[]): Arguments {
  const flags = new Map(table.flatMap((flag) => flag.names.map((name) => [name, flag] as const)))
  const reading: Reading = {
    flags,
    queue: [...argv],
    given: new Map(),
    words: [],
    problems: [],
    unknown: [],
    inert: new Map(),
  }
  let wantsHelp = false
  let wantsVersion = false
  for (let word = reading.queue.shift(); word !== undefined; word = reading.queue.shift()) {
    if (word === '--') reading.words.push(...reading.queue.splice(0))
    else if (!isFlag(word)) reading.words.push(word)
    else if (HELP.includes(word) && !flags.has(word)) wantsHelp = true
    else if (VERSION.includes(word) && !flags.has(word)) wantsVersion = true
    else readFlag(reading, word)
  }
  if (reading.unknown.length > 0) reading.problems.push(unrecognized(reading))
  const inert = [...reading.inert].map(([name, why]) => ({ name, why }))
  const { given, words, problems } = reading
  return { given, words, problems, inert, wantsHelp, wantsVersion }
}

/** Values by name: what was given, else the default that the README promises or, by `defaults`, the current release's. */
export function valuesOf(
  table: readonly DialectFlag[],
  given: ReadonlyMap<string, GivenFlag>,
  defaults: 'readme' | 'release',
): Record<string, unknown> {
  const values: Record<string, unknown> = {}
  for (const flag of table) {
    const dest = destOf(flag)
    const initial = defaults === 'release' && flag.release !== undefined ? flag.release : flag.initial
    if (values[dest] === undefined || initial !== undefined) values[dest] = initial
  }
  for (const [dest, { value }] of given) values[dest] = value
  return values
}

function readFlag(reading: Reading, word: string): void {
  const equals = word.indexOf('=')
  const written = equals < 0 ? word : word.slice(0, equals)
  const inline = equals < 0 ? null : word.slice(equals + 1)
  const names = findNames(reading, written)
  const name = names[0]
  if (name === undefined) {
    // argparse, too, names what follows an unknown flag among the unknown.
    reading.unknown.push(word, ...takeAll(reading))
    return
  }
  if (names.length > 1) {
    reading.problems.push(`ambiguous option: ${written} could match ${names.join(', ')}`)
    takeAll(reading)
    return
  }
  const flag = reading.flags.get(name) as DialectFlag
  if (flag.inert !== undefined) reading.inert.set(flag.names[0], flag.inert)
  const value = readValue(reading, flag, inline)
  if (value !== undefined) keep(reading, flag, { value, name: written })
}

/** The flag itself, or all that begin so. Names of one flag count once. */
function findNames({ flags }: Reading, written: string): string[] {
  if (flags.has(written)) return [written]
  if (!written.startsWith('--')) return []
  const found = [...flags.keys()].filter((name) => name.startsWith(written))
  const distinct = new Map(found.map((name) => [flags.get(name) as DialectFlag, name]))
  return [...distinct.values()]
}

function readValue(reading: Reading, flag: DialectFlag, inline: string | null): unknown {
  const label = `argument ${flag.names.join('/')}`
  if (flag.kind === 'switch' || flag.kind === 'denial') {
    if (inline === null) return flag.kind === 'switch'
    reading.problems.push(`${label}: ignored explicit argument '${inline}'`)
    return undefined
  }
  const texts = inline === null ? takeTexts(reading, flag) : [inline]
  if (texts.length === 0 && flag.takes !== '*' && flag.takes !== '?') {
    const how = flag.takes === '+' ? 'expected at least one argument' : 'expected one argument'
    reading.problems.push(`${label}: ${how}`)
    return undefined
  }
  const values: unknown[] = []
  for (const text of texts) {
    const value = coerce(flag, text)
    const problem = value === undefined ? invalid(flag, text) : wrongChoice(flag, value)
    if (problem !== null) reading.problems.push(`${label}: ${problem}`)
    values.push(value)
  }
  return flag.takes === '*' || flag.takes === '+' ? values : (values[0] ?? null)
}

/** All up to the next flag. */
function takeAll({ queue }: Reading): string[] {
  const end = queue.findIndex(isFlag)
  return queue.splice(0, end < 0 ? queue.length : end)
}

function takeTexts({ queue }: Reading, { takes }: DialectFlag): string[] {
  const most = takes === '*' || takes === '+' ? Infinity : 1
  const texts: string[] = []
  while (texts.length < most && queue[0] !== undefined && !isFlag(queue[0]) && queue[0] !== '--') {
    texts.push(queue.shift() as string)
  }
  return texts
}

function keep({ given }: Reading, flag: DialectFlag, found: GivenFlag): void {
  const dest = destOf(flag)
  const before = given.get(dest)
  const value = flag.isRepeatable
    ? [...((before?.value as unknown[] | undefined) ?? []), found.value]
    : found.value
  given.set(dest, { value, name: found.name })
}

function coerce({ kind }: DialectFlag, text: string): unknown {
  if (kind === 'integer')
    return /^\s*[+-]?\d+(?:_\d+)*\s*$/.test(text) ? Number(text.replaceAll('_', '')) : undefined
  if (kind !== 'number') return text
  const number = text.trim() === '' ? NaN : Number(text.replaceAll('_', ''))
  return Number.isNaN(number) ? undefined : number
}

const invalid = ({ kind }: DialectFlag, text: string): string =>
  `invalid ${kind === 'integer' ? 'int' : 'float'} value: '${text}'`

function wrongChoice({ choices }: DialectFlag, value: unknown): string | null {
  if (choices === undefined || choices.includes(String(value))) return null
  return `invalid choice: '${String(value)}' (choose from ${choices.join(', ')})`
}

function unrecognized({ unknown, flags }: Reading): string {
  const first = unknown.find(isFlag)
  const hint = first === undefined ? '' : suggest(first.split('=')[0] as string, [...flags.keys()])
  return `unrecognized arguments: ${unknown.join(' ')}${hint}`
}

/** A bare dash and numbers below zero are values. */
const isFlag = (word: string): boolean => word.startsWith('-') && word !== '-' && !/^-\.?\d/.test(word)
