// The rows of the table: how each router is started, and when it is ready.
import { spawn, type ChildProcess } from 'node:child_process'
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { columns, makeBodies } from './bodies.ts'
import { drive } from './load.ts'
import { prove, type Proof } from './proofs.ts'
import { sumOf } from './samples.ts'

const here = import.meta.dirname
const root = join(here, '..')
const peers = join(here, '.peers')

/** Where a router listens and what it stands in front of. */
export interface Place {
  readonly port: number
  readonly metricsPort: number
  readonly workers: readonly string[]
  /** A folder for its files. */
  readonly folder: string
}

export interface Router {
  readonly name: string
  /** The command line, or null when it is not installed. */
  command(place: Place): readonly string[] | null
  /** Requests the router says it has had so far, for those that count. */
  counted?(place: Place): Promise<number>
  /** What is missing of all that must be switched on for the row to count. */
  prove?(place: Place): Promise<Proof>
}

/** A router that runs. */
export interface Running {
  readonly router: Router
  readonly place: Place
  readonly pid: number
  /** Ends it; resolves when it is gone. */
  stop(): Promise<void>
  /** The end of what it printed. */
  tail(): string
}

const python = join(peers, 'venv/bin/python')
const peer = (name: string, flags: (place: Place) => readonly string[]): Router => ({
  name,
  command: (place) => (existsSync(python) ? [...flags(place)] : null),
})

const rust = (place: Place, policy: string) => {
  const workers = ['--worker-urls', ...place.workers, '--worker-startup-check-interval', '1']
  const metrics = ['--prometheus-host', '127.0.0.1', '--prometheus-port', String(place.metricsPort)]
  return ['--host', '127.0.0.1', '--port', String(place.port), '--policy', policy, ...workers, ...metrics]
}
const sglang = (policy: string) =>
  peer(`sglang-router ${policy}`, (place) => [
    python,
    '-m',
    'sglang_router.launch_router',
    ...rust(place, policy),
    '--log-level',
    'warn',
  ])
const vllm = (policy: string) =>
  peer(`vllm-router ${policy}`, (place) => [
    join(peers, 'venv/bin/vllm-router'),
    ...rust(place, policy),
    '--log-level',
    'warning',
  ])
const smg = (policy: string) =>
  peer(`smg ${policy}`, (place) => [
    join(peers, 'venv/bin/smg'),
    'launch',
    ...rust(place, policy),
    '--log-level',
    'warn',
  ])

/** `runtime`: another program than this Node, and the adapter that it runs. */
const fetchway = (policy: string, runtime?: { name: string; program: string; adapter: string }): Router => ({
  name: `fetchway ${policy}${runtime ? ` on ${runtime.name}` : ''}`,
  command({ port, workers }) {
    const { program, adapter } = runtime ?? { program: process.execPath, adapter: 'adapters/node.js' }
    const flags = ['--port', String(port), '--policy', policy, '--log-level', 'warn']
    return existsSync(program) && existsSync(join(root, adapter))
      ? [program, adapter, ...flags, ...workers]
      : null
  },
  prove: (place) => prove(place, policy),
  counted: async ({ port }) =>
    sumOf(await (await fetch(`http://127.0.0.1:${port}/metrics`)).text(), 'fetchway_requests_total'),
})

const nginx: Router = {
  name: 'nginx',
  command(place) {
    const executable = join(peers, 'nginx')
    if (!existsSync(executable)) return null
    writeFileSync(join(place.folder, 'nginx.conf'), nginxConfig(place))
    return [executable, '-p', place.folder, '-c', join(place.folder, 'nginx.conf'), '-e', 'stderr']
  },
}

const baseline: Router = {
  name: 'bare node',
  command: ({ port, workers }) => [process.execPath, join(here, 'baseline.ts'), String(port), ...workers],
}

const BUN = { name: 'bun', program: join(root, 'node_modules/.bin/bun'), adapter: 'adapters/bun.ts' }

