// The soak: aborts, dying and stalling workers, a thousand open streams, and memory. Everything must be back at zero.
// Usage: node bench/soak.ts [--requests 10000] [--streams 1000] [--growth 20000] [--policy least_load] [--seed 1]
import type { ChildProcess } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { columns, makeBodies, type Column } from './bodies.ts'
import { drive } from './load.ts'
import { launch } from './routers.ts'
import { freePort } from './setup.ts'
import { soak } from './soak-load.ts'
import { seeded } from './stats.ts'

const { values: flags } = parseArgs({
  options: {
    requests: { type: 'string', default: '10000' },
    streams: { type: 'string', default: '1000' },
    growth: { type: 'string', default: '20000' },
    policy: { type: 'string', default: 'least_load' },
    seed: { type: 'string', default: '1' },
  },
})

const folder = mkdtempSync(join(tmpdir(), 'soak-'))
let failures = 0

/** Gauges that do not count what is under way. */
const standing =
  /_info$|^process_|lag|^fetchway_workers$|worker_up$|worker_healthy$|kv_usage|breaker|limit|capacity|_start_|index|prefix|uptime|_per_second$/

try {
  if (Number(flags.requests) > 0) await soakWithFaults()
  if (Number(flags.streams) > 0) await holdStreams()
  if (Number(flags.growth) > 0) await watchMemory()
} finally {
  rmSync(folder, { recursive: true, force: true })
}
console.log(failures === 0 ? 'soak: all well' : `soak: ${failures} checks failed`)
process.exit(failures === 0 ? 0 : 1)

function check(isRight: boolean, what: string): void {
  if (!isRight) failures++
  console.log(`${isRight ? 'ok  ' : 'FAIL'}  ${what}`)
}

function begin(command: readonly string[], log: string, env: Record<string, string> = {}): ChildProcess {
  return launch(command, join(folder, log), null, env)
}

/** A router under watch. */
interface Watched {
  readonly port: number
  readonly child: ChildProcess
  readonly log: string
  readonly memoryFile: string
}

async function beginRouter(
  name: string,
  workers: readonly string[],
  more: readonly string[],
): Promise<Watched> {
  const port = await freePort()
  const memoryFile = join(folder, `${name}.json`)
  const node = [
    process.execPath,
    '--expose-gc',
    '--import',
    join(import.meta.dirname, 'gc-hook.ts'),
    'adapters/node.js',
  ]
  const own = [
    '--port',
    String(port),
    '--policy',
    flags.policy,
    '--log-level',
    'warn',
    '--log-format',
    'json',
  ]
  const child = begin([...node, ...own, ...more, ...workers], name, { BENCH_MEMORY_FILE: memoryFile })
  const router = { port, child, log: join(folder, name), memoryFile }
  await until(() => isServing(port), `${name} did not start: ${tail(router)}`)
  return router
}

function beginEngine(index: number, port: number): ChildProcess {
  const kind = index % 2 === 0 ? 'vllm' : 'sglang'
  return begin(
    [
      process.execPath,
      'adapters/node.js',
      'engine',
      '--engine',
      kind,
      '--port',
      String(port),
      '--speed',
      '0.2',
    ],
    `engine-${index}`,
  )
}

