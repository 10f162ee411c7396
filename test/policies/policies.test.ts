import assert from 'node:assert/strict'
import { test } from 'node:test'
import { policies, type Candidate } from '../../src/policies/policy.ts'
import { policyWords } from '../../src/policies/words.ts'
import { chooser, fleet, seeded, worker } from './_fleet.ts'

const choose = (name: string, candidates: Candidate[], session: string | null = null, random = seeded(7)) =>
  chooser(name)(candidates, { session }, { random })

test('every policy chooses the only candidate', () => {
  for (const { name } of policies) assert.equal(choose(name, [worker('a')], 's'), 'a')
})

test('every policy chooses one of the candidates for any call, whatever came before', () => {
  const random = seeded(11)
  for (const { name } of policies) {
    const pick = chooser(name, { stickyIdle: '1s', manualIdle: '1s', bucketInterval: '1s' })
    for (let i = 0; i < 300; i++) {
      const candidates = fleet(1 + Math.floor(random() * 9)).map((one) => ({
        ...one,
        inFlight: Math.floor(random() * 100),
        latency: Math.floor(random() * 3) * 40,
        backlogTokens: Math.floor(random() * 9000),
        reportedRunning: Math.floor(random() * 9) - 1,
      }))
      const session = random() < 0.5 ? null : `s ${Math.floor(random() * 40)}`
      const prefix = random() < 0.3 ? null : Float64Array.of(Math.floor(random() * 5), i).subarray(0, i % 3)
      const matches = { 'w-1': i % 101, 'w-2': i % 7 }
      const told = { random, now: i * 100, matches, promptTokens: i % 102 }
      const id = pick(candidates, { session, prefix, id: `d-${i}`, model: i % 2 ? 'm' : null }, told)
      assert.ok(
        candidates.some((one) => one.id === id),
        name,
      )
    }
  }
})

test('names are unique, and each says in one line what it chooses', () => {
  assert.equal(new Set(policies.map(({ name }) => name)).size, policies.length)
  assert.deepEqual(
    Object.keys(policyWords),
    policies.map(({ name }) => name),
  )
  for (const about of Object.values(policyWords)) assert.match(about, /^[^\n]{10,62}$/)
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

for (const [what, turns, chosen] of [
  ['nobody was chosen yet', { c: 0, a: 0, b: 0 }, 'a'],
  ['one came between', { c: 0, a: 4, b: 0 }, 'b'],
  ['the last one had the turn', { a: 2, b: 0, c: 5 }, 'a'],
  ['the one whose turn was last is out', { a: 1, c: 2 }, 'a'],
] as const)
  test(`round_robin as dlrouter has it goes by URLs: ${what}`, () => {
    const candidates = Object.entries(turns).map(([id, lastTurn]) => worker(id, { lastTurn }))
    assert.equal(chooser('round_robin', { dialect: 'dlrouter' })(candidates), chosen)
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