/** All rows, in the order of the table. */
export const routers: readonly Router[] = [
  nginx,
  baseline,
  fetchway('round_robin'),
  fetchway('least_load'),
  fetchway('cache_aware'),
  fetchway('least_cost'),
  fetchway('round_robin', BUN),
  vllm('round_robin'),
  vllm('cache_aware'),
  sglang('round_robin'),
  sglang('cache_aware'),
  smg('round_robin'),
  smg('cache_aware'),
]

/** Starts a router on one core and waits until it serves chat; throws with what it printed when it does not. */
export async function start(router: Router, place: Place, core: string | null): Promise<Running> {
  mkdirSync(place.folder, { recursive: true })
  const command = router.command(place)
  if (command === null) throw new Error('not there: run bench/peers.sh')
  const log = join(place.folder, 'log')
  const child = launch(command, log, core)
  const tail = () => readFileSync(log, 'utf8').slice(-400)
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const stop = async () => {
    child.kill('SIGTERM')
    const late = setTimeout(() => child.kill('SIGKILL'), 3000)
    await gone
    clearTimeout(late)
  }
  try {
    await serves(place.port, child)
  } catch (error) {
    await stop()
    throw new Error(`${String(error)}\n${tail()}`, { cause: error })
  }
  return { router, place, pid: child.pid as number, stop, tail }
}

const launched = new Set<ChildProcess>()
// However this process ends, what it started ends too.
process.once('exit', () => launched.forEach((child) => child.kill('SIGKILL')))
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130))

/** Starts a command with its output in a file, bound to a core where one is given. */
export function launch(
  command: readonly string[],
  log: string,
  core: string | null,
  more: Readonly<Record<string, string>> = {},
): ChildProcess {
  const [executable, ...args] = core === null ? command : ['taskset', '-c', core, ...command]
  const output = openSync(log, 'a')
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/_proxy$|^NODE_OPTIONS$/i.test(name)),
  )
  // Some look for a tokenizer on the network as soon as they know a model's name.
  env['HF_ENDPOINT'] = 'http://127.0.0.1:9'
  const child = spawn(executable as string, args, {
    cwd: root,
    env: { ...env, ...more },
    stdio: ['ignore', output, output],
  })
  closeSync(output)
  launched.add(child)
  child.once('exit', () => launched.delete(child))
  return child
}

/**
 * Waits until chat goes through, 40 times in a row: some routers answer /health before their workers are registered,
 * or register one after the other.
 */
async function serves(port: number, child: ChildProcess): Promise<void> {
  const column = columns[0] as (typeof columns)[number]
  const bodies = makeBodies(column)
  const deadline = performance.now() + 30_000
  let last = ''
  while (performance.now() < deadline) {
    if (child.exitCode !== null || child.signalCode !== null) throw new Error('ended while starting')
    const load = await drive({ port, column, bodies, requests: 39, clients: 1 })
    if (load.errors.length === 0) return
    last = load.errors[0] as string
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
  throw new Error(`did not serve within 30 s: ${last}`)
}

function nginxConfig(place: Place): string {
  const user = process.getuid?.() === 0 ? 'user root;\n' : ''
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((kind) => `${kind}_temp_path ${kind};`)
    .join(' ')
  return `${user}daemon off; master_process off; worker_processes 1; pid nginx.pid; error_log stderr warn;
events { worker_connections 8192; }
http {
  access_log off; ${temporary}
  keepalive_requests 1000000000; keepalive_timeout 75s;
  client_max_body_size 256m; client_body_buffer_size 1m; tcp_nodelay on;
  upstream engines { ${place.workers.map((url) => `server ${new URL(url).host};`).join(' ')} keepalive 2048; keepalive_requests 1000000000; }
  server {
    listen 127.0.0.1:${place.port} backlog=4096;
    location / {
      proxy_pass http://engines; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_buffering off; proxy_read_timeout 1h;
    }
  }
}
`
}
