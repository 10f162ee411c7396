// The handler for `deno serve adapters/deno.ts`, configured by FETCHWAY_… variables, a file, and arguments behind the script.
// Deno listens, by its own --host and --port; the program with flags for those is deno/program.ts.
import process from 'node:process'
import { notYet } from './cli/serve.ts'
import { loadSources, printIssues } from './cli/sources.ts'
import type { Config } from '../src/config/schema.ts'
import type { DenoAddress } from './deno/deno-types.ts'
import { countLive, servePlatform, urlOf } from './deno/platform.ts'
import { surroundings } from './deno/surroundings.ts'
import { endOnSignals, untilIdle } from './web/ending.ts'
import { announce, listenForAdmin, startApp, type Listener, type Started } from './web/serve.ts'

const loaded = await loadSources(process.argv.slice(2), surroundings())
printIssues(loaded.issues)
const missing = loaded.config && notYet(loaded.config)
if (missing) process.stderr.write(`fetchway: ${missing}\n`)
if (loaded.config === null || missing) process.exit(2)
const { config } = loaded
let started: Promise<Started> | null = null

/** What of the configuration depends on where Deno really listens: who may use the control plane, and where state is kept. */
type Place = Pick<Config, 'host' | 'port'>

/** A unix socket is open to nobody but those who may open its file. */
const LOCAL: Place = { host: '127.0.0.1', port: 0 }
/** Before Deno says where it listens, the control plane is as closed as on an open address. */
const UNKNOWN: Place = { host: '0.0.0.0', port: 0 }

const start = (place: Place) => (started ??= startOnce({ ...config, ...place }))

async function startOnce(placed: Config): Promise<Started> {
  const one = await startApp(servePlatform, placed)
  const admin = await listenForAdmin(servePlatform, placed, one)
  endOnSignals(() => one.end(admin ? [main, admin] : [main]), one.log)
  return one
}

const counted = countLive(async (request) => (await start(UNKNOWN)).fetch(request))
/** Deno closes its listener with the process, so that nothing is left to do but to wait. */
const main: Pick<Listener, 'close'> = {
  close: (graceMs) => untilIdle(counted.live, performance.now() + graceMs),
}

export default {
  onListen(address: DenoAddress): void {
    announce(config, urlOf(address, 'http'), config.adminListen ?? null)
    const place = 'port' in address ? { host: address.hostname, port: address.port } : LOCAL
    start(place).catch(fail)
  },
  fetch: counted.handle,
}

function fail(error: unknown): never {
  process.stderr.write(`fetchway: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exit(1)
}
