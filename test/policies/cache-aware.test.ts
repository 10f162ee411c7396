import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ConfigInput } from '../../src/config/schema.ts'
import type { Candidate } from '../../src/policies/policy.ts'
import { chooser, seeded, worker, type Told } from './_fleet.ts'

const prefix = Float64Array.of(1, 2, 3)

/** So many blocks of the prompt that the cases ask for, or (by its number) of another one. */
const blocks = (count: number, prompt = 0) =>
  Float64Array.from({ length: count }, (_, i) => prompt * 1000 + i + 1)
const BLOCK = 256

interface CacheAwareCase {
  readonly says: string
  readonly options?: ConfigInput
  readonly candidates?: Candidate[]
  /** What each was sent before: blocks of the prompt of ten that is asked for, and of others. */
  readonly sent?: Readonly<Record<string, readonly [same: number, others: number]>>
  readonly asked?: Float64Array | null
  readonly chosen: string
}

const loads = (...inFlight: number[]) =>
  inFlight.map((count, index) => worker('abcd'[index]!, { inFlight: count }))
const release: ConfigInput = { cacheAwareVariant: 'release' }

const cacheAwareCases: CacheAwareCase[] = [
  {
    says: 'above the threshold who was sent most of it gets it, though it is busier',
    candidates: loads(3, 9, 0),
    sent: { a: [6, 0], b: [8, 0] },
    chosen: 'b',
  },
  {
    says: 'the threshold itself is not above it: then the smallest tree',
    candidates: loads(0, 0, 5),
    sent: { a: [5, 4], b: [0, 5], c: [0, 1] },
    chosen: 'c',
  },
  {
    says: 'of equal matches the less loaded',
    candidates: loads(4, 2, 0),
    sent: { a: [8, 0], b: [8, 0] },
    chosen: 'b',
  },
  {
    says: 'of equal trees the less loaded',
    candidates: loads(4, 2, 3),
    sent: { a: [0, 7], b: [0, 7], c: [0, 7] },
    chosen: 'b',
  },
  {
    says: 'loads further apart than 32 calls: the least loaded, whatever matches',
    candidates: loads(33, 0),
    sent: { a: [10, 0] },
    chosen: 'b',
  },
  { says: '32 calls apart is not yet apart', candidates: loads(32, 0), sent: { a: [10, 0] }, chosen: 'a' },
  {
    says: 'apart by the number but not by the factor is not apart',
    options: { balanceRel: 2 },
    candidates: loads(100, 50),
    sent: { a: [10, 0] },
    chosen: 'a',
  },
  {
    says: 'apart by the factor but not by the number is not apart',
    options: { balanceAbs: 200 },
    candidates: loads(100, 0),
    sent: { a: [10, 0] },
    chosen: 'a',
  },
  { says: 'the threshold can be set', options: { cacheThreshold: 0.9 }, sent: { a: [8, 0] }, chosen: 'b' },
  { says: 'a prompt that is empty matches nothing', asked: null, sent: { a: [0, 9] }, chosen: 'b' },
  {
    says: 'the release goes by load below its threshold',
    options: release,
    candidates: loads(2, 1),
    sent: { a: [3, 0], b: [0, 90] },
    chosen: 'b',
  },
  {
    says: 'the release has 0.3, 64 and 1.5',
    options: release,
    candidates: loads(64, 0),
    sent: { a: [4, 0] },
    chosen: 'a',
  },
  {
    says: 'the release is apart at 65',
    options: release,
    candidates: loads(65, 0),
    sent: { a: [4, 0] },
    chosen: 'b',
  },
  {
    says: 'the release takes what is set',
    options: { ...release, cacheThreshold: 0.5 },
    candidates: loads(1, 0),
    sent: { a: [4, 0] },
    chosen: 'b',
  },
]

for (const {
  says,
  options,
  candidates = loads(0, 0),
  sent = {},
  asked = blocks(10),
  chosen,
} of cacheAwareCases)
  test(`cache_aware: ${says}`, () => {
    const pick = chooser('cache_aware', options)
    let other = 0
    for (const [id, [same, others]] of Object.entries(sent)) {
      pick([worker(id)], { prefix: blocks(same), promptBytes: same * BLOCK })
      pick([worker(id)], { prefix: blocks(others, ++other), promptBytes: others * BLOCK })
    }
    const promptBytes = (asked?.length ?? 0) * BLOCK
    assert.equal(pick(candidates, { prefix: asked, promptBytes }), chosen)
  })

