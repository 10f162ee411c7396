import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Candidate } from '../../src/policies/policy.ts'
import { chooser, seeded, worker } from './_fleet.ts'

const two = (a: Partial<Candidate>, b: Partial<Candidate>) => [worker('a', a), worker('b', b)]

const cases: [string, string, Candidate[], string][] = [
  [
    'min_expected_latency',
    'calls in flight by learned speed',
    two({ inFlight: 3, speed: 40_000 }, { inFlight: 2 }),
    'a',
  ],
  [
    'min_expected_latency',
    'told weights are its speed, whatever was learned',
    two({ inFlight: 3, weight: 2 }, { inFlight: 1, speed: 1000 }),
    'b',
  ],
  [
    'min_observed_latency',
    'mean time of its answers, times calls',
    two({ inFlight: 2, recent: [50, 150] }, { inFlight: 3, recent: [50] }),
    'b',
  ],
  [
    'min_observed_latency',
    'whole answers, not first tokens',
    two({ inFlight: 1, latency: 900, recent: [100] }, { inFlight: 1, latency: 10, recent: [500] }),
    'a',
  ],
  [
    'min_observed_latency',
    'all of the last answers weigh the same',
    two({ inFlight: 1, recent: [10, 10, 10, 100] }, { inFlight: 1, recent: [40] }),
    'a',
  ],
  [
    'min_observed_latency',
    'one without a measurement counts as usual',
    [...two({ inFlight: 1, recent: [100] }, { inFlight: 1, recent: [300] }), worker('c', { inFlight: 1 })],
    'a',
  ],
  ['least_loaded', 'the fewest calls', two({ inFlight: 2 }, { inFlight: 1 }), 'b'],
  ['least_loaded', 'no weights', two({ inFlight: 1 }, { inFlight: 2, weight: 9 }), 'a'],
  [
    'least_loaded',
    'equals by URL',
    two({ url: 'http://z', lastTurn: 0 }, { url: 'http://y', lastTurn: 5 }),
    'b',
  ],
  [
    'latency_based',
    'the least time, however many wait',
    two({ recent: [90], inFlight: 50 }, { recent: [100] }),
    'a',
  ],
  [
    'latency_based',
    'the second of two answers weighs three tenths',
    two({ recent: [100, 10] }, { recent: [70] }),
    'b',
  ],
  ['latency_based', 'the unmeasured first', two({ recent: [1] }, {}), 'b'],
  ['latency_based', 'equals by calls', two({ recent: [5], inFlight: 2 }, { recent: [5], inFlight: 1 }), 'b'],
  ['latency_based', 'then by URL', two({ url: 'http://z' }, { url: 'http://y' }), 'b'],
  [
    'dp_minimum_tokens',
    'tokens held and waiting',
    two({ heldTokens: 50 }, { heldTokens: 20, backlogTokens: 29 }),
    'b',
  ],
  [
    'dp_minimum_tokens',
    'also what others sent',
    two({ heldTokens: 50 }, { heldTokens: 20, foreignTokens: 31 }),
    'a',
  ],
  ['dp_minimum_tokens', 'equals by load', two({ inFlight: 2 }, { inFlight: 1 }), 'b'],
  ['passthrough', 'the first of the list', two({ inFlight: 99 }, {}), 'a'],
  [
    'power_of_two',
    'what the engines tell of other routers counts',
    two({ reportedRunning: 9, foreignCalls: 9 }, { inFlight: 3, reportedRunning: 3 }),
    'b',
  ],
  [
    'power_of_two',
    'one that told nothing gains nothing by that',
    two({ inFlight: 3 }, { inFlight: 2, reportedRunning: 30, foreignCalls: 28 }),
    'b',
  ],
  [
    'power_of_two',
    'of two with as many calls the one with fewer tokens',
    two({ reportedRunning: 0, heldTokens: 900 }, { reportedRunning: 0, heldTokens: 10 }),
    'b',
  ],
  ['power_of_two', 'by weight', two({ inFlight: 3, weight: 2 }, { inFlight: 2 }), 'a'],
]

for (const [name, says, candidates, expected] of cases)
  test(`${name}: ${says}`, () => {
    const pick = chooser(name)
    const random = seeded(8)
    for (let i = 0; i < 20; i++) assert.equal(pick(candidates, {}, { random }), expected)
  })

for (const name of ['min_expected_latency', 'min_observed_latency'])
  test(`${name}: idle workers are equals, and chance takes each`, () => {
    const pick = chooser(name)
    const random = seeded(8)
    const counts = { a: 0, b: 0 }
    for (let i = 0; i < 2000; i++)
      counts[pick(two({ recent: [10] }, { recent: [900] }), {}, { random }) as 'a' | 'b']++
    assert.ok(Math.abs(counts.a - 1000) < 100, JSON.stringify(counts))
  })