/** Aborts in four places, faults asked of the engines, and engines killed, restarted and stopped under load. */
async function soakWithFaults(): Promise<void> {
  const ports = await Promise.all([0, 1, 2, 3].map(freePort))
  const engines = ports.map((port, index) => beginEngine(index, port))
  for (const port of ports) await until(() => isServing(port), 'an engine did not start')
  const urls = ports.map((port) => `http://127.0.0.1:${port}`)
  const limits = [
    '--max-in-flight-per-worker',
    '12',
    '--queue-timeout',
    '10s',
    '--first-token-timeout',
    '4s',
    '--idle-timeout',
    '2s',
  ]
  const health = ['--health-interval', '1s', '--health-timeout', '1s', '--breaker-open', '1s']
  const router = await beginRouter('router-faults', urls, [...limits, ...health])

  const stop = new AbortController()
  const havoc = wreak(engines, ports, stop.signal)
  const began = performance.now()
  const endings = await soak({
    port: router.port,
    requests: Number(flags.requests),
    clients: 100,
    random: seeded(Number(flags.seed)),
  })
  stop.abort()
  await havoc
  for (const port of ports) await until(() => isServing(port), 'an engine did not come back')
  console.log(`${flags.requests} requests in ${((performance.now() - began) / 1000).toFixed(1)} s:`)
  for (const [ending, count] of [...endings].sort((a, b) => b[1] - a[1]))
    console.log(`      ${String(count).padStart(6)} ${ending}`)
  check(!endings.has('hung'), 'no request was left hanging')
  check(!endings.has('broken (stream that looks finished)'), 'no stream that died looks finished')
  check(!endings.has('broken (cut JSON with a whole head)'), 'no cut answer looks whole')
  await checkRest(router)
  for (const port of ports) {
    await until(async () => (await runningOn(port)) === 0, '').catch(() => undefined)
    check((await runningOn(port)) === 0, `engine on ${port} runs nothing any more`)
  }
  for (const engine of engines) engine.kill('SIGKILL')
  await stopRouter(router)
}

/** Every second: one engine is killed and started again, or stopped for a while. */
async function wreak(engines: ChildProcess[], ports: readonly number[], signal: AbortSignal): Promise<void> {
  const random = seeded(Number(flags.seed) + 1)
  let victim = 0
  while (!signal.aborted) {
    await sleep(1500)
    const index = victim++ % engines.length
    const engine = engines[index] as ChildProcess
    if (random() < 0.5) {
      engine.kill('SIGKILL')
      await sleep(700)
      engines[index] = beginEngine(index, ports[index] as number)
    } else {
      engine.kill('SIGSTOP')
      await sleep(500 + random() * 2500)
      engine.kill('SIGCONT')
    }
  }
}

/** Many streams from begin to end at once. */
async function holdStreams(): Promise<void> {
  const clients = Number(flags.streams)
  const column: Column = { name: 'sse250', title: '', bytes: 1024, reply: 'sse250', clients }
  const router = await beginRouter('router-streams', await beginMocks(), [])
  const before = await memory(router)
  const load = await drive({ port: router.port, column, bodies: makeBodies(column), requests: 0, clients })
  check(
    load.errors.length === 0,
    `${clients} streams of 16 s ran whole${load.errors.map((error) => `; ${error}`).join('')}`,
  )
  await checkRest(router)
  const after = await memory(router)
  console.log(
    `      RSS ${mib(before.rss)} before, ${mib(after.rss)} MiB after; heap ${mib(before.heapUsed)}, ${mib(after.heapUsed)}`,
  )
  await stopRouter(router)
}

/** Memory that stays after forced collections, per batch of requests. */
async function watchMemory(): Promise<void> {
  const requests = Number(flags.growth)
  const router = await beginRouter('router-memory', await beginMocks(), [])
  const figures: Memory[] = []
  const chosen = columns.filter(({ name }) => ['json1', 'json16', 'sse0'].includes(name))
  const bodies = new Map(chosen.map((column) => [column, makeBodies(column)]))
  for (let batch = 0; batch < 5; batch++) {
    for (const [column, source] of bodies) {
      const load = await drive({
        port: router.port,
        column,
        bodies: source,
        requests: Math.ceil(requests / chosen.length),
        clients: 32,
      })
      if (load.errors.length > 0) check(false, `batch ${batch}: ${load.errors[0]}`)
    }
    figures.push(await memory(router))
    const { rss, heapUsed, external } = figures.at(-1) as Memory
    console.log(
      `      after ${(batch + 1) * requests} requests: RSS ${mib(rss)}, heap ${mib(heapUsed)}, external ${mib(external)} MiB`,
    )
  }
  // The first two batches are warm-up: code, pools, and the arena that the allocator keeps.
  const settled = figures.slice(2)
  const growth = (pick: (one: Memory) => number) =>
    (pick(settled.at(-1) as Memory) - pick(figures[1] as Memory)) / settled.length / 2 ** 20
  check(
    growth(({ heapUsed }) => heapUsed) < 2,
    `heap grows by ${growth(({ heapUsed }) => heapUsed).toFixed(2)} MiB per ${requests} requests`,
  )
  check(
    growth(({ rss }) => rss) < 4,
    `RSS grows by ${growth(({ rss }) => rss).toFixed(2)} MiB per ${requests} requests`,
  )
  await stopRouter(router)
}

