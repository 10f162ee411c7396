// What threads cost and give: decisions a second of the thread where the actors live, and router CPU per request with several
// serving threads against one. usage: node bench/threads.ts [--rounds N] [--columns LIST] [--threads N] [--cell MS]
// [--picks-only] [--spread]
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { openDoor, remoteActors } from '../adapters/node/threads/home.ts'
import { Line } from '../adapters/node/threads/line.ts'
import { createSeams } from '../adapters/node/host.ts'
import { localActors, memoryStorage } from '../src/actors/local.ts'
import type { Ask } from '../src/actors/ask.ts'
import { configSchema } from '../src/config/schema.ts'
import { measureCpu } from './cpu.ts'
import { launch, type Router } from './routers.ts'
import { sumOf } from './samples.ts'
import { freePort, separateCores, type Setup } from './setup.ts'
import { median, seeded } from './stats.ts'

const root = join(import.meta.dirname, '..')

/** What a thread of callers is told. */
interface Callers {
  readonly calls: number
  /** Calls under way at once. */
  readonly width: number
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '9' },
      columns: { type: 'string', default: 'json1,sse0' },
      threads: { type: 'string', default: '2' },
      cell: { type: 'string', default: '200' },
      'picks-only': { type: 'boolean', default: false },
      spread: { type: 'boolean', default: false },
    },
  })
  for (const width of [1, 8, 32, 128]) await measurePicks(Number(values.threads), { calls: 40_000, width })
  if (!values['picks-only'])
    await measureRequests(Number(values.threads), values.spread ? null : separateCores(), {
      rounds: Number(values.rounds),
      columns: values.columns.split(','),
      cell: Number(values.cell),
      reference: '1 thread',
      // Each thread compiles for itself; before all have, their compilers are what is measured.
      warmth: 2 * Number(values.threads),
    })
}

/** Each call is what a request makes: a pick that is waited for, the note of its first token, and its end. */
async function measurePicks(threads: number, { calls, width }: Callers): Promise<void> {
  const worker = (index: number) => ({ url: `http://127.0.0.1:${10_000 + index}`, engine: 'vllm' as const })
  const workers = Array.from({ length: 8 }, (_, index) => ({ ...worker(index), models: ['m'] }))
  const config = configSchema.parse({ workers, healthInterval: 'off', state: 'off' })
  const seams = createSeams(() => undefined)
  const actors = localActors(config, seams, memoryStorage)
  const before = taskCpu()
  let began = 0
  const all = Array.from({ length: threads }, () => {
    const thread = new Worker(import.meta.filename, { workerData: { calls: calls / threads, width } })
    const door = openDoor(actors)
    const fail = (error: unknown) => console.error(error)
    const target = (kind: string, name: string) => {
      began ||= performance.now()
      return door.find(kind, name)
    }
    void new Line(thread, { target, onError: fail })
    return new Promise((resolve) => thread.once('exit', resolve))
  })
  await Promise.all(all)
  const wall = performance.now() - began
  const micros = (taskCpu() - before) / 1000 / calls
  const left = (await actors.pool('main').view()).leases
  seams.close()
  console.log(
    `${threads} threads × ${width} calls at once: ${micros.toFixed(1)} µs of the state thread a call, so ${Math.round(1e6 / micros)} a second of its CPU; ${Math.round((calls / wall) * 1000)} a second by the clock; ${left} leases left`,
  )
}

/** CPU ns of this thread alone (Linux). */
const taskCpu = (): number =>
  Number(readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'latin1').split(' ')[0])

async function callers({ calls, width }: Callers): Promise<void> {
  if (!parentPort) return
  const line = new Line(parentPort, { target: () => undefined, onError: () => undefined })
  const pool = remoteActors(line).pool('main')
  const prefix = Math.random().toString(36).slice(2)
  let made = 0
  const caller = async () => {
    while (made < calls) {
      const id = `${prefix}${made++}`
      const picked = await pool.pick(askOf(id))
      if ('refusal' in picked) throw new Error(picked.refusal.code)
      void pool.note([{ id, kind: 'first', after: 50 }])
      void pool.settle(id, { kind: 'done', status: 200, usage: USAGE })
    }
  }
  await Promise.all(Array.from({ length: width }, caller))
  await pool.view()
  parentPort.unref()
  process.exit(0)
}

const USAGE = { promptTokens: 256, cachedTokens: null, completionTokens: 64, estimated: false }

function askOf(id: string): Ask {
  const plain = {
    id,
    model: 'm',
    prefix: null,
    promptBytes: 0,
    tokens: 256,
    session: null,
    priority: 0,
    tenant: 'default',
  }
  const rest = { stream: true, queueUntil: Date.now() + 60_000, engines: null, pin: null, makesState: false }
  return { ...plain, ...rest }
}

/**
 * The same table as that of the side-by-side benchmark, of the router with one thread and with several. On a `core` of
 * their own what they cost is told exactly; spread over all, several get less to do at a time, and read events one by one.
 */
async function measureRequests(
  threads: number,
  core: string | null,
  options: Parameters<typeof measureCpu>[2],
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'bench-'))
  const ports = [await freePort(), await freePort()]
  const engine = launch(
    [process.execPath, join(root, 'bench/engine.ts'), ...ports.map(String)],
    join(folder, 'engine'),
    core === null ? null : '1',
  )
  const engines = ports.map((port) => `http://127.0.0.1:${port}`)
  const setup: Setup = { engines, folder, core, random: seeded(Date.now()) }
  try {
    const { rows } = await measureCpu(setup, [routerOf(1), routerOf(threads)], options)
    // Side by side they can only run where there are cores for them, for the load and for the engines.
    if (core === null)
      for (const { router, column, rates } of rows)
        console.log(`${router}, ${column}: ${Math.round(median(rates))} calls a second`)
  } finally {
    engine.kill()
    rmSync(folder, { recursive: true, force: true })
  }
}

const routerOf = (threads: number): Router => ({
  name: threads === 1 ? '1 thread' : `${threads} threads`,
  command({ port, workers }) {
    const flags = ['--port', String(port), '--threads', String(threads), '--log-level', 'warn']
    return [process.execPath, join(root, 'adapters/node.js'), ...flags, '--state', 'off', ...workers]
  },
  counted: async ({ port }) =>
    sumOf(await (await fetch(`http://127.0.0.1:${port}/metrics`)).text(), 'fetchway_requests_total'),
})

if (isMainThread) await main()
else await callers(workerData as Callers)
