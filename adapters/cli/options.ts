// Flags of commands that are not about the configuration, read by the same rules.
import { envName, type Field, type FieldKind } from '../../src/config/fields.ts'
import { readFlags } from '../../src/config/flags.ts'
import type { ConfigIssue } from '../../src/config/issues.ts'
import { suggest } from '../../src/config/nearest.ts'
import type { ToldField } from '../../src/config/words.ts'
import { printVersion, type Status } from './command.ts'
import { printIssues } from './sources.ts'

export interface Option {
  readonly kind: FieldKind
  readonly about: string
  readonly initial?: unknown
  readonly choices?: readonly string[]
}

export type OptionTable = Readonly<Record<string, Option>>

type Options = Readonly<Record<string, unknown>>

/**
 * The options of a command line with their defaults, or the status to end with: help was asked for, or something is wrong.
 * @param more keys of the configuration that the command takes, too; without their defaults
 */
export function readOptions(
  command: string,
  table: OptionTable,
  argv: readonly string[],
  more: readonly ToldField[] = [],
): { readonly options: Options } | { readonly status: Status } {
  const fields = [...Object.entries(table).map(([key, option]) => fieldOf(key, option)), ...more]
  const flags = readFlags(argv, fields)
  if (flags.wantsHelp) {
    process.stdout.write(optionsHelp(command, fields))
    return { status: 0 }
  }
  if (flags.wantsVersion) return { status: printVersion() }
  const given = Object.fromEntries([...flags.given].map(([key, { value }]) => [key, value]))
  const issues = [...flags.issues, ...fields.flatMap((field) => problemOf(field, given[field.key]))]
  if (flags.configFile !== null)
    issues.push({ source: 'flag', name: '--config', key: '', message: `is not for fetchway ${command}` })
  if (issues.length > 0) {
    printIssues(issues)
    return { status: 2 }
  }
  const defaults = Object.entries(table).flatMap(([key, { initial }]) =>
    initial === undefined ? [] : [[key, initial] as const],
  )
  return { options: { ...Object.fromEntries(defaults), ...given } }
}

function fieldOf(key: string, option: Option): ToldField {
  const plain = key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
  const flag = option.kind === 'list' ? plain.replace(/s$/, '') : plain
  return {
    key,
    group: '',
    kind: option.kind,
    about: option.about,
    initial: option.initial,
    choices: option.choices ?? [],
    flag,
    flags: flag === plain ? [flag] : [flag, plain],
    env: envName(key),
    isSecret: false,
  }
}

function problemOf(field: Field, value: unknown): ConfigIssue[] {
  const issue = { source: 'flag' as const, name: `--${field.flag}`, key: field.key }
  if (field.choices.length > 0 && typeof value === 'string' && !field.choices.includes(value)) {
    return [
      {
        ...issue,
        message: `expected one of ${field.choices.join(', ')}${suggest(value, field.choices)}`,
      },
    ]
  }
  if (field.kind === 'integer' && value !== undefined && !Number.isInteger(value))
    return [{ ...issue, message: 'expected a whole number' }]
  return typeof value === 'number' && value < 0 ? [{ ...issue, message: 'must be at least 0' }] : []
}

function optionsHelp(command: string, fields: readonly ToldField[]): string {
  const rows = fields.map((field) => {
    const choices = field.choices.length > 0 ? `: ${field.choices.join(', ')}` : ''
    const initial =
      field.initial === undefined || Array.isArray(field.initial) || field.kind === 'boolean'
        ? ''
        : ` [${JSON.stringify(field.initial).replaceAll('"', '')}]`
    const value =
      field.kind === 'boolean'
        ? ''
        : field.kind === 'text' || field.kind === 'list' || field.kind === 'choice'
          ? ' TEXT'
          : ' N'
    return `  ${`--${field.flag}${value}`.padEnd(34)}${field.about}${choices}${field.kind === 'list' ? '; repeatable' : ''}${initial}`
  })
  return [`Usage: fetchway ${command} [flags]`, '', ...rows, ''].join('\n')
}
