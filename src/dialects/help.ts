// The help text of a dialect: its own flags, with the defaults that hold here.
import type { Dialect } from './dialect.ts'
import type { DialectFlag } from './flag.ts'

/** What `fetchway as NAME --help` prints. */
export function dialectHelp(dialect: Dialect, argv: readonly string[]): string {
  const rows = dialect.flags(argv).map((flag) => `  ${left(flag)}${right(flag)}`)
  const own = [
    `  ${'--defaults readme|release'.padEnd(WIDTH)}whose defaults hold: those of its README, or of its current release [readme]`,
    `  ${'--strict-compat'.padEnd(WIDTH)}keep also those of its bugs that a client could depend on`,
  ]
  return [
    `Usage: fetchway as ${dialect.name} [flags]`,
    '',
    `Stands in for ${dialect.about}.`,
    '',
    ...rows,
    '',
    'Of Fetchway itself:',
    ...own,
    '',
  ].join('\n')
}

const WIDTH = 44

function left({ names, kind, takes, choices }: DialectFlag): string {
  const value =
    kind === 'switch' || kind === 'denial'
      ? ''
      : choices
        ? ` {${choices.join(',')}}`
        : kind === 'integer' || kind === 'number'
          ? ' N'
          : ' TEXT'
  const many = takes === '*' || takes === '+' ? ' …' : ''
  const text = `${names.join(', ')}${value}${many}`
  return text.length < WIDTH ? text.padEnd(WIDTH) : `${text}\n${' '.repeat(WIDTH + 2)}`
}

function right({ about, inert, initial, release }: DialectFlag): string {
  const shown = (value: unknown) => (Array.isArray(value) && value.length === 0 ? 'none' : String(value))
  const readme = initial === undefined || initial === null || initial === false ? '' : ` [${shown(initial)}]`
  const later = release === undefined ? '' : ` [release: ${shown(release)}]`
  return `${about}${inert === undefined ? '' : ` (no effect here: ${inert})`}${readme}${later}`
}
