// Times what each policy needs for a choice, in µs, among 8 and 64 candidates: `node bench/micro/policies.ts [name…]`. Matches come from
// a table here, so a tree's look-up (bench/micro/prefix.ts) is not in it; sessions are new every tenth call; the first column is the
// first choice of a fresh chooser, which places a ring's workers.
import { chooserOf, policies, type Candidate, type Policy } from '../../src/policies/policy.ts'
import { configSchema } from '../../src/config/schema.ts'
import type { Ask } from '../../src/actors/ask.ts'

const CALLS = 4000
const config = configSchema.parse({})

const fleet = (count: number): Candidate[] =>
  Array.from({ length: count }, (_, i) => ({
    id: `w-${i}`,
    url: `http://10.0.0.${i}:8000`,
    weight: 1,
    inFlight: (i * 7) % 13,
    backlogTokens: (i * 911) % 5000,
    latency: 40 + ((i * 31) % 50),
    recent: [40 + ((i * 31) % 50)],
    lastTurn: (i * 17) % 101,
    role: 'mixed',
    engine: 'vllm',
    speed: 20_000,
    heldTokens: (i * 3571) % 90_000,
    capacityTokens: 400_000,
    reportedRunning: i % 9,
    reportedWaiting: 0,
    foreignCalls: i % 3,
    foreignTokens: 0,
    joinedAt: 0,
    hasLoaded: () => true,
  }))

const asks: Ask[] = Array.from({ length: CALLS }, (_, i) => ({
  id: `d-${i}`,
  model: 'm',
  prefix: Float64Array.from({ length: 20 }, (_, block) => (i >> 3) * 1000 + block),
  promptBytes: (i * 977) % 20_000,
  tokens: 2000,
  session: `session ${Math.floor(i / 10)}`,
  priority: 0,
  tenant: '',
  stream: true,
  queueUntil: 0,
  engines: null,
  pin: null,
  makesState: false,
})) as unknown as Ask[]

function time(policy: Policy, candidates: readonly Candidate[]): { first: number; each: number } {
  const matches = new Map(candidates.map(({ id }, i) => [id, (i * 37) % 1500]))
  const sense = {
    now: 0,
    random: Math.random,
    promptTokens: 2000,
    match: (id: string) => matches.get(id) ?? 0,
    bestMatch: 1500,
    popularity: 1,
    nominalSpeed: 20_000,
    treeTokens: (id: string) => matches.get(id) ?? 0,
    bytesPerToken: 4,
  }
  const choose = chooserOf(policy, config)
  const begin = performance.now()
  choose(asks[0]!, candidates, sense)
  const first = (performance.now() - begin) * 1000
  let each = Infinity
  for (let round = 0; round < 9; round++) {
    const start = performance.now()
    for (const ask of asks) choose(ask, candidates, sense)
    each = Math.min(each, ((performance.now() - start) * 1000) / CALLS)
    sense.now += 1000
  }
  return { first, each }
}

const names = process.argv.slice(2)
console.log(`${''.padEnd(30)}${'first of 64'.padStart(13)}${'of 8'.padStart(9)}${'of 64'.padStart(9)}  µs`)
for (const policy of policies) {
  if (names.length > 0 && !names.includes(policy.name)) continue
  const { first, each } = time(policy, fleet(64))
  const few = time(policy, fleet(8))
  console.log(
    `${policy.name.padEnd(30)}${first.toFixed(0).padStart(13)}${few.each.toFixed(2).padStart(9)}${each.toFixed(2).padStart(9)}`,
  )
}
