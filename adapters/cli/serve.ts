// `fetchway serve`: loads the configuration, starts the router, and reads everything anew on SIGHUP.
import { closeSync, openSync } from 'node:fs'
import type { Running } from '../node/serve.ts'
import type { Config } from '../../src/config/schema.ts'
import { formatIssue } from '../../src/config/issues.ts'
import { fields, flagName } from '../../src/config/fields.ts'
import { readFlags } from '../../src/config/flags.ts'
import type { Loaded } from '../../src/config/load.ts'
import { planReload } from '../../src/config/reload.ts'
import type { LogEvent } from '../../src/host.ts'
import { formatLog } from '../../src/metrics/pretty.ts'
import { loadSources, printIssues, type Surroundings } from './sources.ts'
import { printVersion, type Status } from './command.ts'
import type { Dialer } from './connect.ts'
import { watchFiles } from './watch.ts'

/** What of a running router a reload needs. */
export interface Reloadable {
  reload?(config: Config): void | Promise<void>
}

/** What runs the router, and where its configuration is looked for. */
export interface Program {
  load(): Promise<{ serveApp(config: Config): Promise<Pick<Running, 'reload'>> }>
  readonly at?: Surroundings
  /** How `connect` reaches a router; Node's own way by default. */
  readonly dialer?: Dialer
  /** It can serve by several threads. */
  readonly hasThreads?: boolean
}

const onNode: Program = { load: () => import('../node/serve.ts'), hasThreads: true }

/**
 * Serves until the process is told to end.
 * @param argv arguments after the command
 * @returns 2 when the configuration is wrong, null once it listens
 */
export async function serve(argv: readonly string[], program: Program = onNode): Promise<Status> {
  const flags = readFlags(argv, fields())
  if (flags.wantsHelp) {
    process.stdout.write((await import('./help.ts')).helpText())
    return 0
  }
  if (flags.wantsVersion) return printVersion()
  return serveFrom(() => loadSources(argv, program.at), program)
}

/** What a command line of other words brings along. */
export interface Besides {
  /** Files that are followed while the router runs. */
  readonly watched?: readonly string[]
  /** What sets a key there; undefined: nothing that has a name. */
  nameOf?(key: string): string | undefined
}

/**
 * Serves by the configuration that `load` gives, now and at each reload: at SIGHUP, and when one of the files changes that are watched.
 * @returns 2 when the configuration is wrong, null once it listens
 */
export async function serveFrom(
  load: () => Promise<Loaded>,
  program: Program = onNode,
  { watched = [], nameOf }: Besides = {},
): Promise<Status> {
  // Loaded beside the configuration; should it fail, that is told only where the configuration is good.
  const router = program.load()
  router.catch(() => undefined)
  const loaded = await load()
  if (loaded.config === null) {
    printIssues(loaded.issues)
    return 2
  }
  printIssues(loaded.warnings, 'warning: ')
  const missing = notYet(loaded.config, program.hasThreads)
  if (missing !== null) {
    say(loaded.config, 'error', missing)
    return 2
  }
  const { serveApp } = await router
  try {
    const starting = serveApp(loaded.config)
    const reload = reloading(loaded.config, starting, (current, running) =>
      reloadFrom(load, current, running),
    )
    reloadOnHangup(reload)
    const { directory } = program.at ?? { directory: process.cwd() }
    if (watched.length > 0) watchFiles(watched, reload, { directory })
    await starting
    return null
  } catch (error) {
    say(loaded.config, 'error', explainStart(error, loaded.config, nameOf))
    process.exit(1) // probes may run already and would keep the process
  }
}

/** What the configuration can say but this version can't do: told at the start rather than found out later. */
export function notYet({ threads, workers, record }: Config, isNode = false): string | null {
  if (workers.some(({ via }) => via !== undefined))
    return 'a binding (via) is for Cloudflare Workers alone: give the worker a URL that this machine reaches'
  if (record !== undefined && !isNode)
    return 'recordings (--record) are for Node alone: start the router there, or leave it out'
  return threads > 1 && !isNode
    ? 'more than one thread (--threads) is for Node alone: start the router there, or leave it out'
    : null
}

