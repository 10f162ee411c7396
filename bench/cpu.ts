// CPU per request of all routers side by side: interleaved rounds, medians, ratios.
import { columns, makeBodies, type Bodies, type Column } from './bodies.ts'
import { drive } from './load.ts'
import { cpuBetween, readCpu, type CpuSample } from './proc.ts'
import type { Router, Running } from './routers.ts'
import { startAll, table, type Setup } from './setup.ts'
import { median, ratioOfMedians, shuffled } from './stats.ts'
import { printTargets } from './targets.ts'

/** What is known of one row in one column. */
interface Row {
  readonly router: string
  readonly column: string
  /** CPU µs per request, one figure a round. */
  readonly micros: number[]
  /** Requests a second over the cells; the load may be what limits it. */
  readonly rates: number[]
  /** What was wrong; a row with notes proves nothing. */
  readonly notes: string[]
}

export interface CpuOptions {
  readonly rounds: number
  readonly columns: readonly string[] | undefined
  /** CPU ms that one cell should use at least. */
  readonly cell: number
  /** The row that ratios are against. */
  readonly reference: string
  /** Share of the full warm-up, 0 to 1. */
  readonly warmth: number
  /** Both cores are kept busy with other work, and the table says so. */
  readonly isBusy?: boolean
}

/** What the rounds share. */
interface Run {
  readonly options: CpuOptions
  readonly columns: readonly Column[]
  readonly running: readonly Running[]
  readonly bodies: ReadonlyMap<Column, Bodies>
  /** Requests sent to each router in all, to compare with what it counted. */
  readonly sent: Map<string, number>
  readonly rows: readonly Row[]
}

/** Measures every router in every column, prints the tables and returns the raw figures. */
export async function measureCpu(
  setup: Setup,
  chosen: readonly Router[],
  options: CpuOptions,
): Promise<{ rows: readonly Row[] }> {
  const wanted = columns.filter(({ name }) => options.columns?.includes(name) ?? true)
  const running = await startAll(setup, chosen)
  const rows = running.flatMap(({ router }) => {
    const notes: string[] = []
    return wanted.map(({ name }) => ({ router: router.name, column: name, micros: [], rates: [], notes }))
  })
  const bodies = new Map(wanted.map((column) => [column, makeBodies(column, 1000)]))
  const run: Run = { options, columns: wanted, running, bodies, sent: new Map(), rows }
  try {
    await measureRounds(run, setup.random)
    await reportEdits(setup)
  } finally {
    await Promise.all(running.map((one) => one.stop()))
  }
  print(run)
  return { rows }
}

async function measureRounds(run: Run, random: () => number): Promise<void> {
  const counts = new Map<Row, number>()
  for (const { router, place } of run.running) {
    run.sent.set(router.name, (await router.counted?.(place).catch(() => Number.NaN)) ?? 0)
  }
  for (const column of run.columns) {
    for (const one of run.running) {
      const micros = await warm(run, one, column)
      counts.set(
        rowOf(run, one.router.name, column),
        Math.max(column.clients * 2, Math.ceil((run.options.cell * 1000) / micros)),
      )
    }
  }
  for (let round = 0; round < run.options.rounds; round++) {
    for (const column of run.columns) {
      for (const one of shuffled(run.running, random)) {
        await fill(run, one, { column, requests: counts.get(rowOf(run, one.router.name, column)) as number })
      }
    }
    await checkCounts(run)
    await checkProofs(run)
    console.error(`round ${round + 1} of ${run.options.rounds}`)
  }
}

/** Measures one cell of the table once more. */
async function fill(run: Run, one: Running, cell: { column: Column; requests: number }): Promise<void> {
  const row = rowOf(run, one.router.name, cell.column)
  const figure = await measure(run, one, cell)
  if (figure.errors.length > 0) row.notes.push(`${cell.column.name}: ${figure.errors[0]}`)
  row.micros.push(figure.micros)
  row.rates.push(figure.rate)
}

function rowOf(run: Run, router: string, column: Column): Row {
  return run.rows.find((row) => row.router === router && row.column === column.name) as Row
}

interface Figure {
  /** CPU µs of the router per request. */
  readonly micros: number
  readonly rate: number
  readonly errors: readonly string[]
}

