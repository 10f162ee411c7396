// Settings that Bun takes from its environment alone, and only when it starts.
import process from 'node:process'

const SETTINGS: Readonly<Record<string, string>> = {
  // JavaScriptCore throws compiled code away that rested for two minutes: the next calls cost five times as much.
  BUN_JSC_forceCodeBlockLiveness: '1',
  // Free memory goes back to the system a minute later, and as whole pages of the allocator's. By default it goes at once, in pieces, and is
  // asked for again: 2.1 madvise and 20 page faults a paced stream, 0.1 and 9 so.
  MIMALLOC_PURGE_DELAY: '60000',
  MIMALLOC_PURGE_HOLES: '0',
}

/** What is to be set beside these variables; null: nothing. */
function settingsBeside(env: NodeJS.ProcessEnv): Record<string, string> | null {
  const missing = Object.entries(SETTINGS).filter(([name]) => env[name] === undefined)
  return missing.length === 0 ? null : Object.fromEntries(missing)
}

/**
 * Starts the program once more, as the same process, where it lacks settings: call it before anything else, for what was begun is lost.
 * Returns where it has all, or where there is no such start.
 */
export function restartWithSettings(): void {
  const { env, argv, argv0, execArgv, execPath } = process
  const missing = settingsBeside(env)
  if (missing === null) return forget(env)
  // Compiled, it has a script that Bun itself puts there.
  const [script = '', ...own] = argv.slice(1)
  const args = script.startsWith('/$bunfs/') ? own : [...execArgv, script, ...own]
  try {
    process.execve?.(execPath, [argv0, ...args], { ...env, ...missing })
  } catch {
    // It is dearer without, that is all.
  }
}

/** Programs that are started from here need none of it. */
function forget(env: NodeJS.ProcessEnv): void {
  for (const [name, value] of Object.entries(SETTINGS)) if (env[name] === value) delete env[name]
}
