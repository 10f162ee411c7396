// Nothing of one call may ever show up in another: many raw clients and engines around a router that is a process of its own.
// Usage: node bench/fuzz-crosstalk.ts [SECONDS] [--seed N] [--policy P] [--runtime node|bun] [--threads N] [--clients N] [--unix]
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { setTimeout as sleep } from 'node:timers/promises'
import { converse, Tally } from './crosstalk/client.ts'
import { Seen, startEngine } from './crosstalk/engine.ts'
import { converseOddly, startOracle } from './crosstalk/odd.ts'
import { Random } from './crosstalk/random.ts'
import { readMetrics, startRouter } from './crosstalk/router.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seed: { type: 'string', default: String(Math.floor(Math.random() * 1e6)) },
    policy: { type: 'string', default: 'least_cost' },
    runtime: { type: 'string', default: 'node' },
    threads: { type: 'string', default: '1' },
    unix: { type: 'boolean', default: false },
    clients: { type: 'string', default: '24' },
  },
})
const seconds = Number(positionals[0] ?? 20)
const seed = Number(values.seed)

const found: string[] = []
const wrong = (what: string) => void found.push(what)
const seen = new Seen()
const folder = mkdtempSync(join(tmpdir(), 'crosstalk-'))
const engines = await Promise.all(
  [undefined, undefined, 'engine'].map((name, number) =>
    startEngine({ random: new Random(seed * 10 + number), seen, wrong }, name && join(folder, name)),
  ),
)
const router = await startRouter(
  values.runtime,
  engines.map(({ url }) => url),
  {
    flags: ['--policy', values.policy, ...(values.threads === '1' ? [] : ['--threads', values.threads])],
    path: values.unix ? join(folder, 'router') : undefined,
  },
)
await sleep(500)

const tally = new Tally()
const rig = { door: router.door, seen, tally, wrong, canPipeline: values.runtime === 'node' }
const until = Date.now() + seconds * 1000
let talks = 0
let oddTalks = 0
const oracle = await startOracle()
async function client(): Promise<void> {
  while (Date.now() < until && found.length < 30) await converse(rig, seed * 1_000_000 + talks++)
}
async function oddClient(): Promise<void> {
  const own = { door: router.door, seen, oracle, wrong, isNode: values.runtime === 'node' }
  while (Date.now() < until && found.length < 30) await converseOddly(own, seed * 1_000_000 + oddTalks++)
}
await Promise.all([
  ...Array.from({ length: Number(values.clients) }, client),
  ...Array.from({ length: Number(values.clients) / 2 }, oddClient),
])
await checkEnd()
router.child.kill()
for (const { server } of engines) server.close()
oracle.server.close()
rmSync(folder, { recursive: true, force: true })
console.log(
  `${values.runtime} ${values.policy}, threads ${values.threads}, seed ${seed}: ${talks} connections, ${oddTalks} odd ones`,
  tally,
  {
    calls: seen.calls,
  },
)
for (const what of found.slice(0, 10)) console.log('WRONG', what)
console.log(found.length === 0 ? 'all its own' : `${found.length} wrong`)
process.exit(found.length === 0 ? 0 : 1)

function countOf(lists: ReadonlyMap<string, readonly string[]>): number {
  return [...lists.values()].reduce((total, { length }) => total + length, 0)
}

async function checkEnd(): Promise<void> {
  if (router.child.exitCode !== null) return wrong(`the router ended: ${router.log().slice(-2000)}`)
  // What clients left behind is still being noticed.
  let metrics = await readMetrics(router.door)
  for (let i = 0; i < 50 && metrics.left.length > 0; i++) {
    await sleep(100)
    metrics = await readMetrics(router.door)
  }
  for (const gauge of metrics.left) wrong(`at the end ${gauge}`)
  const { whole, broken, refused, sent } = tally
  const calls = metrics.sum('fetchway_requests_total')
  if (calls < whole + broken + refused || calls > sent + countOf(seen.odd) + 4 * oddTalks)
    wrong(`${calls} calls counted, ${JSON.stringify(tally)}`)
  for (const line of router.log().split('\n'))
    if (/ ERROR |unhandled|uncaught/i.test(line)) wrong(`log: ${line.slice(0, 500)}`)
}
