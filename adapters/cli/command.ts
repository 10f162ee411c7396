// What the commands have in common: how they end, and the version they belong to.
import { version } from '../../src/version.ts'

/** A command's exit status: 0 done, 1 failed, 2 not understood; null while it goes on by itself (a server). */
export type Status = number | null

export type Command = (argv: readonly string[]) => Promise<Status>

/** Prints name and version. */
export function printVersion(): Status {
  process.stdout.write(`fetchway ${version}\n`)
  return 0
}