async function beginMocks(): Promise<string[]> {
  const ports = [await freePort(), await freePort()]
  begin([process.execPath, join(import.meta.dirname, 'engine.ts'), ...ports.map(String)], 'mocks')
  for (const port of ports) await until(() => isServing(port), 'a mock engine did not start')
  return ports.map((port) => `http://127.0.0.1:${port}`)
}

/** After the load: gauges at zero, no rejection that nobody handled, no warning, still alive. */
async function checkRest(router: Watched): Promise<void> {
  await until(async () => (await raised(router.port)).length === 0, '', 15_000).catch(() => undefined)
  const left = await raised(router.port)
  check(left.length === 0, `all gauges are back at 0${left.map((line) => `; ${line}`).join('')}`)
  const { warnings, uncaught } = await memory(router)
  check(
    uncaught.length === 0,
    `nothing was thrown past everyone${uncaught.map((line) => `; ${line}`).join('')}`,
  )
  check(warnings === 0, `${warnings} process warnings`)
  check(
    !/unhandled|uncaught/i.test(readFileSync(router.log, 'utf8')),
    'the log tells of no unhandled rejection',
  )
  check(router.child.exitCode === null && router.child.signalCode === null, 'the router still runs')
}

async function stopRouter(router: Watched): Promise<void> {
  const gone = new Promise<boolean>((resolve) => router.child.once('exit', () => resolve(true)))
  router.child.kill('SIGTERM')
  check(await Promise.race([gone, sleep(5000, false)]), 'the idle router ends within 5 s of SIGTERM')
  router.child.kill('SIGKILL')
}

/** The samples of gauges that should be 0 and are not. */
async function raised(port: number): Promise<string[]> {
  const lines = (await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()).split('\n')
  const gauges = lines
    .filter((line) => /^# TYPE \S+ gauge$/.test(line))
    .map((line) => line.split(' ')[2] as string)
  const counting = new Set(gauges.filter((name) => !standing.test(name)))
  if (counting.size === 0) return ['no gauges at all']
  return lines.filter(
    (line) => counting.has(line.split(/[{ ]/)[0] ?? '') && Number(line.split(' ').at(-1)) !== 0,
  )
}

async function runningOn(port: number): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
  const samples = text
    .split('\n')
    .filter((line) => /^(vllm:num_requests_(running|waiting)|sglang:num_(running|queue)_reqs)[{ ]/.test(line))
  return samples.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)
}

interface Memory {
  readonly rss: number
  readonly heapUsed: number
  readonly external: number
  readonly warnings: number
  readonly uncaught: readonly string[]
}

/** Memory after forced collection. */
async function memory(router: Watched): Promise<Memory> {
  rmSync(router.memoryFile, { force: true })
  router.child.kill('SIGUSR2')
  await until(
    async () => existsSync(router.memoryFile) && readFileSync(router.memoryFile, 'utf8').endsWith('}'),
    `no word from the router: ${tail(router)}`,
  )
  return JSON.parse(readFileSync(router.memoryFile, 'utf8')) as Memory
}

async function isServing(port: number): Promise<boolean> {
  const answer = await fetch(`http://127.0.0.1:${port}/health`).catch(() => null)
  await answer?.body?.cancel()
  return answer?.status === 200
}

async function until(isTrue: () => Promise<boolean>, complaint: string, patience = 60_000): Promise<void> {
  const deadline = performance.now() + patience
  while (!(await isTrue())) {
    if (performance.now() > deadline) throw new Error(complaint)
    await sleep(50)
  }
}

function tail(router: { log: string }): string {
  return existsSync(router.log) ? readFileSync(router.log, 'utf8').slice(-600) : ''
}

function mib(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(1)
}
