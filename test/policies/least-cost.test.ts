import assert from 'node:assert/strict'
import { test } from 'node:test'
import { configSchema, type ConfigInput } from '../../src/config/schema.ts'
import type { Ask } from '../../src/actors/ask.ts'
import { costOf, leastCost, noTerms, weightsOf } from '../../src/policies/least-cost.ts'
import type { Candidate, PoolSense } from '../../src/policies/policy.ts'
import { ask } from '../actors/_pool.ts'
import { fleet, seeded, sense, worker, type Told } from './_fleet.ts'

interface Given extends Told {
  readonly popularity?: number
}

const sensing = (told: Given): PoolSense => Object.assign(sense(told), { popularity: told.popularity ?? 0 })
const terms = (candidate: Candidate, told: Given, options: ConfigInput = {}, change: Partial<Ask> = {}) => {
  const by = { sense: sensing(told), weights: weightsOf(configSchema.parse(options)), terms: noTerms() }
  return costOf(candidate, ask(change), by)
}
const near = (got: number, wanted: number) =>
  assert.ok(Math.abs(got - wanted) < 1e-9, `${got} is not ${wanted}`)
const choose = (
  candidates: readonly Candidate[],
  told: Given,
  change: Partial<Ask> = {},
  options: ConfigInput = {},
) =>
  (
    candidates[
      leastCost.make!(configSchema.parse(options))(ask(change), candidates, sensing(told))
    ] as Candidate
  ).id

test('the cost is the sum of its terms, each in seconds as the formula has it', () => {
  const one = worker('a', {
    backlogTokens: 3000,
    foreignTokens: 1000,
    inFlight: 4,
    foreignCalls: 1,
    speed: 10_000,
    heldTokens: 9_500,
    capacityTokens: 10_000,
    hasLoaded: () => false,
  })
  const told = { promptTokens: 2000, matches: { a: 500, b: 1500 }, popularity: 2 }
  const { backlog, uncached, duplicate, inFlight, overflow, adapter, cost } = terms(one, told)
  near(backlog, 4000 / 10_000)
  near(uncached, 1500 / 10_000)
  near(duplicate, ((3 / (1 + 2)) * 1000) / 10_000)
  near(inFlight, 0.02 * 5 * (20_000 / 10_000))
  near(overflow, (10 * (9_500 + 2000 - 10_000)) / 10_000)
  near(adapter, 0.05)
  near(cost, backlog + uncached + duplicate + inFlight + overflow + adapter)
})

/** In each the first is better by one term alone: without that term chance, which is made to take the last, would take the second. */
const cases: readonly (readonly [string, Partial<Candidate>, Partial<Candidate>, Given])[] = [
  ['less work ahead', {}, { backlogTokens: 2000 }, {}],
  ['less work of other routers ahead', {}, { foreignTokens: 2000 }, {}],
  ['fewer calls in flight', { inFlight: 3 }, { inFlight: 4 }, {}],
  ['fewer calls of other routers', {}, { foreignCalls: 1 }, {}],
  [
    'room in the KV cache',
    { heldTokens: 900, capacityTokens: 1000 },
    { heldTokens: 950, capacityTokens: 1000 },
    {},
  ],
  ['the faster of two', { speed: 30_000 }, { speed: 20_000 }, {}],
  ['more weight', { weight: 2 }, {}, {}],
  ['the adapter loaded', {}, { hasLoaded: () => false }, {}],
  ['one that is warmed up', {}, { joinedAt: 99_000 }, { now: 100_000 }],
]
for (const [name, better, worse, told] of cases)
  test(`least_cost prefers ${name}`, () => {
    const pair = [worker('a', better), worker('b', worse)]
    assert.equal(choose(pair, { random: () => 0, ...told }), 'a')
  })

test('a worker that holds more of the prompt is worth so much work ahead as it saves, and alpha times that again', () => {
  const told = { promptTokens: 8000, matches: { a: 4000 }, random: () => 0 }
  const holder = (backlogTokens: number) => [worker('a', { backlogTokens }), worker('b')]
  // 4,000 tokens that b would have to read, weighed 1 + alpha times.
  assert.equal(choose(holder(15_900), told), 'a')
  assert.equal(choose(holder(16_100), told), 'b')
  assert.equal(choose(holder(4_100), told, {}, { costAlpha: 0 }), 'b')
  assert.equal(choose(holder(3_900), told, {}, { costAlpha: 0 }), 'a')
})

test('a prefix that many share is computed again sooner', () => {
  const pair = [worker('a', { backlogTokens: 9_000 }), worker('b')]
  const told = { promptTokens: 8000, matches: { a: 4000 } }
  assert.equal(choose(pair, { ...told, popularity: 0 }), 'a')
  assert.equal(choose(pair, { ...told, popularity: 3 }), 'b')
})

test('what another worker holds counts though that one cannot be chosen', () => {
  const { duplicate } = terms(worker('a'), { promptTokens: 8000, matches: { gone: 4000 } })
  near(duplicate, (3 * 4000) / 20_000)
})

test('an unknown capacity is never full', () => {
  assert.equal(terms(worker('a', { heldTokens: 1e9, capacityTokens: 0 }), {}).overflow, 0)
})

test('a worker that joined late takes its full share only after the slow start', () => {
  const told = (now: number) => ({ now, promptTokens: 1000 })
  const late = worker('a', { joinedAt: 100_000 })
  near(terms(late, told(100_000)).uncached, 1000 / 20_000 / 0.2)
  near(terms(late, told(105_000)).uncached, 1000 / 20_000 / 0.6)
  near(terms(late, told(110_000)).uncached, 1000 / 20_000)
  near(terms(worker('b'), told(0)).uncached, 1000 / 20_000)
  near(terms(late, told(100_000), { slowStart: 'off' }).uncached, 1000 / 20_000)
})

test('equals go by chance, all of them', () => {
  const chooseOne = leastCost.make!(configSchema.parse({}))
  const told = sensing({ random: seeded(3) })
  const counts = [0, 0, 0, 0]
  for (let i = 0; i < 4000; i++) counts[chooseOne(ask(), fleet(4), told)]!++
  for (const count of counts) assert.ok(Math.abs(count - 1000) < 120, String(count))
})

test('a prompt that nobody holds goes where every other router sends it, whatever its chance', () => {
  const homes = new Set<string>()
  for (let prompt = 1; prompt <= 60; prompt++) {
    const prefix = Float64Array.of(prompt * 7919, prompt)
    const ids = [1, 2, 3].map((seed) => choose(fleet(4), { random: seeded(seed) }, { prefix }))
    assert.equal(new Set(ids).size, 1)
    homes.add(ids[0]!)
  }
  assert.equal(homes.size, 4)
})

test('only costs that are as good as equal are left to hashing', () => {
  const prefix = Float64Array.of(4711)
  const home = choose(fleet(4), {}, { prefix })
  const loaded = (change: Partial<Candidate>) =>
    fleet(4).map((one) => (one.id === home ? { ...one, ...change } : one))
  assert.equal(choose(loaded({ inFlight: 1 }), {}, { prefix }), home)
  assert.notEqual(choose(loaded({ inFlight: 2 }), {}, { prefix }), home)
  assert.notEqual(choose(loaded({ backlogTokens: 1000 }), {}, { prefix }), home)
})
