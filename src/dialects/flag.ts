// What a flag of another router's program is: one row of that dialect's table.

/** One flag. Without `kind` a text; a `switch` takes no value and stands for `true`, a `denial` for `false`. */
export interface DialectFlag {
  /** With their dashes; the first one names the value (`--worker-urls` → `worker_urls`). */
  readonly names: readonly [string, ...string[]]
  readonly kind?: 'text' | 'integer' | 'number' | 'switch' | 'denial'
  /** How many values one mention takes: any number, at least one, or none or one. Absent: exactly one. */
  readonly takes?: '*' | '+' | '?'
  /** Each mention adds to the list; otherwise the last one counts. */
  readonly isRepeatable?: boolean
  readonly choices?: readonly string[]
  /** What it is when not given: as the README promises. */
  readonly initial?: unknown
  /** The same of the program's current release, where that differs. */
  readonly release?: unknown
  /** Name of the value, where the program does not derive it from the flag (a denial's `--disable-x` → `x`). */
  readonly dest?: string
  /** It has no effect here, and why; said once when it is given. */
  readonly inert?: string
  /** One line for the help. */
  readonly about: string
}

/** A value as given: with the flag that gave it, as it was written. */
export interface GivenFlag {
  readonly value: unknown
  readonly name: string
}

/** The name under which a flag's value is found. */
export function destOf(flag: DialectFlag): string {
  return flag.dest ?? flag.names[0].replace(/^-+/, '').replaceAll('-', '_')
}
