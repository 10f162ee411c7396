// Router CPU per request on each runtime, side by side: Node, Deno, Bun, and workerd without miniflare's front door.
// usage: node bench/runtimes.ts [--rounds N] [--columns LIST] [--routers LIST] [--cell MS] [--quick] [--json FILE]
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { columns } from './bodies.ts'
import { measureCpu } from './cpu.ts'
import { launch, type Place, type Router } from './routers.ts'
import { sumOf } from './samples.ts'
import { freePort, separateCores, type Setup } from './setup.ts'
import { seeded } from './stats.ts'
import { serveCommand } from './workerd.ts'

const root = join(import.meta.dirname, '..')
const binary = (name: string) => join(root, 'node_modules/.bin', name)
const DENO = [
  '--quiet',
  '--no-prompt',
  '--unstable-no-legacy-abort',
  '--allow-net',
  '--allow-read',
  '--allow-env=FETCHWAY_*,LOG_STREAM,LOG_TOKENS,NO_COLOR,WS_NO_BUFFER_UTIL,WS_NO_UTF_8_VALIDATE',
]

const counted = async ({ port }: Place): Promise<number> =>
  sumOf(await (await fetch(`http://127.0.0.1:${port}/metrics`)).text(), 'fetchway_requests_total')

const program = (name: string, ...command: string[]): Router => ({
  name,
  counted,
  command({ port, workers }) {
    const flags = ['--port', String(port), '--policy', 'round_robin', '--log-level', 'warn', '--state', 'off']
    return [...command, ...flags, ...workers]
  },
})

/** `usage` is what differs by default: `sample` lets most streams pass natively once they have begun. */
const worker = (usage: 'all' | 'sample'): Router => ({
  name: `workerd usage ${usage}`,
  counted,
  command: ({ port, workers, folder }) =>
    serveCommand({
      port,
      folder,
      entry: join(root, 'adapters/workers.ts'),
      variables: {
        FETCHWAY_WORKERS: workers.join(','),
        FETCHWAY_POLICY: 'round_robin',
        FETCHWAY_LOG_LEVEL: 'warn',
        FETCHWAY_USAGE: usage,
      },
      objects: {
        REGISTRY: 'FetchwayRegistry',
        POOL: 'FetchwayPool',
        LIMITER: 'FetchwayLimiter',
        TUNNEL: 'FetchwayTunnel',
      },
    }),
})

const routers: readonly Router[] = [
  program('node', process.execPath, join(root, 'adapters/node.js')),
  program('deno', binary('deno'), 'run', ...DENO, join(root, 'adapters/deno/program.ts')),
  program('bun', binary('bun'), join(root, 'adapters/bun.ts')),
  worker('sample'),
  worker('all'),
]

const { values: flags } = parseArgs({
  options: {
    rounds: { type: 'string' },
    columns: { type: 'string' },
    routers: { type: 'string' },
    cell: { type: 'string' },
    quick: { type: 'boolean', default: false },
    json: { type: 'string' },
  },
})

const folder = mkdtempSync(join(tmpdir(), 'bench-'))
const core = separateCores()
const ports = [await freePort(), await freePort()]
const engine = launch(
  [process.execPath, join(root, 'bench/engine.ts'), ...ports.map(String)],
  join(folder, 'engine'),
  core === null ? null : '1',
)
const engines = ports.map((port) => `http://127.0.0.1:${port}`)
const setup: Setup = { engines, folder, core, random: seeded(Date.now()) }
const words = flags.routers?.split(',')
try {
  const result = await measureCpu(
    setup,
    routers.filter(({ name }) => words?.some((word) => name.includes(word)) ?? true),
    {
      rounds: Number(flags.rounds ?? (flags.quick ? 2 : 9)),
      columns: flags.columns?.split(',') ?? columns.map(({ name }) => name),
      cell: Number(flags.cell ?? (flags.quick ? 60 : 400)),
      reference: 'node',
      warmth: flags.quick ? 0.25 : 1,
    },
  )
  if (flags.json !== undefined) writeFileSync(flags.json, JSON.stringify(result, null, 1))
} finally {
  engine.kill()
  rmSync(folder, { recursive: true, force: true })
}
