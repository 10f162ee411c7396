// What the commands have in common: how they end, and the version they belong to.
import { readFileSync } from 'node:fs'

/** A command's exit status: 0 done, 1 failed, 2 not understood; null while it goes on by itself (a server). */
export type Status = number | null

export type Command = (argv: readonly string[]) => Promise<Status>

/** Prints name and version. */
export function printVersion(): Status {
  process.stdout.write(`fetchway ${version()}\n`)
  return 0
}

/** The version in package.json, wherever this file was installed. */
function version(): string {
  for (const above of ['../../package.json', '../../../package.json']) {
    try {
      const parsed = JSON.parse(readFileSync(new URL(above, import.meta.url), 'utf8')) as { version?: string }
      if (parsed.version !== undefined) return parsed.version
    } catch {
      // Not there: the published package lies one folder deeper.
    }
  }
  return 'unknown'
}
