// The router as a process, and what it counts.
import { spawn, type ChildProcess } from 'node:child_process'
import { get } from 'node:http'
import { join } from 'node:path'

const root = join(import.meta.dirname, '../..')

/** Where clients find it. */
export type Door = { readonly port: number; readonly host: string } | { readonly path: string }

export interface RouterProcess {
  readonly door: Door
  readonly child: ChildProcess
  /** All that it has said. */
  log(): string
}

/** Starts a router in front of these workers; `runtime`: node or bun. `path`: the unix socket that it listens on in place of a port. */
export async function startRouter(
  runtime: string,
  workers: readonly string[],
  { flags, path }: { readonly flags: readonly string[]; readonly path?: string | undefined },
): Promise<RouterProcess> {
  const program =
    runtime === 'bun'
      ? [join(root, 'node_modules/.bin/bun'), 'adapters/bun.ts']
      : [process.execPath, 'adapters/node.js']
  const own = [
    ...(path === undefined ? ['--port', '0'] : ['--socket', path]),
    '--state',
    'off',
    '--log-level',
    'warn',
    '--breaker-failures',
    '0',
    '--min-upload-rate',
    'off',
  ]
  const retries = ['--retry-budget', '1', '--retry-floor', '10000', '--retry-delay', '1ms']
  const [command, ...args] = [...program, ...own, ...retries, ...flags, ...workers]
  const child = spawn(command!, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] })
  let log = ''
  const door = await new Promise<Door>((resolve, reject) => {
    const hear = (bytes: Buffer) => {
      log += bytes.toString()
      const found = /Listening on http:\/\/127\.0\.0\.1:(\d+)/.exec(log)?.[1]
      if (found !== undefined) resolve({ port: Number(found), host: '127.0.0.1' })
      else if (path !== undefined && log.includes('Listening on unix:')) resolve({ path })
    }
    child.stdout.on('data', hear)
    child.stderr.on('data', hear)
    child.once('exit', (code) => reject(new Error(`the router ended with ${code}: ${log}`)))
  })
  return { door, child, log: () => log }
}

/** What must be 0 when nothing is under way. */
const GAUGES =
  /^fetchway_(in_flight|leases|queue_depth|buffered_bytes|worker_in_flight|worker_backlog_tokens|worker_held_tokens)(\{|$)/

/** Of the metrics: each gauge that is not 0, and sums of counters. */
export async function readMetrics(door: Door): Promise<{ left: string[]; sum: (name: string) => number }> {
  const text = await new Promise<string>((resolve, reject) => {
    const where = 'path' in door ? { socketPath: door.path } : door
    const asked = get({ ...where, path: '/metrics', agent: false }, (response) => {
      let body = ''
      response.setEncoding('utf8').on('data', (part: string) => (body += part))
      response.on('end', () => resolve(body))
    })
    asked.on('error', reject)
  })
  const series = text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => ({
      name: line.slice(0, line.lastIndexOf(' ')),
      value: Number(line.slice(line.lastIndexOf(' '))),
    }))
  return {
    left: series
      .filter(({ name, value }) => GAUGES.test(name) && value !== 0)
      .map(({ name, value }) => `${name} ${value}`),
    sum: (name) =>
      series
        .filter((one) => one.name === name || one.name.startsWith(`${name}{`))
        .reduce((total, { value }) => total + value, 0),
  }
}
