// `fetchway config check|show|schema`: looks at configurations without serving them.
import { fields } from '../../src/config/fields.ts'
import { jsonSchema } from '../../src/config/json-schema.ts'
import type { Place } from '../../src/config/issues.ts'
import { suggest } from '../../src/config/nearest.ts'
import { redact } from '../../src/config/redact.ts'
import type { Config } from '../../src/config/schema.ts'
import { loadFile, loadSources, printIssues } from './sources.ts'
import type { Status } from './command.ts'

const COMMANDS: readonly string[] = ['check', 'show', 'schema']

/** Runs `config check FILE`, `config show [flags]` or `config schema`. */
export async function config(argv: readonly string[]): Promise<Status> {
  const [command, ...rest] = argv
  if (command === 'check') return check(rest)
  if (command === 'show') return show(rest)
  if (command === 'schema' && rest.length === 0) {
    process.stdout.write(`${JSON.stringify(jsonSchema(), null, 2)}\n`)
    return 0
  }
  const hint = command === undefined ? '' : suggest(command, COMMANDS)
  process.stderr.write(`fetchway: usage: fetchway config check FILE | show [flags] | schema${hint}\n`)
  return command === '--help' || command === '-h' ? 0 : 2
}

async function check(argv: readonly string[]): Promise<Status> {
  const [file, ...rest] = argv[0] === '--config' || argv[0] === '-c' ? argv.slice(1) : argv
  if (file === undefined || rest.length > 0 || file.startsWith('--')) {
    process.stderr.write('fetchway: usage: fetchway config check FILE\n')
    return 2
  }
  const loaded = await loadFile(file)
  printIssues(loaded.issues)
  if (loaded.config === null) return 1
  process.stdout.write(`${file}: good\n`)
  return 0
}

async function show(argv: readonly string[]): Promise<Status> {
  const loaded = await loadSources(argv)
  if (loaded.config === null) {
    printIssues(loaded.issues)
    return 2
  }
  printIssues(loaded.warnings, 'warning: ')
  const shown = redact(loaded.config)
  for (const { key, kind, initial } of fields()) {
    const name = key as keyof Config
    const place = loaded.origins[name]
    const value = place === undefined ? initial : inUnits(kind, shown[name])
    if (value === undefined) continue
    process.stdout.write(`${`${key}: ${JSON.stringify(value)}`.padEnd(44)} # ${placeText(place)}\n`)
  }
  return 0
}

/** Durations and sizes with the largest unit that divides them, so that the output can be a file again. */
function inUnits(kind: string, value: unknown): unknown {
  if (typeof value !== 'number' || (kind !== 'duration' && kind !== 'size')) return value
  if (value === 0) return 'off'
  const units: readonly (readonly [string, number])[] =
    kind === 'duration'
      ? [
          ['h', 3_600_000],
          ['m', 60_000],
          ['s', 1000],
          ['ms', 1],
        ]
      : [
          ['GiB', 1024 ** 3],
          ['GB', 1e9],
          ['MiB', 1024 ** 2],
          ['MB', 1e6],
          ['KiB', 1024],
          ['KB', 1000],
          ['B', 1],
        ]
  const unit = units.find(([, factor]) => value % factor === 0)
  return unit ? `${value / unit[1]}${unit[0]}` : value
}

function placeText(place: Place | undefined): string {
  if (place === undefined) return 'default'
  if (place.source === 'file') return `${place.file}:${place.line}`
  if (place.source === 'dotenv') return `${place.name} in ${place.file}:${place.line}`
  return place.source === 'env' ? `${place.name} in the environment` : place.name
}
