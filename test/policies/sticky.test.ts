import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Assignments } from '../../src/policies/assignments.ts'
import { chooser, fleet, seeded, worker } from './_fleet.ts'

const HOUR = 3_600_000

for (const name of ['manual', 'sticky_least_loaded']) {
  test(`${name}: a session stays while its worker lives, whoever joins and however busy it is`, () => {
    const pick = chooser(name)
    const random = seeded(3)
    const sessions = Array.from({ length: 50 }, (_, index) => `s ${index}`)
    const homes = sessions.map((session) => pick(fleet(3), { session }, { random }))
    const busy = fleet(6, { inFlight: 90 }).toReversed()
    assert.deepEqual(
      sessions.map((session) => pick(busy, { session }, { random })),
      homes,
    )
  })

  test(`${name}: a worker that leaves moves only its own sessions, once`, () => {
    const pick = chooser(name)
    const random = seeded(3)
    const sessions = Array.from({ length: 60 }, (_, index) => `s ${index}`)
    const homes = sessions.map((session) => pick(fleet(4), { session }, { random }))
    const left = fleet(4).filter(({ id }) => id !== 'w-1')
    const moved = sessions.map((session) => pick(left, { session }, { random }))
    for (const [index, home] of homes.entries())
      assert.equal(moved[index] === home, home !== 'w-1', sessions[index])
    assert.deepEqual(
      sessions.map((session) => pick(left, { session }, { random })),
      moved,
    )
  })
}

test('manual: a session returns when its first worker does; sticky_least_loaded leaves it where it is', () => {
  for (const [name, returns] of [
    ['manual', true],
    ['sticky_least_loaded', false],
  ] as const) {
    const pick = chooser(name)
    const home = pick(fleet(3), { session: 's' })
    const second = pick(
      fleet(3).filter(({ id }) => id !== home),
      { session: 's' },
    )
    assert.equal(pick(fleet(3), { session: 's' }), returns ? home : second)
  }
})

const modes: [string, ReturnType<typeof worker>[], string][] = [
  ['min_load', [worker('a', { inFlight: 2 }), worker('b', { inFlight: 1 })], 'b'],
  ['min_group', [worker('a', { inFlight: 2 }), worker('b', { inFlight: 9 })], 'b'],
]
for (const [mode, candidates, expected] of modes)
  test(`manual: ${mode} says where a new session goes`, () => {
    const pick = chooser('manual', { manualAssignment: mode as 'min_load' })
    pick([worker('a')], { session: 'first' })
    assert.equal(pick(candidates, { session: 'second' }), expected)
    assert.equal(pick(candidates, { session: null }), mode === 'min_load' ? 'b' : pick(candidates))
  })

test('manual: random assignment reaches every worker', () => {
  const pick = chooser('manual')
  const random = seeded(9)
  const seen = new Set(
    Array.from({ length: 80 }, (_, i) => pick(fleet(4), { session: `s ${i}` }, { random })),
  )
  assert.equal(seen.size, 4)
})

test('manual and sticky_least_loaded forget a session after its idle time, not before', () => {
  for (const [name, options] of [
    ['manual', { manualAssignment: 'min_load', manualIdle: '1h' }],
    ['sticky_least_loaded', { stickyIdle: '1h' }],
  ] as const) {
    const pick = chooser(name, options)
    assert.equal(pick([worker('a')], { session: 's' }), 'a')
    pick([worker('b')], { session: 'of b' }, { now: HOUR - 1 })
    const both = [worker('a', { inFlight: 9 }), worker('b')]
    assert.equal(pick(both, { session: 's' }, { now: HOUR - 1 }), 'a')
    pick([worker('a')], { session: 'of a' }, { now: 2 * HOUR - 2 })
    assert.equal(pick(both, { session: 's' }, { now: 2 * HOUR - 1 }), 'b', name)
  }
})

test('sticky_least_loaded gives each worker its share of the sessions', () => {
  const pick = chooser('sticky_least_loaded')
  const counts = new Map<string, number>()
  for (let i = 0; i < 40; i++) {
    const id = pick(fleet(4), { session: `s ${i}` })
    counts.set(id, (counts.get(id) ?? 0) + 1)
  }
  assert.deepEqual([...counts.values()], [10, 10, 10, 10])
})

test('sticky_least_loaded: a call without a session goes to the fewest and counts as none', () => {
  const pick = chooser('sticky_least_loaded')
  pick([worker('a')], { session: 's' })
  for (let i = 0; i < 5; i++) assert.equal(pick([worker('a'), worker('b')]), 'b')
})

test('assignments are bounded: the least recently used key is forgotten, with its count', () => {
  const given = new Assignments(0, 3)
  for (const key of ['k1', 'k2', 'k3']) given.give(key, 'a', 0)
  assert.deepEqual(given.find('k1', 1), ['a'])
  given.give('k4', 'b', 2)
  assert.equal(given.size, 3)
  assert.deepEqual(given.find('k2', 3), [])
  assert.deepEqual(given.find('k1', 3), ['a'])
  assert.deepEqual([given.count('a'), given.count('b')], [2, 1])
})

test('of a key two workers are remembered, and it counts for the newest', () => {
  const given = new Assignments(0)
  for (const id of ['a', 'b', 'c']) given.give('k', id, 0)
  assert.deepEqual(given.find('k', 0), ['b', 'c'])
  assert.deepEqual(
    ['a', 'b', 'c'].map((id) => given.count(id)),
    [0, 0, 1],
  )
})

test('three hundred thousand sessions leave no more than a hundred thousand remembered', () => {
  const given = new Assignments(0)
  for (let i = 0; i < 300_000; i++) given.give(`session ${i}`, `w-${i % 7}`, i)
  assert.equal(given.size, 100_000)
  let sum = 0
  for (let i = 0; i < 7; i++) sum += given.count(`w-${i}`)
  assert.equal(sum, 100_000)
})

for (const name of ['manual', 'sticky_least_loaded', 'dlrouter_prefix_cache', 'bucket'])
  test(`${name} remembers nothing of a dry run`, () => {
    const call = { session: 's', prefix: Float64Array.of(1), promptBytes: 4000 }
    const make = () => chooser(name, { manualAssignment: 'min_load' })
    const both = [worker('b'), worker('a', { inFlight: 9 })]
    const home = make()(both, call)
    // A session stays where it was sent; who was sent much is not sent more.
    const sent = both.filter(({ id }) => (id === home) === (name === 'bucket'))
    const dry = make()
    dry(sent, { ...call, id: 'd-first' }, { isDry: true })
    assert.equal(dry(both, call), home)
    const real = make()
    real(sent, { ...call, id: 'd-first' })
    assert.notEqual(real(both, call), home)
  })
