// Where the router's CPU goes in one column: a sampled profile, added up by function, and what the kernel counted meanwhile.
// usage: node bench/profile.ts [--column NAME] [--policy NAME] [--requests N] [--top N] [--root FOLDER]
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { columns, makeBodies, type Column } from './bodies.ts'
import { drive } from './load.ts'
import { countsBetween, readCounts, type Counts } from './proc.ts'
import { launch, start } from './routers.ts'
import { freePort, separateCores } from './setup.ts'

/** What V8 writes: a tree of calls, and the node that each sample fell into. Times are µs. */
interface Profile {
  readonly nodes: readonly ProfileNode[]
  readonly startTime: number
  readonly endTime: number
  readonly samples: readonly number[]
  readonly timeDeltas: readonly number[]
}

interface ProfileNode {
  readonly id: number
  readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number }
  readonly children?: readonly number[]
}

/** A stretch of the profile, as µs before its end. */
interface Stretch {
  readonly from: number
  readonly to: number
}

const { values: flags } = parseArgs({
  options: {
    column: { type: 'string', default: '1k' },
    policy: { type: 'string', default: 'round_robin' },
    requests: { type: 'string' },
    top: { type: 'string', default: '45' },
    root: { type: 'string', default: '.' },
  },
})

const wanted = columns.find(
  ({ name }) => name === flags.column || `${name.replace('json', '')}k` === flags.column,
)
if (wanted === undefined) console.error(`--column is one of ${columns.map(({ name }) => name).join(', ')}`)
else await main(wanted)

async function main(column: Column): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'profile-'))
  const requests = Number(
    flags.requests ?? (column.reply === 'json' ? 20_000 : column.reply === 'sse0' ? 8000 : 1500),
  )
  try {
    const { profile, stretch, counts } = await record(column, requests, folder)
    report(profile, stretch, requests)
    const each = Object.entries(counts).map(([name, count]) => `${name} ${(count / requests).toFixed(2)}`)
    console.log(`\na request: ${each.join(', ')}`)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Runs a router under the profiler, warms it, and drives it. */
async function record(
  column: Column,
  requests: number,
  folder: string,
): Promise<{ profile: Profile; stretch: Stretch; counts: Counts }> {
  const core = separateCores()
  const enginePorts = [await freePort(), await freePort()]
  const engine = launch(
    [process.execPath, join(import.meta.dirname, 'engine.ts'), ...enginePorts.map(String)],
    join(folder, 'engine'),
    core === null ? null : '1',
  )
  const place = {
    port: await freePort(),
    metricsPort: 0,
    workers: enginePorts.map((port) => `http://127.0.0.1:${port}`),
    folder: join(folder, 'router'),
  }
  const profiler = ['--cpu-prof', '--cpu-prof-interval', '200', '--cpu-prof-dir', folder]
  const flagsOfRouter = ['--port', String(place.port), '--policy', flags.policy, '--log-level', 'warn']
  const command = () => [
    process.execPath,
    ...profiler,
    join(flags.root, 'adapters/node.js'),
    ...flagsOfRouter,
    ...place.workers,
  ]
  const router = await start({ name: 'fetchway', command }, place, core)
  const load = { port: place.port, column, bodies: makeBodies(column), clients: column.clients }
  await drive({ ...load, requests: Math.ceil(requests / 4) })
  const times: number[] = []
  const counts: Counts[] = []
  const note = () => {
    times.push(performance.now())
    counts.push(readCounts(router.pid))
  }
  const { errors } = await drive({ ...load, requests, onReady: note, onDone: note })
  if (errors.length > 0) throw new Error(errors[0])
  const end = performance.now()
  await router.stop()
  engine.kill()
  const file = readdirSync(folder).find((name) => name.endsWith('.cpuprofile'))
  if (file === undefined) throw new Error('the router wrote no profile')
  const [from = end, to = end] = times
  const profile = JSON.parse(readFileSync(join(folder, file), 'utf8')) as Profile
  const [before, after] = counts as [Counts, Counts]
  return {
    profile,
    counts: countsBetween(before, after),
    stretch: { from: (end - from) * 1000, to: (end - to) * 1000 },
  }
}

/** Adds up the samples of a stretch and prints the functions that took most, alone and with what they called. */
function report(profile: Profile, stretch: Stretch, requests: number): void {
  const parents = new Map<number, number>()
  const nodes = new Map(profile.nodes.map((node) => [node.id, node]))
  for (const node of profile.nodes) for (const child of node.children ?? []) parents.set(child, node.id)
  const self = new Map<string, number>()
  const inclusive = new Map<string, number>()
  let busy = 0
  let at = profile.startTime
  profile.samples.forEach((id, index) => {
    const micros = profile.timeDeltas[index] ?? 0
    at += micros
    const left = profile.endTime - at
    const name = nameOf(nodes.get(id))
    if (left > stretch.from || left < stretch.to || name === '(idle)') return
    busy += micros
    self.set(name, (self.get(name) ?? 0) + micros)
    const seen = new Set<string>()
    for (let node: number | undefined = id; node !== undefined; node = parents.get(node)) {
      const above = nameOf(nodes.get(node))
      if (!seen.has(above)) inclusive.set(above, (inclusive.get(above) ?? 0) + micros)
      seen.add(above)
    }
  })
  console.log(`${(busy / requests).toFixed(1)} µs a request while the profiler looked on`)
  print('self', self, busy)
  print('with what it called', inclusive, busy)
}

function print(title: string, micros: ReadonlyMap<string, number>, busy: number): void {
  console.log(`\n${title}`)
  const rows = [...micros].sort((a, b) => b[1] - a[1]).slice(0, Number(flags.top))
  for (const [name, spent] of rows) console.log(`${((spent / busy) * 100).toFixed(1).padStart(5)} %  ${name}`)
}

function nameOf(node: ProfileNode | undefined): string {
  if (node === undefined) return '(unknown)'
  const { functionName, url, lineNumber } = node.callFrame
  const file = url.replace(/^.*\/(?=(?:adapters|src|node_modules)\/)/, '').replace(/^file:\/\//, '')
  return `${functionName || '(anonymous)'}${file === '' ? '' : ` ${file}:${lineNumber + 1}`}`
}