async function measure(
  run: Run,
  one: Running,
  { column, requests }: { column: Column; requests: number },
): Promise<Figure> {
  const samples: CpuSample[] = []
  const load = await drive({
    port: one.place.port,
    column,
    bodies: run.bodies.get(column) as Bodies,
    requests,
    clients: column.clients,
    onReady: () => samples.push(readCpu(one.pid)),
    onDone: () => samples.push(readCpu(one.pid)),
  })
  run.sent.set(one.router.name, (run.sent.get(one.router.name) ?? 0) + load.requests)
  const [before, after] = samples
  if (before === undefined || after === undefined)
    return { micros: Number.NaN, rate: Number.NaN, errors: load.errors }
  return {
    micros: cpuBetween(before, after) / 1000 / requests,
    rate: requests / (load.wall / 1000),
    errors: load.errors,
  }
}

/**
 * Requests that warm a column. V8 compiles the last of what is hot after some 15,000 calls; the columns before have warmed the
 * most of it. Of streams the first 5,000 bursts keep its compilers at work, and paced ones run the same code.
 */
const warmUp = (column: Column) => (column.reply === 'json' ? 12_000 : column.reply === 'sse0' ? 6000 : 1200)

/** Lets compilers and pools settle; returns the CPU µs per request of the last third. */
async function warm(run: Run, one: Running, column: Column): Promise<number> {
  const third = Math.ceil((warmUp(column) * run.options.warmth) / 3)
  await measure(run, one, { column, requests: third * 2 })
  const figure = await measure(run, one, { column, requests: third })
  if (figure.errors.length > 0) console.error(`${one.router.name} ${column.name}: ${figure.errors[0]}`)
  return Number.isFinite(figure.micros) ? figure.micros : 100
}

/** A router that counts must have counted what was sent: else it was not this process that served. */
async function checkCounts(run: Run): Promise<void> {
  for (const { router, place } of run.running) {
    if (router.counted === undefined) continue
    const counted = await router.counted(place).catch(() => Number.NaN)
    const expected = run.sent.get(router.name) ?? 0
    if (counted !== expected)
      rowOf(run, router.name, run.columns[0] as Column).notes.push(
        `counted ${counted} of ${expected} requests`,
      )
  }
}

/** A router that must have things switched on must still have them: else its row proves nothing. */
async function checkProofs(run: Run): Promise<void> {
  for (const { router, place } of run.running) {
    if (router.prove === undefined) continue
    const { requests, missing } = await router.prove(place)
    run.sent.set(router.name, (run.sent.get(router.name) ?? 0) + requests)
    rowOf(run, router.name, run.columns[0] as Column).notes.push(...missing)
  }
}

async function reportEdits(setup: Setup): Promise<void> {
  let [exact, edited, wrong] = [0, 0, 0]
  for (const url of setup.engines) {
    const counters = (await (await fetch(`${url}/bench/counters`)).json()) as Record<string, number>
    exact += counters['exact'] ?? 0
    edited += counters['edited'] ?? 0
    wrong += counters['wrong'] ?? 0
  }
  console.log(
    `bodies that came to the engines as long as they were sent: ${exact}; re-serialised or with keys added: ${edited}; cut: ${wrong}`,
  )
}

function print(run: Run): void {
  const names = run.running.map(({ router }) => router.name)
  const first = names[0]
  if (first === undefined) return console.log('no router could be started')
  const wanted = run.options.reference
  const reference = names.includes(wanted) ? wanted : names.includes('bare node') ? 'bare node' : first
  const titles = run.columns.map(({ title }) => title)
  const notes = (name: string) => [...new Set(rowOf(run, name, run.columns[0] as Column).notes)]
  const micros = (name: string) =>
    run.columns.map((column) => median(rowOf(run, name, column).micros).toFixed(1))
  const ratio = (name: string) => (column: Column) => {
    const { value, low, high } = ratioOfMedians(
      rowOf(run, name, column).micros,
      rowOf(run, reference, column).micros,
    )
    return `${value.toFixed(2)} (${low.toFixed(2)}–${high.toFixed(2)})`
  }
  const where = run.options.isBusy ? ', both cores busy with other work' : ''
  console.log(`\nRouter CPU, µs per request: medians of ${run.options.rounds} rounds${where}\n`)
  table(
    ['', ...titles],
    names.map((name) => [notes(name).length > 0 ? `${name} (!)` : name, ...micros(name)]),
  )
  console.log(`\nCPU of the row ÷ CPU of ${reference}: ratio of medians and its 90 % interval\n`)
  const others = names.filter((name) => name !== reference)
  table(
    ['', ...titles],
    others.map((name) => [name, ...run.columns.map(ratio(name))]),
  )
  printTargets(run.columns, run.rows, run.options.rounds)
  for (const name of names) for (const note of notes(name)) console.log(`(!) ${name}: ${note}`)
}
