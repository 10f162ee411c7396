// The command line: finds the command and hands over to its file, which is loaded only then.
import { suggest } from '../../src/config/nearest.ts'
import { printVersion, type Command, type Status } from './command.ts'
import type { Program } from './serve.ts'

const COMMANDS: Readonly<Record<string, (program?: Program) => Promise<Command>>> = {
  serve: async (program) => {
    const { serve } = await import('./serve.ts')
    return (argv) => serve(argv, program)
  },
  demo: async () => (await import('./demo.ts')).demo,
  engine: async () => (await import('./engine.ts')).engine,
  connect: async (program) => {
    const { connect } = await import('./connect.ts')
    return (argv) => connect(argv, program?.dialer)
  },
  config: async () => (await import('./config.ts')).config,
  replay: async () => (await import('./replay.ts')).replayTrace,
  as: async (program) => {
    const { as } = await import('./as.ts')
    return (argv) => as(argv, program)
  },
  import: async (program) => {
    const { importFlags } = await import('./as.ts')
    return (argv) => importFlags(argv, program)
  },
  bench: async () => (await import('./bench/bench.ts')).bench,
  smoke: async () => (await import('./smoke.ts')).smoke,
  help: () => Promise.resolve(help),
}

/**
 * Runs one command line and sets the process's exit status: 0 done, 1 failed, 2 not understood.
 * @param argv without node and script
 * @param program what serves; Node's own server by default
 */
export async function main(argv: readonly string[], program?: Program): Promise<void> {
  process.stdout.on('error', leaveOnClosedPipe)
  process.stderr.on('error', () => undefined) // a router goes on when nobody reads its log any more
  try {
    const status = await run(argv, program)
    if (status !== null) process.exitCode = status
  } catch (error) {
    process.stderr.write(`fetchway: ${error instanceof Error ? error.message : String(error)}\n`)
    if (process.env['FETCHWAY_LOG_LEVEL'] === 'debug' && error instanceof Error)
      process.stderr.write(`${error.stack ?? ''}\n`)
    process.exitCode = 1
  }
}

async function run(argv: readonly string[], program?: Program): Promise<Status> {
  const [first, ...rest] = argv
  if (argv.length === 1 && (first === '--version' || first === '-V' || first === '-v')) return printVersion()
  if (first !== undefined && isWord(first)) {
    const load = Object.hasOwn(COMMANDS, first) ? COMMANDS[first] : undefined
    if (load) return (await load(program))(rest)
    const hint = suggest(first, Object.keys(COMMANDS)) || '; see fetchway help'
    process.stderr.write(`fetchway: unknown command ${first}${hint} (a worker needs a port or http://)\n`)
    return 2
  }
  return (await import('./serve.ts')).serve(argv, program)
}

/** Commands are bare words; workers have a port, a dot, a slash, or are this machine. */
const isWord = (text: string): boolean => /^[a-z][a-z_-]*$/i.test(text) && text !== 'localhost'

async function help(): Promise<Status> {
  const { helpText } = await import('./help.ts')
  process.stdout.write(helpText())
  return 0
}

/** `fetchway help | head` must not end in a stack trace. */
function leaveOnClosedPipe(error: NodeJS.ErrnoException): void {
  if (error.code === 'EPIPE') process.exit(0)
}
