// `fetchway bench run|sweep|chat`: load on any OpenAI endpoint, and what came of it.
import type { Command, Status } from '../command.ts'

const KINDS: Readonly<Record<string, () => Promise<Command>>> = {
  run: async () => (await import('./run.ts')).benchRun,
  sweep: async () => (await import('./run.ts')).benchSweep,
  chat: async () => (await import('./chat.ts')).benchChat,
}

/** Runs one of them. Status 2: there is none of that name. */
export async function bench([kind = '', ...rest]: readonly string[]): Promise<Status> {
  const load = Object.hasOwn(KINDS, kind) ? KINDS[kind] : undefined
  if (load) return (await load())(rest)
  const isHelp = kind === '--help' || kind === '-h'
  const text = `usage: fetchway bench ${Object.keys(KINDS).join('|')} [flags]; --help after one of them shows its flags\n`
  ;(isHelp ? process.stdout : process.stderr).write(text)
  return isHelp ? 0 : 2
}