test('cache_aware remembers what it sent, but nothing of a dry run', () => {
  const pick = chooser('cache_aware')
  const asked = { prefix: blocks(10), promptBytes: 10 * BLOCK }
  assert.equal(pick(loads(1, 0), asked, { isDry: true }), 'b')
  assert.equal(pick(loads(0, 1), asked), 'a')
  assert.equal(pick(loads(9, 0), asked), 'a')
})

interface Case {
  readonly says: string
  readonly policy: string
  readonly options?: ConfigInput
  readonly candidates?: Candidate[]
  readonly told?: Told
  readonly hashes?: Float64Array | null
  readonly chosen: string
}

const cases: Case[] = [
  {
    says: 'the fewest tokens to compute: what waits there counts as much as what is not cached',
    policy: 'kv_aware',
    candidates: [worker('a', { backlogTokens: 90 }), worker('b')],
    told: { matches: { a: 80 } },
    chosen: 'b',
  },
  {
    says: 'a match that saves more than waits there wins',
    policy: 'kv_aware',
    candidates: [worker('a', { backlogTokens: 70 }), worker('b')],
    told: { matches: { a: 80 } },
    chosen: 'a',
  },
  {
    says: 'tokens that other routers sent wait there too',
    policy: 'kv_aware',
    candidates: [worker('a', { foreignTokens: 90 }), worker('b')],
    told: { matches: { a: 80 } },
    chosen: 'b',
  },
  {
    says: 'of equal costs the less loaded',
    policy: 'kv_aware',
    candidates: loads(3, 1, 2),
    chosen: 'b',
  },
  {
    says: 'without a prompt key it goes by load',
    policy: 'kv_aware',
    hashes: null,
    candidates: [worker('a', { inFlight: 1 }), worker('b', { backlogTokens: 9000 })],
    chosen: 'b',
  },
]

for (const { says, policy, options, candidates = loads(0, 0), told, hashes = prefix, chosen } of cases)
  test(`${policy}: ${says}`, () => {
    assert.equal(chooser(policy, options)(candidates, { prefix: hashes }, told), chosen)
  })

const leastMatches: [number, string, string][] = [
  [2 * BLOCK, 'a', 'from the least match on, whatever its load'],
  [2 * BLOCK + 1, 'c', 'below the least match load decides'],
]
for (const [prefixMinMatch, chosen, says] of leastMatches)
  test(`production_stack_prefixaware: ${says}`, () => {
    const pick = chooser('production_stack_prefixaware', { prefixMinMatch })
    pick([worker('a')], { prefix: blocks(2) })
    pick([worker('b')], { prefix: blocks(1) })
    assert.equal(pick(loads(100, 9, 0), { prefix: blocks(10) }), chosen)
  })

test('production_stack_prefixaware takes any of those that share the longest match', () => {
  const pick = chooser('production_stack_prefixaware')
  const random = seeded(5)
  const seen = new Set<string>()
  for (const [id, count] of [
    ['a', 5],
    ['b', 5],
    ['c', 4],
  ] as const)
    pick([worker(id)], { prefix: blocks(count) })
  for (let i = 0; i < 100; i++) seen.add(pick(loads(0, 9, 0), { prefix: blocks(5) }, { random, isDry: true }))
  assert.deepEqual(seen, new Set(['a', 'b']))
})

for (const policy of ['cache_aware', 'production_stack_prefixaware'])
  test(`${policy} remembers of each worker as much as treeSize says, the newest`, () => {
    const pick = chooser(policy, { treeSize: 4 * BLOCK })
    const asked = (prompt: number) => ({ prefix: blocks(2, prompt), promptBytes: 2 * BLOCK })
    const told = { isDry: true, random: () => 0.1 }
    pick([worker('c')], asked(2))
    assert.equal(pick([worker('b'), worker('c', { inFlight: 2 })], asked(2), told), 'c')
    for (let prompt = 3; prompt < 5; prompt++) pick([worker('c')], asked(prompt))
    const spread = new Set(
      [0.1, 0.9].map((chance) =>
        pick([worker('b'), worker('c', { inFlight: 2 })], asked(2), { isDry: true, random: () => chance }),
      ),
    )
    assert.deepEqual(spread, new Set(policy === 'cache_aware' ? ['b'] : ['b', 'c']))
  })

