// What prefill/decode costs the router: CPU per request of pairs over NIXL and over SGLang's bootstrap, against one worker alone.
// usage: node bench/pairs.ts [--rounds N] [--columns LIST] [--cell MS] [--policy NAME]
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { measureCpu } from './cpu.ts'
import { launch, type Router } from './routers.ts'
import { sumOf } from './samples.ts'
import { freePort, separateCores, type Setup } from './setup.ts'
import { seeded } from './stats.ts'

const root = join(import.meta.dirname, '..')
const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '9' },
    columns: { type: 'string', default: 'json1,json16,sse0,sse5' },
    cell: { type: 'string', default: '200' },
    policy: { type: 'string', default: 'round_robin' },
  },
})

/** `pd`: the protocol of pairs; null: both engines take whole calls. */
const router = (name: string, pd: string | null): Router => ({
  name,
  command({ port, workers: [first = '', second = ''] }) {
    const fleet =
      pd === null ? [first, second] : ['--prefill', first, '--decode', second, '--pd-protocol', pd]
    const flags = ['--port', String(port), '--policy', values.policy, '--log-level', 'warn', '--state', 'off']
    return [process.execPath, join(root, 'adapters/node.js'), ...flags, ...fleet]
  },
  counted: async ({ port }) =>
    sumOf(await (await fetch(`http://127.0.0.1:${port}/metrics`)).text(), 'fetchway_requests_total'),
})

const core = separateCores()
const folder = mkdtempSync(join(tmpdir(), 'bench-'))
const ports = [await freePort(), await freePort()]
const engine = launch(
  [process.execPath, join(root, 'bench/engine.ts'), ...ports.map(String)],
  join(folder, 'engine'),
  core === null ? null : '1',
)
const engines = ports.map((port) => `http://127.0.0.1:${port}`)
const setup: Setup = { engines, folder, core, random: seeded(1) }
const all = [router('plain', null), router('nixl', 'nixl'), router('sglang', 'sglang')]
try {
  await measureCpu(setup, all, {
    rounds: Number(values.rounds),
    columns: values.columns.split(','),
    cell: Number(values.cell),
    reference: 'plain',
    warmth: 1,
  })
} finally {
  engine.kill()
  rmSync(folder, { recursive: true, force: true })
}
