// `fetchway as NAME …` and `fetchway import NAME -- …`: other routers' command lines, run or written down as a configuration.
import { readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { stringify } from 'yaml'
import { parseDotenv } from '../../src/config/dotenv.ts'
import type { ConfigIssue, Given, Place } from '../../src/config/issues.ts'
import { load, type Layer, type Loaded } from '../../src/config/load.ts'
import { suggest } from '../../src/config/nearest.ts'
import { readArguments } from '../../src/dialects/argparse.ts'
import type { Circumstances, Dialect, Translation } from '../../src/dialects/dialect.ts'
import type { GivenFlag } from '../../src/dialects/flag.ts'
import { dialectHelp } from '../../src/dialects/help.ts'
import { dialects, loadDialect } from '../../src/dialects/index.ts'
import { keepShapes } from '../node/feedback.ts'
import { printVersion, type Status } from './command.ts'
import { printIssues, type Surroundings } from './sources.ts'
import { serveFrom, type Program } from './serve.ts'
import { parseConfigFile } from './yaml.ts'

/** What the command line asked for, before the program's own flags are read. */
interface Spoken {
  readonly dialect: Dialect
  readonly argv: readonly string[]
  readonly defaults: 'readme' | 'release'
  readonly isStrict: boolean
}

/** Serves in place of another router by its own command line. Status 2: not understood. */
export async function as(argv: readonly string[], program?: Program): Promise<Status> {
  const spoken = await readSpoken(argv, 'as NAME [its flags]')
  if (spoken === null) return 2
  const asked = readArguments(spoken.argv, spoken.dialect.flags(spoken.argv))
  if (asked.wantsHelp) {
    process.stdout.write(dialectHelp(spoken.dialect, spoken.argv))
    return 0
  }
  if (asked.wantsVersion) return printVersion()
  const at = program?.at ?? HERE
  const first = await translate(spoken, at)
  const loaded = await loadTranslated(spoken, at)
  // Nobody is warned of doors that will not open.
  if (loaded.config === null) {
    printIssues(loaded.issues)
    return 2
  }
  for (const note of first.notes ?? []) process.stderr.write(`fetchway: ${note}\n`)
  const nameOf = (key: string) => first.flagOf?.get(key) ?? (first.config.get(key)?.name || undefined)
  const besides = { ...(first.watched && { watched: first.watched }), nameOf }
  if (first.launch === undefined) return serveFrom(() => loadTranslated(spoken, at), program, besides)
  // Models take minutes to load.
  keepShapes()
  const { launchWorkers } = await import('./launch.ts')
  const { urls } = await launchWorkers(first.launch)
  return serveFrom(() => loadTranslated(spoken, at, urls), program, besides)
}

/** Prints the configuration file that another router's command line amounts to. Status 2: not understood. */
export async function importFlags(argv: readonly string[], program?: Program): Promise<Status> {
  // Words of our own may stand before it.
  const bar = argv.indexOf('--')
  const bare = bar < 0 ? argv : argv.toSpliced(bar, 1)
  const spoken = await readSpoken(bare, 'import NAME -- [its flags]')
  if (spoken === null) return 2
  const at = program?.at ?? HERE
  const loaded = await loadTranslated(spoken, at)
  if (loaded.config === null) {
    printIssues(loaded.issues)
    return 2
  }
  const { config, options, notes = [] } = await translate(spoken, at)
  const values = Object.fromEntries([...config].map(([key, { value }]) => [key, value]))
  const file = {
    ...values,
    dialect: spoken.dialect.name,
    ...(options && Object.keys(options).length > 0 && { dialectOptions: options }),
    ...(spoken.isStrict && { strictCompat: true }),
  }
  for (const note of notes) process.stdout.write(`# ${note}\n`)
  process.stdout.write(stringify(file))
  return 0
}

const HERE: Surroundings = { directory: process.cwd(), environment: process.env }

/** The dialect's command line as a configuration; what is wrong carries the flag's own name. `launched`: workers beside its own. */
export async function loadTranslated(
  spoken: Spoken,
  at: Surroundings,
  launched: readonly string[] = [],
): Promise<Loaded> {
  const translation = await translate(spoken, at)
  const { places } = await environmentOf(spoken.dialect, at)
  const problems = (translation.problems ?? []).map((message): ConfigIssue => ({
    source: 'flag',
    name: `${spoken.dialect.name}: error`,
    key: '',
    message: placed(message, places),
  }))
  const own = new Map<string, GivenFlag>([
    ['dialect', { value: spoken.dialect.name, name: spoken.dialect.name }],
    ['dialectOptions', { value: translation.options ?? {}, name: spoken.dialect.name }],
    ...(spoken.isStrict ? [['strictCompat', { value: true, name: '--strict-compat' }] as const] : []),
  ])
  if (launched.length > 0) {
    const listed = (translation.config.get('workers')?.value ?? []) as readonly unknown[]
    own.set('workers', { value: [...listed, ...launched], name: spoken.dialect.name })
  }
  const { strong, weak } = layersOf(new Map([...translation.config, ...own]))
  const read = load({ environment: ownVariables(at), translated: strong, presets: weak })
  const loaded = read.config === null ? { ...read, issues: inFlags(read.issues, translation.flagOf) } : read
  if (problems.length === 0) return loaded
  // A flag that the program's own words name is not told again in ours.
  const isTold = ({ name }: ConfigIssue) => problems.some(({ message }) => message.includes(`${name}: `))
  return { config: null, issues: [...problems, ...(loaded.issues ?? []).filter((issue) => !isTold(issue))] }
}

/** Other keys than the one at fault stand in sentences, too: under the names of their flags. Those that are plain words stay. */
function inFlags(
  issues: readonly ConfigIssue[],
  flagOf: ReadonlyMap<string, string> = new Map(),
): ConfigIssue[] {
  return issues.map((issue) => ({
    ...issue,
    message: issue.message.replace(/\b[a-z]+[A-Z]\w*\b/g, (key) => flagOf.get(key) ?? key),
  }))
}

/** Defaults of the program (without a flag's name) are weaker than our own variables; what was given is stronger. */
function layersOf(settings: ReadonlyMap<string, GivenFlag>): { strong: Layer; weak: Layer } {
  const strong = new Map<string, Given>()
  const weak = new Map<string, Given>()
  for (const [key, { value, name }] of settings) {
    const place: Place = name === '' ? { source: 'default', name: key } : { source: 'flag', name }
    ;(name === '' ? weak : strong).set(key, { value, at: () => place })
  }
  return { strong, weak }
}

function ownVariables({ environment }: Surroundings): Record<string, string | undefined> {
  return Object.fromEntries(Object.entries(environment).filter(([name]) => name.startsWith('FETCHWAY_')))
}

async function translate(spoken: Spoken, at: Surroundings): Promise<Translation> {
  const { dialect, argv, defaults, isStrict } = spoken
  const circumstances: Circumstances = {
    environment: (await environmentOf(dialect, at)).environment,
    defaults,
    isStrict,
    parse: parseConfigFile,
    readFile: (name) => readFile(resolve(at.directory, name), 'utf8').catch(() => null),
  }
  return dialect.translate(argv, circumstances)
}

interface Surrounding {
  readonly environment: Record<string, string | undefined>
  /** `FILE:LINE` of the variables that a file gave. */
  readonly places: ReadonlyMap<string, string>
}

/** The process's variables over those of the files that the dialect reads. */
async function environmentOf(dialect: Dialect, at: Surroundings): Promise<Surrounding> {
  const environment: Record<string, string | undefined> = {}
  const places = new Map<string, string>()
  for (const file of [...(dialect.dotenv ?? [])].toReversed()) {
    const text = await readFile(join(at.directory, file), 'utf8').catch(() => '')
    for (const { name, value, line } of parseDotenv(text).assignments) {
      environment[name] = value
      places.set(name, `${file}:${line}`)
    }
  }
  for (const name of Object.keys(at.environment)) places.delete(name)
  return { environment: { ...environment, ...at.environment }, places }
}

/** What is wrong with a variable, after the line that sets it. */
function placed(message: string, places: ReadonlyMap<string, string>): string {
  const place = places.get(/^\w+(?=: )/.exec(message)?.[0] ?? '')
  return place === undefined ? message : `${place}: ${message}`
}

/** Takes our own words from the line (`--defaults`, `--strict-compat`) and finds the dialect; null when something is wrong. */
async function readSpoken(argv: readonly string[], usage: string): Promise<Spoken | null> {
  const [name, ...rest] = argv
  const names = Object.keys(dialects)
  if (name === undefined || name.startsWith('-'))
    return complain(`usage: fetchway ${usage}; NAME is one of ${names.join(', ')}`)
  const named = await loadDialect(name)
  if (named === null)
    return complain(
      `there is no router ${name} to stand in for${suggest(name, names) || `; one of ${names.join(', ')}`}`,
    )
  const other = named.meant?.(rest)
  const dialect = other === undefined ? named : await loadDialect(other)
  if (dialect === null)
    return complain(
      `these flags are of ${other}'s program of the name ${name}, which is not in this version yet`,
    )
  const own: { defaults: string; isStrict: boolean } = { defaults: 'readme', isStrict: false }
  const theirs: string[] = []
  for (let at = 0; at < rest.length; at++) {
    const word = rest[at] as string
    if (word === '--strict-compat') own.isStrict = true
    else if (word === '--defaults') own.defaults = rest[++at] ?? ''
    else if (word.startsWith('--defaults=')) own.defaults = word.slice('--defaults='.length)
    else theirs.push(word)
  }
  const { defaults, isStrict } = own
  if (defaults !== 'readme' && defaults !== 'release')
    return complain(`--defaults is readme or release, not ${JSON.stringify(defaults)}`)
  const skips = theirs[0] !== undefined && dialect.commands?.includes(theirs[0])
  return { dialect, argv: skips ? theirs.slice(1) : theirs, defaults, isStrict }
}

function complain(message: string): null {
  process.stderr.write(`fetchway: ${message}\n`)
  return null
}
