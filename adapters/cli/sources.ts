// Gathers what a configuration is made from: arguments, environment, `.env` and the file.
import { readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { parseDotenv } from '../../src/config/dotenv.ts'
import { fields } from '../../src/config/fields.ts'
import { readFlags } from '../../src/config/flags.ts'
import { formatIssue, type ConfigIssue, type Place } from '../../src/config/issues.ts'
import { joinedEnvironment, load, type Loaded } from '../../src/config/load.ts'
import type { ParsedFile } from '../../src/config/tree.ts'

/** Where sources are looked for; the process's own by default. */
export interface Surroundings {
  readonly directory: string
  readonly environment: Readonly<Record<string, string | undefined>>
}

/** Reads all sources anew and loads them. Files that cannot be read are issues like any other. */
export async function loadSources(
  flags: readonly string[],
  at: Surroundings = { directory: process.cwd(), environment: process.env },
): Promise<Loaded> {
  const dotenv = await readDotenvFile(at.directory)
  const named = namedFile(flags, dotenv, at)
  const sources = { flags, environment: at.environment, dotenv }
  if (named === null) return load(sources)
  const file = await readConfigFile(named.file, at.directory)
  if (typeof file !== 'string') return load({ ...sources, file })
  const issue: ConfigIssue = { ...named.place, key: '', message: file }
  return { config: null, issues: [issue, ...load(sources).issues] }
}

/** Loads one file alone, with environment and `.env` for nothing but its `${NAME}`s. */
export async function loadFile(
  name: string,
  at: Surroundings = { directory: process.cwd(), environment: process.env },
): Promise<Loaded> {
  const file = await readConfigFile(name, at.directory)
  if (typeof file === 'string')
    return { config: null, issues: [{ source: 'file', name: '', key: '', file: name, message: file }] }
  const dotenv = await readDotenvFile(at.directory)
  return load({ file, variables: joinedEnvironment({ environment: at.environment, dotenv }) })
}

/** Prints each issue on a line of its own. */
export function printIssues(issues: readonly ConfigIssue[], prefix = ''): void {
  for (const issue of issues) process.stderr.write(`${prefix}${formatIssue(issue)}\n`)
}

async function readDotenvFile(directory: string): Promise<{ name: string; text: string } | null> {
  try {
    return { name: '.env', text: await readFile(join(directory, '.env'), 'utf8') }
  } catch {
    // Most directories have none, and one that cannot be read was not meant for us.
    return null
  }
}

function namedFile(
  flags: readonly string[],
  dotenv: { text: string } | null,
  at: Surroundings,
): { file: string; place: Place } | null {
  const byFlag = readFlags(flags, fields()).configFile
  if (byFlag !== null) return { file: byFlag, place: { source: 'flag', name: '--config' } }
  const variable = 'FETCHWAY_CONFIG'
  const byEnvironment = at.environment[variable]
  if (byEnvironment) return { file: byEnvironment, place: { source: 'env', name: variable } }
  const assignment = dotenv
    ? parseDotenv(dotenv.text).assignments.findLast(({ name }) => name === variable)
    : undefined
  return assignment
    ? {
        file: assignment.value,
        place: { source: 'dotenv', name: variable, file: '.env', line: assignment.line },
      }
    : null
}

/** The parsed file, or a sentence that says why there is none. */
async function readConfigFile(name: string, directory: string): Promise<ParsedFile | string> {
  try {
    const [text, { parseConfigFile }] = await Promise.all([
      readFile(resolve(directory, name), 'utf8'),
      import('./yaml.ts'),
    ])
    return parseConfigFile(name, text)
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : ''
    if (code === 'ENOENT') return `there is no file ${name}`
    return `${name} cannot be read: ${error instanceof Error ? error.message : String(error)}`
  }
}
