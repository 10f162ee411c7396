// What a decision costs in a Durable Object: CPU of a raw workerd, and decisions a second, against a call that decides nothing.
// usage: node bench/decisions.ts [--policy NAME] [--calls N] [--width LIST] [--blocks LIST] [--rounds N] [--workers N]
import { parseArgs } from 'node:util'
import { namedWorkers, startDecider } from './decider.ts'
import { cpuBetween, readCpu } from './proc.ts'
import { separateCores, table } from './setup.ts'
import { median } from './stats.ts'

const { values: flags } = parseArgs({
  options: {
    policy: { type: 'string', default: 'least_load' },
    calls: { type: 'string', default: '5000' },
    width: { type: 'string', default: '1,32' },
    blocks: { type: 'string', default: '0,64,512' },
    rounds: { type: 'string', default: '5' },
    workers: { type: 'string', default: '8' },
  },
})

/** CPU µs of the whole workerd (its Worker and its object) and decisions a second by the clock. */
interface Figure {
  readonly micros: number
  readonly rate: number
}

const workers = namedWorkers(Number(flags.workers))
const config = { workers, healthInterval: 'off', policy: flags.policy, logLevel: 'error' }
const { pid, ask, close } = await startDecider(config, separateCores())
const calls = Number(flags.calls)

try {
  const numbers = (text: string) => text.split(',').map(Number)
  const wishes = numbers(flags.blocks).flatMap((blocks) =>
    numbers(flags.width).map((width) => ({ blocks, width })),
  )
  const body: string[][] = []
  for (const wish of wishes) body.push(lineOf(wish, await measureWays(wish)))
  console.log(`\n${flags.policy}, ${workers.length} workers: CPU µs of workerd, and how many a second`)
  console.log('inside: decisions in the object, many to one call')
  console.log('nothing: a call with the same ask that decides nothing; pick: the decision, one call;')
  console.log('stream: all of a stream, pick, note of its first token and settle, three calls\n')
  table(['', 'inside', 'nothing', 'pick', 'a second', 'stream', 'a second'], body)
} finally {
  close()
}

interface Wish {
  /** Hashes of a prompt that are sent along. */
  readonly blocks: number
  /** Calls under way at once. */
  readonly width: number
}

type Figures = Readonly<Record<'inside' | 'nothing' | 'pick' | 'stream', Figure>>

function lineOf({ blocks, width }: Wish, rounds: readonly Figures[]): string[] {
  const middle = (way: keyof Figures, name: keyof Figure) => median(rounds.map((round) => round[way][name]))
  const both = (way: keyof Figures) => [middle(way, 'micros').toFixed(1), middle(way, 'rate').toFixed(0)]
  const first = `${blocks} blocks, ${width} at once`
  return [
    first,
    ...(['inside', 'nothing'] as const).map((way) => middle(way, 'micros').toFixed(1)),
    ...both('pick'),
    ...both('stream'),
  ]
}

/** The ways in turn, a round each, so that what disturbs disturbs all. The first round warms. */
async function measureWays({ blocks, width }: Wish): Promise<Figures[]> {
  const rounds: Figures[] = []
  for (let round = 0; round <= Number(flags.rounds); round++) {
    const about = `blocks=${blocks}&width=${width}`
    const inside = await measure(`way=inside&${about}`)
    const nothing = await measure(`way=nothing&${about}`)
    const pick = await measure(`way=pick&${about}`)
    const stream = await measure(`way=stream&${about}`)
    if (round > 0) rounds.push({ inside, nothing, pick, stream })
  }
  return rounds
}

async function measure(wish: string): Promise<Figure> {
  const before = readCpu(pid)
  const began = performance.now()
  await ask(`calls=${calls}&${wish}`)
  const wall = performance.now() - began
  const micros = cpuBetween(before, readCpu(pid)) / 1000 / calls
  const { leases } = JSON.parse(await ask('way=end')) as { leases: number }
  if (leases > 0) throw new Error(`${leases} leases are left`)
  return { micros, rate: (calls / wall) * 1000 }
}
