// What it costs that a pool is several Durable Objects: CPU of a raw workerd a call, with digests between them, by their number.
// usage: node bench/shards.ts [--shards LIST] [--policy NAME] [--calls N] [--blocks N] [--rounds N]
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { cpuBetween, readCpu } from './proc.ts'
import { launch } from './routers.ts'
import { freePort, separateCores, table } from './setup.ts'
import { median } from './stats.ts'
import { serveCommand } from './workerd.ts'

const { values: flags } = parseArgs({
  options: {
    shards: { type: 'string', default: '1,2,4' },
    policy: { type: 'string', default: 'least_cost' },
    calls: { type: 'string', default: '10000' },
    blocks: { type: 'string', default: '64' },
    rounds: { type: 'string', default: '5' },
  },
})

const calls = Number(flags.calls)
const counts = flags.shards.split(',').map(Number)
const workers = Array.from({ length: 8 }, (_, index) => ({
  url: `http://127.0.0.1:${10_000 + index}`,
  engine: 'vllm',
  models: ['m'],
}))

interface Served {
  readonly shards: number
  readonly pid: number
  readonly micros: number[]
  readonly rates: number[]
  ask(wish: string): Promise<string>
  close(): void
}

const served = await Promise.all(counts.map((shards) => serve(shards)))
try {
  for (let round = 0; round <= Number(flags.rounds); round++)
    for (const one of served) await measure(one, round > 0)
  report()
} finally {
  for (const one of served) one.close()
}

async function serve(shards: number): Promise<Served> {
  const folder = mkdtempSync(join(tmpdir(), 'bench-'))
  const port = await freePort()
  const config = { workers, healthInterval: 'off', loadInterval: 'off', logLevel: 'error' }
  const own = { ...config, policy: flags.policy, poolShards: shards }
  const entry = join(import.meta.dirname, 'decisions/entry.ts')
  const variables = { FETCHWAY_CONFIG: JSON.stringify(own) }
  const objects = {
    REGISTRY: 'FetchwayRegistry',
    POOL: 'FetchwayPool',
    LIMITER: 'FetchwayLimiter',
    NOTHING: 'Nothing',
  }
  const command = serveCommand({ port, folder, entry, variables, objects })
  const child = launch(command, join(folder, 'log'), separateCores())
  const ask = async (wish: string): Promise<string> => {
    const answer = await fetch(`http://127.0.0.1:${port}/?${wish}`, { headers: { connection: 'close' } })
    if (answer.status !== 200) throw new Error(await answer.text())
    return answer.text()
  }
  for (let attempt = 0; ; attempt++) {
    const isUp = await ask('calls=1&way=stream&blocks=0&width=1').catch(() => null)
    if (isUp !== null) break
    if (attempt > 50) throw new Error('workerd does not answer')
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
  const close = () => {
    child.kill('SIGKILL')
    rmSync(folder, { recursive: true, force: true })
  }
  return { shards, pid: child.pid as number, micros: [], rates: [], ask, close }
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
