// Log lines kept in a directory: one file for each day (UTC).
import { appendFileSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'

/** What the files are called, before the date: other routers' scripts look for theirs. */
const NAMES: Readonly<Record<string, string>> = { 'sglang-router': 'smg', 'sglang-launch-server': 'smg' }

/**
 * Returns what keeps a line (with its line break) in `NAME.YYYY-MM-DD`. What cannot be written is lost; that is told once, by
 * `complain`. Lines are few and small: each is written at once, so that the last one before a crash is there.
 */
export function keepIn(
  directory: string,
  dialect: string | undefined,
  { now, complain }: { readonly now: () => number; readonly complain: (problem: string) => void },
): (line: string) => void {
  const name = dialect === undefined ? 'fetchway' : (NAMES[dialect] ?? dialect)
  let isBroken = false
  return (line) => {
    try {
      appendTo(directory, `${name}.${new Date(now()).toISOString().slice(0, 10)}`, line)
    } catch (error) {
      if (!isBroken) complain(`no log lines in ${directory}: ${String(error)}`)
      isBroken = true
    }
  }
}

function appendTo(directory: string, file: string, line: string): void {
  try {
    appendFileSync(join(directory, file), line)
  } catch {
    // The first line of all, or somebody cleared up.
    mkdirSync(directory, { recursive: true })
    appendFileSync(join(directory, file), line)
  }
}
