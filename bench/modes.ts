// The two other questions of the benchmark: what latency a router adds, and what memory it holds.
import { columns, makeBodies, type Bodies, type Column } from './bodies.ts'
import type { CpuOptions } from './cpu.ts'
import { drive } from './load.ts'
import { readRss } from './proc.ts'
import type { Router } from './routers.ts'
import { startAll, table, type Setup } from './setup.ts'
import { median, quantile, shuffled } from './stats.ts'

/** ms per request of one row: a figure a round. */
interface LatencyRow {
  readonly router: string
  readonly p50: number[]
  readonly p99: number[]
}

/**
 * Requests before anything is timed: V8's compilers share the core. After 9,000 calls of one column alone Fetchway's main thread
 * still waits for them more than 1 ms in 12 of 1,500 calls, which is p99; after 25,000 in one.
 */
const WARM_UP = 24_000
/** Requests of one row in a round: thirty of them lie above p99. */
const TIMED = 3000

const RUST = /^(?:sglang-router|vllm-router|smg) /

/** Times 1 KB JSON at one client, with the engine itself as the first row; prints µs above it. */
export async function measureLatency(
  setup: Setup,
  chosen: readonly Router[],
  { rounds, warmth }: Pick<CpuOptions, 'rounds' | 'warmth'>,
): Promise<LatencyRow[]> {
  const column = columns[0] as Column
  const bodies = makeBodies(column, 1000)
  const running = await startAll(setup, chosen)
  const ports = [{ name: 'direct', port: Number(new URL(setup.engines[0] ?? '').port) }]
  for (const { router, place } of running) ports.push({ name: router.name, port: place.port })
  const rows = new Map(
    ports.map(({ name }): [string, LatencyRow] => [name, { router: name, p50: [], p99: [] }]),
  )
  try {
    for (const { port } of ports) {
      await drive({ port, column, bodies, requests: WARM_UP * warmth, clients: 8 })
    }
    for (let round = 0; round < rounds; round++) {
      for (const { name, port } of shuffled(ports, setup.random)) {
        await time(rows.get(name) as LatencyRow, port, bodies)
      }
      console.error(`round ${round + 1} of ${rounds}`)
    }
  } finally {
    await Promise.all(running.map((one) => one.stop()))
  }
  const direct = rows.get('direct') as LatencyRow
  const added = (values: readonly number[], base: readonly number[]) =>
    ((median(values) - median(base)) * 1000).toFixed(0)
  console.log(
    `\nLatency of 1 KB JSON at one client, µs above direct (which takes ${(median(direct.p50) * 1000).toFixed(0)} / ${(median(direct.p99) * 1000).toFixed(0)}): medians of ${rounds} rounds\n`,
  )
  const others = [...rows.values()].filter((row) => row !== direct)
  table(
    ['', 'p50', 'p99'],
    others.map((row) => [row.router, added(row.p50, direct.p50), added(row.p99, direct.p99)]),
  )
  const rust = others.filter(({ router }) => RUST.test(router))
  for (const row of others) {
    if (!row.router.startsWith('fetchway') || rust.length === 0) continue
    const above = (of: (row: LatencyRow) => readonly number[]) =>
      median(of(row)) <= Math.min(...rust.map((one) => median(of(one)))) ? '✓' : '✗'
    console.log(
      `${row.router}, not above the quickest Rust router: p50 ${above(({ p50 }) => p50)}, p99 ${above(({ p99 }) => p99)}`,
    )
  }
  return [...rows.values()]
}

async function time(row: LatencyRow, port: number, bodies: Bodies): Promise<void> {
  const column = columns[0] as Column
  const load = await drive({ port, column, bodies, requests: TIMED, clients: 1, keepLatencies: true })
  if (load.errors.length > 0) console.error(`${row.router}: ${load.errors[0]}`)
  row.p50.push(quantile(load.latencies, 0.5))
  row.p99.push(quantile(load.latencies, 0.99))
}

/** Streams that take 16 s, so that a thousand of them are open at once. */
const slow: Column = { name: 'sse250', title: '', bytes: 1024, reply: 'sse250', clients: 1000 }

interface MemoryRow {
  readonly router: string
  /** MiB of the whole process tree. */
  readonly idle: number
  readonly open: number
  readonly errors: readonly string[]
}

/** The most that an open stream of Fetchway may take, KiB. */
const MOST = 60

function perStream({ router, idle, open }: MemoryRow): string {
  const kib = ((open - idle) * 1024) / slow.clients
  const verdict = router.startsWith('fetchway') ? (kib <= MOST ? ' ✓' : ' ✗') : ''
  return `${kib.toFixed(0)}${verdict}`
}

/** Reads resident memory of fresh processes, idle and at its highest while 1,000 streams run from begin to end. */
export async function measureMemory(setup: Setup, chosen: readonly Router[]): Promise<MemoryRow[]> {
  const rows: MemoryRow[] = []
  for (const router of chosen) {
    const [one] = await startAll(setup, [router])
    if (one === undefined) continue
    await new Promise((resolve) => setTimeout(resolve, 1000))
    const idle = readRss(one.pid)
    let open = 0
    const timer = setInterval(() => (open = Math.max(open, readRss(one.pid))), 500)
    const load = await drive({
      port: one.place.port,
      column: slow,
      bodies: makeBodies(slow),
      requests: 0,
      clients: slow.clients,
    })
    clearInterval(timer)
    await one.stop()
    rows.push({ router: router.name, idle, open, errors: load.errors })
    console.error(`${router.name}: ${idle.toFixed(0)} / ${open.toFixed(0)} MiB`)
  }
  console.log('\nResident memory of the process tree, MiB\n')
  table(
    ['', 'idle', '1,000 open streams', 'KiB a stream (Fetchway: ≤ 60)'],
    rows.map((row) => [
      row.errors.length > 0 ? `${row.router} (!)` : row.router,
      row.idle.toFixed(0),
      row.open.toFixed(0),
      perStream(row),
    ]),
  )
  for (const row of rows) for (const error of new Set(row.errors)) console.log(`(!) ${row.router}: ${error}`)
  return rows
}