test('kv_aware with a temperature takes the cheaper one more often, not always', () => {
  const pick = chooser('kv_aware', { kvTemperature: 1 })
  const random = seeded(5)
  const counts = { a: 0, b: 0 }
  for (let i = 0; i < 2000; i++)
    counts[pick(loads(0, 0), { prefix }, { random, matches: { a: 80 } }) as 'a' | 'b']++
  // e^0 : e^-1
  assert.ok(Math.abs(counts.a / 2000 - 0.731) < 0.04, JSON.stringify(counts))
})

test('prefix_hash: prompts with the same beginning go together, and spread by it', () => {
  const pick = chooser('prefix_hash')
  const homes = new Set<string>()
  for (let i = 0; i < 200; i++) {
    const same = Float64Array.of(i, i + 1, i + 2, i * 31 + 7)
    const home = pick(loads(0, 0, 0, 0), { prefix: same })
    homes.add(home)
    const longer = Float64Array.of(...same, 99, 98)
    assert.equal(pick(loads(0, 0, 0, 0), { prefix: longer }), home)
  }
  assert.equal(homes.size, 4)
})

test('prefix_hash: how much of a beginning counts is set in tokens', () => {
  const pick = chooser('prefix_hash', { prefixTokens: 64 })
  for (let i = 0; i < 50; i++)
    assert.equal(
      pick(loads(0, 0, 0, 0), { prefix: Float64Array.of(i, 1, 2, 3) }),
      pick(loads(0, 0, 0, 0), { prefix: Float64Array.of(i, 7, 8, 9) }),
    )
})

test('prefix_hash: a worker with more than 1.25 times the mean passes the call on', () => {
  const home = chooser('prefix_hash')(loads(0, 0), { prefix })
  const other = home === 'a' ? 'b' : 'a'
  const loaded = (count: number) => [worker(home, { inFlight: count }), worker(other, { inFlight: 10 })]
  // 16 in flight and 27 in all: the mean with this call is 13.5, and 1.25 times that 16.9.
  assert.equal(chooser('prefix_hash')(loaded(16), { prefix }), home)
  assert.equal(chooser('prefix_hash')(loaded(19), { prefix }), other)
  assert.equal(chooser('prefix_hash', { prefixLoadFactor: 2 })(loaded(19), { prefix }), home)
})

test('prefix_hash: a prompt without a whole block goes by load', () => {
  for (const hashes of [null, new Float64Array(0)])
    assert.equal(chooser('prefix_hash')(loads(1, 0), { prefix: hashes }), 'b')
})

test('dlrouter_prefix_cache: a beginning keeps to its first worker under any load; a new one goes by load', () => {
  const pick = chooser('dlrouter_prefix_cache')
  assert.equal(pick(loads(1, 0), { prefix }), 'b')
  assert.equal(pick(loads(0, 90), { prefix: Float64Array.of(1, 77) }), 'b')
  assert.equal(pick(loads(0, 90), { prefix: Float64Array.of(5) }), 'a')
  assert.equal(pick(loads(0, 90), { prefix: null }), 'a')
})

test('dlrouter_prefix_cache: while the first worker is out another has the beginning, and gives it back', () => {
  const pick = chooser('dlrouter_prefix_cache')
  const [a, b, c] = loads(0, 1, 2) as [Candidate, Candidate, Candidate]
  assert.equal(pick([a, b, c], { prefix }), 'a')
  assert.equal(pick([b, c], { prefix }), 'b')
  assert.equal(pick([{ ...b, inFlight: 50 }, c], { prefix }), 'b')
  assert.equal(pick([c, b, { ...a, inFlight: 50 }], { prefix }), 'a')
})
