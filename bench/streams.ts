// Open streams on one core: 10,000 SSE answers with an event a second each, through one Node; errors and how late events come.
// usage: node bench/streams.ts [--streams N] [--seconds N] [--interval MS] [--routers N] [--json FILE]
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import { cpuBetween, readCpu, readReady, readRss } from './proc.ts'
import { launch } from './routers.ts'
import { freePort, separateCores } from './setup.ts'
import type { StreamsSeen } from './streams/client.ts'

const { values: flags } = parseArgs({
  options: {
    streams: { type: 'string', default: '10000' },
    seconds: { type: 'string', default: '30' },
    interval: { type: 'string', default: '1000' },
    routers: { type: 'string' },
    json: { type: 'string' },
  },
})

const streams = Number(flags.streams)
const seconds = Number(flags.seconds)
const interval = Number(flags.interval)
const here = import.meta.dirname
const folder = mkdtempSync(join(tmpdir(), 'bench-'))
const core = separateCores()
const processes: ChildProcess[] = []
const lines = new WeakMap<ChildProcess, AsyncIterator<string>>()

try {
  const routers = Number(flags.routers ?? fewestRouters())
  const limit = openFiles()
  console.log(
    `${streams} streams, an event each ${interval} ms, for ${seconds} s; ${routers} router${routers > 1 ? 's' : ''} on one core; ${limit} open files a process`,
  )
  const engine = part('engine.ts', [String(interval)])
  const engineUrl = `http://127.0.0.1:${await nextLine(engine)}`
  const started = await Promise.all(Array.from({ length: routers }, () => startRouter(engineUrl)))
  const ports = started.map(({ port }) => String(port))
  const client = part('client.ts', [String(streams), String(seconds * 1000), String(interval), ...ports])
  // Events begin when all are open: on a busy machine those of the first would leave no time to open the last.
  const opening = performance.now()
  await nextLine(client)
  console.log(`opened in ${((performance.now() - opening) / 1000).toFixed(0)} s`)
  engine.stdin!.write('go\n')
  await nextLine(client)
  const pids = started.map(({ pid }) => pid)
  const parts = { routers: pids, engine: [engine.pid!], client: [client.pid!] }
  const before = pids.map(readCpu)
  const ready = waits(parts)
  const rss = pids.map(readRss)
  const seen = JSON.parse(await nextLine(client)) as StreamsSeen
  const nanos = pids.reduce((sum, pid, at) => sum + cpuBetween(before[at]!, readCpu(pid)), 0)
  const waited = Object.entries(waits(parts)).map(
    ([name, wait]) => [name, (wait - ready[name]!) / 1e6 / seen.wall] as const,
  )
  report(seen, { share: nanos / 1e6 / seen.wall, micros: nanos / 1000 / seen.events, waited, rss })
} finally {
  for (const child of processes) child.kill('SIGKILL')
  rmSync(folder, { recursive: true, force: true })
}

interface Cost {
  /** Of the core. */
  readonly share: number
  /** CPU µs of the routers an event. */
  readonly micros: number
  /** Share of the time that they were ready and had no core, which is what other work on the machine adds to delays. */
  readonly waited: readonly (readonly [string, number])[]
  /** MiB of each router. */
  readonly rss: readonly number[]
}

function report(seen: StreamsSeen, cost: Cost): void {
  const ms = (value: number) => `${value.toFixed(1)} ms`
  const due = Math.floor((streams * seen.wall) / interval)
  console.log(
    `open ${seen.open} of ${streams}, errors ${seen.errors.length}, events ${seen.events} (${due} were due)`,
  )
  console.log(
    `delay from the engine's write to the client's read: p50 ${ms(seen.p50)}, p99 ${ms(seen.p99)}, most ${ms(seen.most)}`,
  )
  console.log(
    `router: ${(cost.share * 100).toFixed(0)} % of the core, ${cost.micros.toFixed(1)} µs an event, ${cost.rss.map((rss) => rss.toFixed(0)).join(' + ')} MiB`,
  )
  const shares = cost.waited.map(([name, wait]) => `${name} ${(wait * 100).toFixed(0)} %`)
  console.log(`waited for their core: ${shares.join(', ')} of the time`)
  for (const error of seen.errors.slice(0, 5)) console.log(`error: ${error}`)
  if (flags.json !== undefined) writeFileSync(flags.json, JSON.stringify({ ...seen, ...cost }, null, 1))
  if (seen.open !== streams || seen.errors.length > 0) process.exitCode = 1
}

/** ns that each (of several: their mean) has waited for a core so far. */
function waits(parts: Readonly<Record<string, readonly number[]>>): Record<string, number> {
  const mean = (pids: readonly number[]) => pids.reduce((sum, pid) => sum + readReady(pid), 0) / pids.length
  return Object.fromEntries(Object.entries(parts).map(([name, pids]) => [name, mean(pids)]))
}

/** The engine or the client, in a process of its own on the core that the routers don't use. */
function part(file: string, args: readonly string[]): ChildProcess {
  const child = spawn(process.execPath, [join(here, 'streams', file), ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  processes.push(child)
  return child
}

async function nextLine(child: ChildProcess): Promise<string> {
  const reader = lines.get(child) ?? createInterface({ input: child.stdout! })[Symbol.asyncIterator]()
  lines.set(child, reader)
  const { value, done } = await reader.next()
  if (done) throw new Error('a part of the benchmark ended early')
  return value as string
}

async function startRouter(engine: string): Promise<{ port: number; pid: number }> {
  const port = await freePort()
  const log = join(folder, `router-${port}`)
  const own = [
    '--port',
    String(port),
    '--policy',
    'round_robin',
    '--log-level',
    'warn',
    '--state',
    'off',
    engine,
  ]
  const child = launch([process.execPath, join(here, '../adapters/node.js'), ...own], log, core)
  processes.push(child)
  const ended = once(child, 'exit').then(() => {
    throw new Error(`the router ended: ${readFileSync(log, 'utf8').slice(-2000)}`)
  })
  ended.catch(() => undefined)
  await Promise.race([isReady(port), ended])
  return { port, pid: child.pid as number }
}

async function isReady(port: number): Promise<void> {
  for (;;) {
    const answer = await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => null)
    if (answer?.ok) return
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

function openFiles(): number {
  return Number(/Max open files\s+\d+\s+(\d+)/.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1] ?? 1024)
}

/** A stream takes two open files of its router: where a process may not have so many, several share the core. */
function fewestRouters(): number {
  return Math.ceil((2 * streams) / (openFiles() - 100))
}
