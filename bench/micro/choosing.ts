// What least_cost costs a call, part by part: `node bench/micro/choosing.ts`. The bodies of the benchmark, two workers, and the
// pool's own parts in the order in which a call meets them; medians of µs. With `--cold KIB` that much other memory is read between
// calls, as a process does that moves bodies and answers: little of ours is in the core's caches then.
import { parseArgs } from 'node:util'
import type { ActorState } from '../../src/actors/actor.ts'
import type { Ask, Outcome, Plan } from '../../src/actors/ask.ts'
import { DecisionLog } from '../../src/actors/decision-log.ts'
import { Knowledge } from '../../src/actors/knowledge.ts'
import { Ledger } from '../../src/actors/ledger.ts'
import { Seat } from '../../src/actors/seat.ts'
import { configSchema } from '../../src/config/schema.ts'
import { scanTop } from '../../src/openai/scan.ts'
import { chooserOf, policyOf } from '../../src/policies/policy.ts'
import { hashBlocks } from '../../src/prefix/blocks.ts'
import { readPrompt } from '../../src/prefix/prompt.ts'
import { columns, makeBodies, type Column } from '../bodies.ts'

const { values: flags } = parseArgs({
  options: {
    calls: { type: 'string', default: '6000' },
    cold: { type: 'string', default: '0' },
    columns: { type: 'string', default: 'json1,json16,json128' },
  },
})

const PARTS = ['prompt key', 'look-up', 'scoring', 'record', 'ledger', 'insert', 'end'] as const
/** Calls under way at once. */
const IN_FLIGHT = 32
const config = configSchema.parse({ policy: 'least_cost' })
const other = new Int32Array(Number(flags.cold) * 256)

const done: Outcome = {
  kind: 'done',
  status: 200,
  usage: { promptTokens: 256, cachedTokens: 0, completionTokens: 64, estimated: false },
}

function pool() {
  const state = { now: () => performance.now(), random: Math.random, log() {}, after() {} }
  const knowledge = new Knowledge(config, state as unknown as ActorState)
  const seats = [1, 2].map(
    (port) =>
      new Seat({
        ref: { id: `w-${port}`, url: `http://127.0.0.1:${port}`, engine: 'vllm' },
        role: 'mixed',
        weight: 1,
        models: ['bench-model'],
        draining: false,
        maxInFlight: null,
        kvCapacityTokens: null,
      }),
  )
  knowledge.met(new Map(seats.map((seat) => [seat.id, seat])), [], config.kvCapacity)
  const breaker = { failures: 5, window: 10_000, open: 10_000, successes: 2, busyOn: [] }
  const ledger = new Ledger(breaker, knowledge.speeds)
  const choose = chooserOf(policyOf('least_cost'), config)
  return { knowledge, seats, ledger, choose, log: new DecisionLog(config.decisions) }
}

const plain = { session: null, priority: 0, tenant: 'default', stream: false, queueUntil: Infinity }
const anywhere = { engines: null, pin: null, makesState: false }

/** µs of each part, one figure a call. */
function measure(column: Column): Map<string, Float64Array> {
  const { knowledge, seats, ledger, choose, log } = pool()
  const bodies = makeBodies(column, 1000)
  const calls = Number(flags.calls) / (column.bytes > 100_000 ? 4 : 1)
  const times = new Map(PARTS.map((part) => [part, new Float64Array(calls)]))
  const waiting: string[] = []
  for (let call = -calls; call < calls; call++) {
    const body = Buffer.allocUnsafeSlow(column.bytes)
    bodies.write(body)
    const top = scanTop(body)
    const id = crypto.randomUUID()
    readOther()
    let at = performance.now()
    const note = (part: (typeof PARTS)[number]) => {
      const now = performance.now()
      if (call >= 0) times.get(part)![call] = (now - at) * 1000
      at = performance.now()
    }
    const prompt = readPrompt(top, 'bench-model')
    const prefix = hashBlocks(prompt)
    note('prompt key')
    const size = { prefix, promptBytes: prompt.length, tokens: column.bytes >> 2 }
    const ask: Ask = { id, model: 'bench-model', ...size, ...plain, ...anywhere }
    const sense = knowledge.sense.look(ask, at)
    note('look-up')
    const seat = seats[choose(ask, seats, sense)]!
    note('scoring')
    const why = () => 'full' as const
    const about = { ask, policy: 'least_cost', weigh: null, attempt: 1, serving: seats, candidates: seats }
    const record = log.decided({ ...about, chosen: seat, sense, tried: [], why })
    note('record')
    const plan: Plan = {
      kind: 'single',
      worker: seat.member.ref,
      decision: id,
      attempt: 1,
      waited: 0,
      delay: 0,
    }
    const tokens = sense.promptTokens
    const known = { tokens, matched: sense.match(seat.id), depth: sense.depth(seat.id), record }
    const lease = ledger.open(ask, seat, plan, { tried: [], now: at, ...known })
    note('ledger')
    knowledge.opened(lease, false, at)
    note('insert')
    waiting.push(id)
    if (waiting.length < IN_FLIGHT) continue
    const ended = waiting.shift()!
    readOther()
    at = performance.now()
    const { lease: over } = ledger.close(ended, done, at)!
    knowledge.ended(over, done)
    if (knowledge.isOutgrown) knowledge.meet(seats, config.kvCapacity)
    log.ended(over, done, at)
    note('end')
  }
  return times
}

let sum = 0
function readOther(): void {
  for (let at = 0; at < other.length; at += 16) sum += other[at]!
}

const median = (values: Float64Array): number => values.toSorted()[values.length >> 1]!

const rows = columns.filter(({ name }) => flags.columns.split(',').includes(name))
console.log(
  `µs, medians${' '.repeat(5)}${PARTS.map((part) => part.padStart(11)).join('')}${'all'.padStart(11)}`,
)
for (const column of rows) {
  const medians = [...measure(column).values()].map(median)
  const all = medians.reduce((total, figure) => total + figure, 0)
  console.log(column.title.padEnd(16) + [...medians, all].map((one) => one.toFixed(2).padStart(11)).join(''))
}
if (sum !== 0) console.log(sum)