/**
 * Why the router could not start, and what to do.
 * @param nameOf what sets a key on this command line: our own flag by default
 */
export function explainStart(
  error: unknown,
  config: Pick<Config, 'host' | 'port' | 'socket'>,
  nameOf: NonNullable<Besides['nameOf']> = flagName,
): string {
  if (!(error instanceof Error)) return String(error)
  const { host, port, socket } = config
  const where = socket ?? `${host}:${port}`
  const another = (key: string) => `choose another ${nameOf(key) ?? key}`
  const place = another(socket === undefined ? 'port' : 'socket')
  const { code, syscall } = error as NodeJS.ErrnoException
  switch (code) {
    case 'EADDRINUSE':
      return `${where} is taken by another program; ${place}${socket === undefined ? ' (0 takes a free one)' : ''}`
    case 'EACCES':
      return `${where} needs rights that this user lacks; ${place}${socket === undefined ? ', above 1023' : ''}`
    case 'EADDRNOTAVAIL':
      return `${where} is no address of this machine; ${another('host')}`
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `${host} is no name that this machine knows; ${another('host')}`
    default:
      // Bun has no other word for a host that it does not find.
      if (syscall === 'listen')
        return `${where} can't be listened on (${code}); ${another('host')}, or ${place}`
      // What is wrong with a file is told under its key.
      return error.message.replace(/^\w+(?=: )/, (key) => (Object.hasOwn(config, key) && nameOf(key)) || key)
  }
}

/** Reloads one after the other. */
function reloading(
  started: Config,
  starting: Promise<Reloadable>,
  again: (current: Config, running: Reloadable) => Promise<Config>,
): () => void {
  let last = Promise.resolve(started)
  return () => {
    last = last.then(async (current) => again(current, await starting))
  }
}

function reloadOnHangup(reload: () => void): void {
  const isOnTerminal = process.stdin.isTTY || process.stderr.isTTY
  process.on('SIGHUP', () => {
    if (isOnTerminal && hasLostTerminal()) return void process.kill(process.pid, 'SIGTERM')
    reload()
  })
}

/** Closing a terminal sends SIGHUP too, and whoever does so means the end. */
function hasLostTerminal(): boolean {
  try {
    closeSync(openSync('/dev/tty', 'r'))
    return false
  } catch {
    return true
  }
}

/** Loads all sources again; what is wrong is told and the running configuration stays. */
export async function reloadFrom(
  load: () => Promise<Loaded>,
  current: Config,
  running: Reloadable,
): Promise<Config> {
  const loaded = await load()
  if (loaded.config === null) {
    say(current, 'error', `${STAYS}: ${loaded.issues.map(formatIssue).join('; ')}`)
    return current
  }
  const { config, changed, needRestart } = planReload(current, loaded.config)
  if (needRestart.length > 0) say(current, 'warn', `changed, but needs a restart: ${needRestart.join(', ')}`)
  if (changed.length === 0) {
    say(current, 'info', 'reloaded: nothing has changed')
    return current
  }
  if (!running.reload) {
    say(current, 'warn', `changed, but needs a restart: ${changed.join(', ')}`)
    return current
  }
  try {
    await running.reload(config)
  } catch (error) {
    say(current, 'error', `${STAYS}: ${error instanceof Error ? error.message : String(error)}`)
    return current
  }
  say(config, 'info', `reloaded: ${changed.join(', ')}`)
  return config
}

const STAYS = 'not reloaded, the running configuration stays'

/** On stderr whatever the log level, as JSON where logs are. */
function say({ logFormat: format }: Config, level: LogEvent['level'], message: string): void {
  const isJson = format === 'json'
  const line = isJson ? formatLog({ level, message }, { format, at: Date.now() }) : `fetchway: ${message}`
  process.stderr.write(`${line}\n`)
}
