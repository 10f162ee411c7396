// What it costs that a pool is several Durable Objects: CPU of a raw workerd a call, with digests between them, by their number.
// usage: node bench/shards.ts [--shards LIST] [--policy NAME] [--calls N] [--blocks N] [--rounds N]
import { parseArgs } from 'node:util'
import { namedWorkers, startDecider, type Decider } from './decider.ts'
import { cpuBetween, readCpu } from './proc.ts'
import { separateCores, table } from './setup.ts'
import { median } from './stats.ts'

const { values: flags } = parseArgs({
  options: {
    shards: { type: 'string', default: '1,2,4' },
    policy: { type: 'string', default: 'least_cost' },
    calls: { type: 'string', default: '5000' },
    blocks: { type: 'string', default: '64' },
    rounds: { type: 'string', default: '5' },
  },
})

const calls = Number(flags.calls)
const counts = flags.shards.split(',').map(Number)

interface Served extends Decider {
  readonly shards: number
  readonly micros: number[]
  readonly rates: number[]
}

const core = separateCores()
const served: Served[] = []
try {
  for (const shards of counts) served.push(await serve(shards))
  for (let round = 0; round <= Number(flags.rounds); round++)
    for (const one of served) await measure(one, round > 0)
  report()
} finally {
  for (const one of served) one.close()
}

async function serve(shards: number): Promise<Served> {
  const quiet = { healthInterval: 'off', loadInterval: 'off', logLevel: 'error' }
  const config = { workers: namedWorkers(8), ...quiet, policy: flags.policy, poolShards: shards }
  return { ...(await startDecider(config, core)), shards, micros: [], rates: [] }
}

/** All of a stream: pick, note of its first token, settle. */
async function measure({ pid, micros, rates, ask }: Served, counts: boolean): Promise<void> {
  const before = readCpu(pid)
  const began = performance.now()
  await ask(`calls=${calls}&way=stream&blocks=${flags.blocks}&width=32`)
  const wall = performance.now() - began
  if (!counts) return
  micros.push(cpuBetween(before, readCpu(pid)) / 1000 / calls)
  rates.push((calls / wall) * 1000)
}

function report(): void {
  const [first] = served
  const base = median(first?.micros ?? [1])
  const rows = served.map(({ shards, micros, rates }) => {
    const cost = median(micros)
    return [
      String(shards),
      cost.toFixed(1),
      median(rates).toFixed(0),
      (cost / base).toFixed(2),
      ((base / cost) * shards).toFixed(2),
    ]
  })
  console.log(`\n${flags.policy}, ${flags.blocks} blocks, 32 at once: pick, note and settle of a stream\n`)
  table(['objects', 'CPU µs', 'a second', 'of one object', 'calls on a core each'], rows)
}
