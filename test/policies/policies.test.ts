import assert from 'node:assert/strict'
import { test } from 'node:test'
import { policies, type Candidate, type PoolSense } from '../../src/policies/policy.ts'
import { ask } from '../actors/_pool.ts'

const worker = (id: string, change: Partial<Candidate> = {}): Candidate => ({
  id,
  url: `http://${id}`,
  weight: 1,
  inFlight: 0,
  backlogTokens: 0,
  latency: 0,
  lastTurn: 0,
  role: 'mixed',
  engine: 'vllm',
  speed: 20_000,
  heldTokens: 0,
  capacityTokens: 0,
  reportedRunning: -1,
  reportedWaiting: -1,
  foreignCalls: 0,
  foreignTokens: 0,
  joinedAt: 0,
  hasLoaded: () => true,
  ...change,
})
const sense = (random: () => number): PoolSense => ({
  now: 0,
  random,
  promptTokens: 100,
  match: () => 0,
  bestMatch: 0,
  popularity: 0,
  nominalSpeed: 20_000,
  treeTokens: () => 0,
  bytesPerToken: 4,
})
const seeded = (seed: number) => () => (seed = (seed * 16807) % 2147483647) / 2147483647
const choose = (name: string, candidates: Candidate[], session: string | null = null, random = seeded(7)) => {
  const policy = policies.find((one) => one.name === name)
  assert.ok(policy)
  return candidates[policy.choose(ask({ session }), candidates, sense(random))]?.id
}

test('every policy chooses the only candidate', () => {
  for (const { name } of policies) assert.equal(choose(name, [worker('a')], 's'), 'a')
})

test('round_robin takes the one chosen longest ago, whoever came or left meanwhile', () => {
  assert.equal(
    choose('round_robin', [
      worker('a', { lastTurn: 9 }),
      worker('b', { lastTurn: 3 }),
      worker('c', { lastTurn: 8 }),
    ]),
    'b',
  )
})

test('least_load weighs calls in flight by weight; equals go in turn', () => {
  assert.equal(
    choose('least_load', [worker('a', { inFlight: 3 }), worker('b', { inFlight: 5, weight: 2 })]),
    'b',
  )
  assert.equal(
    choose('least_load', [
      worker('a', { inFlight: 1, lastTurn: 5 }),
      worker('b', { inFlight: 1, lastTurn: 4 }),
    ]),
    'b',
  )
})

test('random follows the weights', () => {
  const random = seeded(42)
  const counts = { a: 0, b: 0 }
  for (let i = 0; i < 4000; i++)
    counts[choose('random', [worker('a', { weight: 3 }), worker('b')], null, random) as 'a' | 'b']++
  assert.ok(Math.abs(counts.a / 4000 - 0.75) < 0.03, JSON.stringify(counts))
})

test('power_of_two never takes the most loaded of three, and takes both others', () => {
  const random = seeded(3)
  const fleet = [worker('a', { inFlight: 1 }), worker('b', { inFlight: 2 }), worker('c', { inFlight: 9 })]
  const seen = new Set<unknown>()
  for (let i = 0; i < 200; i++) seen.add(choose('power_of_two', fleet, null, random))
  assert.deepEqual(seen, new Set(['a', 'b']))
})

test('least_latency counts what already waits, and tries the unmeasured first', () => {
  assert.equal(
    choose('least_latency', [
      worker('a', { latency: 100, inFlight: 3 }),
      worker('b', { latency: 150, inFlight: 1 }),
    ]),
    'b',
  )
  assert.equal(choose('least_latency', [worker('a', { latency: 100 }), worker('b')]), 'b')
})

const fleet = (count: number) => Array.from({ length: count }, (_, index) => worker(`w-${index}`))
const sessions = Array.from({ length: 2000 }, (_, index) => `session ${index}`)

test('consistent_hash spreads sessions evenly and keeps each on its worker', () => {
  const counts = new Map<unknown, number>()
  for (const session of sessions) {
    const home = choose('consistent_hash', fleet(8), session)
    assert.equal(choose('consistent_hash', fleet(8).reverse(), session), home)
    counts.set(home, (counts.get(home) ?? 0) + 1)
  }
  for (const count of counts.values()) assert.ok(count > 190 && count < 310, String(count))
})

test('when a worker joins, only its own share moves, and only to it', () => {
  const moved = sessions.filter(
    (session) =>
      choose('consistent_hash', fleet(8), session) !== choose('consistent_hash', fleet(9), session),
  )
  assert.ok(moved.length > 150 && moved.length < 300, String(moved.length))
  for (const session of moved) assert.equal(choose('consistent_hash', fleet(9), session), 'w-8')
})

test('a hot session spills over when its worker is far above the others', () => {
  const home = choose('consistent_hash', fleet(4), 'hot')
  const loaded = fleet(4).map((one) => (one.id === home ? { ...one, inFlight: 30 } : { ...one, inFlight: 2 }))
  assert.notEqual(choose('consistent_hash', loaded, 'hot'), home)
  const slightly = fleet(4).map((one) => (one.id === home ? { ...one, inFlight: 3 } : one))
  assert.equal(choose('consistent_hash', slightly, 'hot'), home)
})

test('without a session consistent_hash goes by load, not to the first worker', () => {
  assert.equal(choose('consistent_hash', [worker('a', { inFlight: 2 }), worker('b', { inFlight: 1 })]), 'b')
})
