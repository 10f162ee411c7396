// Reads command-line arguments into values of the configuration, by the fields that the schema has.
import { coerceScalar, pairs, readBoolean, splitItems } from './coerce.ts'
import type { Field } from './fields.ts'
import type { ConfigIssue, Given, Place } from './issues.ts'
import { suggest } from './nearest.ts'

/** What the arguments said. */
export interface Flags {
  readonly given: ReadonlyMap<string, Given>
  /** `--config FILE`. */
  readonly configFile: string | null
  readonly wantsHelp: boolean
  readonly wantsVersion: boolean
  readonly issues: readonly ConfigIssue[]
}

/** Flags that are no keys. */
const OWN_FLAGS: readonly string[] = ['config', 'help', 'version']

const SHORT: Readonly<Record<string, string>> = { '-h': '--help', '-V': '--version', '-c': '--config' }

interface Reading {
  readonly fields: ReadonlyMap<string, Field>
  readonly names: readonly string[]
  readonly queue: string[]
  readonly values: Map<string, { value: unknown; place: Place }>
  readonly lists: Map<Field, { text: string; place: Place }[]>
  readonly issues: ConfigIssue[]
  readonly own: Map<string, string>
}

/**
 * Reads `--flag value`, `--flag=value`, `--switch`, `--no-switch` and plain arguments (worker URLs). Lists and maps may
 * be given many times; of anything else the last one counts.
 */
export function readFlags(argv: readonly string[], fields: readonly Field[]): Flags {
  const byFlag = new Map(fields.flatMap((field) => field.flags.map((flag) => [flag, field] as const)))
  const switches = fields.filter((field) => field.kind === 'boolean').map((field) => `--no-${field.flag}`)
  const names = [...[...byFlag.keys(), ...OWN_FLAGS].map((flag) => `--${flag}`), ...switches]
  const reading: Reading = {
    fields: byFlag,
    names,
    queue: [...argv],
    values: new Map(),
    lists: new Map(),
    issues: [],
    own: new Map(),
  }
  for (let argument = reading.queue.shift(); argument !== undefined; argument = reading.queue.shift()) {
    if (argument === '--') {
      for (const word of reading.queue.splice(0)) readWord(reading, word)
    } else if (argument.startsWith('-') && argument !== '-') readFlag(reading, SHORT[argument] ?? argument)
    else readWord(reading, argument)
  }
  const given = new Map<string, Given>()
  for (const [key, { value, place }] of reading.values) given.set(key, { value, at: () => place })
  for (const [field, items] of reading.lists) addMany(reading, field, items, given)
  return {
    given,
    configFile: reading.own.get('config') ?? null,
    wantsHelp: reading.own.has('help'),
    wantsVersion: reading.own.has('version'),
    issues: reading.issues,
  }
}

function readWord(reading: Reading, word: string): void {
  const workers = reading.fields.get('worker')
  if (!workers) report(reading, JSON.stringify(word), 'is not expected here; see --help')
  else
    addItem(reading, workers, word, {
      source: 'flag',
      name: word.includes('@') ? 'worker URL' : JSON.stringify(word),
    })
}

function readFlag(reading: Reading, argument: string): void {
  const equals = argument.indexOf('=')
  const name = equals < 0 ? argument : argument.slice(0, equals)
  const inline = equals < 0 ? null : argument.slice(equals + 1)
  const bare = name.replace(/^--/, '').replaceAll('_', '-')
  if (name.startsWith('--') && OWN_FLAGS.includes(bare)) return readOwn(reading, bare, inline)
  const field = name.startsWith('--') ? reading.fields.get(bare) : undefined
  if (field) return readField(reading, { field, name, inline })
  const denied = name.startsWith('--no-') ? reading.fields.get(bare.slice('no-'.length)) : undefined
  if (denied?.kind === 'boolean' && inline === null) {
    reading.values.set(denied.key, { value: false, place: { source: 'flag', name } })
    return
  }
  const dashes = /^-[a-z][a-z-]+$/i.test(name) && !name.startsWith('--') ? `-${name}` : name
  report(reading, name, `unknown flag${suggest(dashes, reading.names) || '; see --help'}`)
}

function readOwn(reading: Reading, name: string, inline: string | null): void {
  if (name !== 'config') {
    reading.own.set(name, '')
    return
  }
  const text = inline ?? takeValue(reading)
  if (text === null || text === '') report(reading, '--config', 'needs a file, e.g. --config fetchway.yaml')
  else reading.own.set(name, text)
}

function readField(reading: Reading, written: { field: Field; name: string; inline: string | null }): void {
  const { field, name, inline } = written
  const place: Place = { source: 'flag', name }
  if (field.kind === 'boolean' && inline === null) {
    const next = reading.queue[0]
    const said = next !== undefined && /^[a-z]+$/i.test(next) ? readBoolean(next) : null
    if (said !== null) reading.queue.shift()
    reading.values.set(field.key, { value: said ?? true, place })
    return
  }
  const text = inline ?? takeValue(reading)
  if (text === null || (text === '' && field.kind !== 'text')) {
    report(reading, name, `needs a value${example(field)}`, field.key)
    return
  }
  if (field.kind === 'list' || field.kind === 'map') return addItem(reading, field, text, place)
  const coerced = coerceScalar(field, text)
  if ('problem' in coerced) report(reading, name, coerced.problem, field.key)
  else reading.values.set(field.key, { value: coerced.value, place })
}

function takeValue(reading: Reading): string | null {
  const next = reading.queue[0]
  if (next === undefined || (next.startsWith('-') && !/^-\.?\d/.test(next))) return null
  return reading.queue.shift() ?? null
}

function addItem(reading: Reading, field: Field, text: string, place: Place): void {
  const items = reading.lists.get(field) ?? []
  const texts = field.key === 'apiKeys' ? [text] : splitItems(field, text)
  items.push(...texts.map((item) => ({ text: item, place })))
  reading.lists.set(field, items)
}

function addMany(
  reading: Reading,
  field: Field,
  items: { text: string; place: Place }[],
  given: Map<string, Given>,
): void {
  const texts = items.map((item) => item.text)
  const whole: Place = { source: 'flag', name: `--${field.flag}` }
  const coerced = field.kind === 'map' ? pairs(texts) : { value: texts }
  if ('problem' in coerced) {
    report(reading, whole.name, coerced.problem, field.key)
    return
  }
  given.set(field.key, { value: coerced.value, at: (path) => items[Number(path[1])]?.place ?? whole })
}

function report(reading: Reading, name: string, message: string, key = ''): void {
  reading.issues.push({ source: 'flag', name, key, message })
}

function example(field: Field): string {
  if (field.choices.length > 0) return `: one of ${field.choices.join(', ')}`
  if (field.kind === 'duration') return ', e.g. 30s'
  if (field.kind === 'size') return ', e.g. 64MB'
  return field.kind === 'map' ? ': NAME=VALUE' : ''
}
