// The side-by-side benchmark: router CPU per request next to the routers that people use today. See README.md here.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { columns } from './bodies.ts'
import { measureCpu } from './cpu.ts'
import { measureLatency, measureMemory } from './modes.ts'
import { launch, routers } from './routers.ts'
import { freePort, separateCores, type Setup } from './setup.ts'
import { seeded } from './stats.ts'

const help = `npm run bench -- [flags]
  --rounds N       paired rounds (9)
  --columns LIST   of ${columns.map(({ name }) => name).join(',')}
  --routers LIST   rows whose name contains one of these words
  --reference ROW  what the ratios are against (fetchway round_robin)
  --cell MS        CPU time that one cell should use at least (400)
  --quick          2 rounds of small cells: does it work, not how fast is it
  --cpu            CPU per request alone; without any of these four, CPU, latency and memory one after the other
  --busy           CPU per request alone, with a process that only counts on each of the two cores
  --latency        added latency of 1 KB JSON at one client alone
  --memory         resident memory alone, idle and with 1,000 open streams
  --json FILE      the raw figures too`

const { values: flags } = parseArgs({
  options: {
    rounds: { type: 'string' },
    columns: { type: 'string' },
    routers: { type: 'string' },
    reference: { type: 'string', default: 'fetchway round_robin' },
    cell: { type: 'string' },
    quick: { type: 'boolean', default: false },
    cpu: { type: 'boolean', default: false },
    busy: { type: 'boolean', default: false },
    latency: { type: 'boolean', default: false },
    memory: { type: 'boolean', default: false },
    json: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
})

if (flags.help) console.log(help)
else if (flags.busy && (flags.latency || flags.memory)) refuse('says nothing about latency or memory')
else await main()

async function main(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'bench-'))
  const core = separateCores()
  if (flags.busy && core === null) return refuse('needs two cores and taskset')
  const enginePorts = [await freePort(), await freePort()]
  const engine = launch(
    [process.execPath, join(import.meta.dirname, 'engine.ts'), ...enginePorts.map(String)],
    join(folder, 'engine'),
    core === null ? null : '1',
  )
  const spinners = (flags.busy ? ['0', '1'] : []).map((on) =>
    launch(
      [process.execPath, join(import.meta.dirname, 'spin.ts'), String(process.pid)],
      join(folder, 'spin'),
      on,
    ),
  )
  const setup: Setup = {
    engines: enginePorts.map((port) => `http://127.0.0.1:${port}`),
    folder,
    core,
    random: seeded(Date.now()),
  }
  const words = flags.routers?.split(',')
  const chosen = routers.filter(({ name }) => words?.some((word) => name.includes(word)) ?? true)
  const options = {
    rounds: Number(flags.rounds ?? (flags.quick ? 2 : 9)),
    columns: flags.columns?.split(','),
    reference: flags.reference,
    cell: Number(flags.cell ?? (flags.quick ? 60 : 400)),
    warmth: flags.quick ? 0.25 : 1,
    isBusy: flags.busy,
  }
  const isWhole = !flags.cpu && !flags.busy && !flags.latency && !flags.memory
  const result: Record<string, unknown> = { busy: flags.busy }
  try {
    if (flags.cpu || flags.busy || isWhole) result['cpu'] = await measureCpu(setup, chosen, options)
    if (flags.latency || isWhole) result['latency'] = await measureLatency(setup, chosen, options)
    if (flags.memory || isWhole) result['memory'] = await measureMemory(setup, chosen)
  } finally {
    for (const child of [engine, ...spinners]) child.kill()
    rmSync(folder, { recursive: true, force: true })
  }
  if (flags.json !== undefined) writeFileSync(flags.json, JSON.stringify(result, null, 1))
}

function refuse(why: string): void {
  console.error(`--busy ${why}`)
  process.exitCode = 2
}
