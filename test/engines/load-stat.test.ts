import { test } from 'node:test'
import assert from 'node:assert/strict'
import { PushedLoads, readLoadStat, type LoadStat } from '../../src/engines/load-stat.ts'

const whole = ['LoadStat', 7, 3, 1024, 8192, 2, 4096, 5120, 256, 90_000, 4_500_000]

const read: readonly [what: string, message: unknown, stat: LoadStat | null][] = [
  [
    'of today',
    whole,
    {
      running: 7,
      waiting: 3,
      usedTokens: 1024,
      capacityTokens: 8192,
      waitingUncachedTokens: 4096,
      prefillTokens: 90_000,
      prefillBusy: 4_500_000,
    },
  ],
  [
    'of an older engine, and one without ranks',
    ['LoadStat', 1, 0, 16, 32, null],
    { running: 1, waiting: 0, usedTokens: 16, capacityTokens: 32 },
  ],
  [
    'whose engine does not know what is cached',
    ['LoadStat', 1, 2, 16, 32, 0, null],
    { running: 1, waiting: 2, usedTokens: 16, capacityTokens: 32 },
  ],
  [
    'with numbers beyond 32 bits and fields to come',
    ['LoadStat', 1, 2, 16n, 32n, 0, 5, 6, 7, 8n, 9n, 'new'],
    {
      running: 1,
      waiting: 2,
      usedTokens: 16,
      capacityTokens: 32,
      waitingUncachedTokens: 5,
      prefillTokens: 8,
      prefillBusy: 9,
    },
  ],
  ['of another kind', ['KVEventBatch', 1, 2, 3, 4], null],
  ['that is a map', { running: 1 }, null],
  ['without a capacity', ['LoadStat', 1, 2, 3], null],
  ['with a negative number', ['LoadStat', -1, 0, 16, 32, 0], null],
  ['that is empty', [], null],
  ['that is nothing', null, null],
]

for (const [what, message, stat] of read)
  test(`a pushed load is read: one ${what}`, () => assert.deepEqual(readLoadStat(message), stat))

const stat = (change: Partial<LoadStat> = {}): LoadStat => ({
  running: 4,
  waiting: 2,
  usedTokens: 1000,
  capacityTokens: 4000,
  waitingUncachedTokens: 300,
  ...change,
})

test('ranks add up to the load of their worker', () => {
  const loads = new PushedLoads(2)
  loads.take(0, stat(), 1000)
  assert.deepEqual(loads.take(1, stat({ running: 1, usedTokens: 3000 }), 1100), {
    running: 5,
    waiting: 4,
    waitingUncachedTokens: 600,
    kvTokens: 4000,
    kvCapacityTokens: 8000,
    kvUsage: 0.5,
  })
})

test('a newer message of a rank takes the place of its older one', () => {
  const loads = new PushedLoads(1)
  loads.take(0, stat(), 1000)
  assert.equal(loads.take(0, stat({ running: 9 }), 2000)?.running, 9)
})

test('while a rank is silent nothing is told: it would look like less', () => {
  const loads = new PushedLoads(2)
  assert.equal(loads.take(1, stat(), 1000), null)
  assert.equal(loads.take(0, stat(), 6000)?.running, 8)
  assert.equal(loads.take(0, stat(), 6001), null)
  assert.equal(loads.take(1, stat(), 6002)?.running, 8)
})

test('uncached tokens are told only when every rank tells them', () => {
  const loads = new PushedLoads(2)
  loads.take(0, stat(), 1000)
  const { waitingUncachedTokens: _, ...silent } = stat()
  const load = loads.take(1, silent, 1000) ?? assert.fail()
  assert.equal('waitingUncachedTokens' in load, false)
})

test('the counters of prefill work tell its speed, gathered until they are long enough', () => {
  const loads = new PushedLoads(1)
  const after = (tokens: number, ms: number) =>
    loads.take(0, stat({ prefillTokens: tokens, prefillBusy: ms * 1000 }), 1000)
  after(0, 0)
  after(600, 30)
  assert.equal(loads.speed, 0)
  after(1200, 60)
  assert.equal(Math.round(loads.speed), 20_000)
})

test('a restart of the engine does not spoil the speed', () => {
  const loads = new PushedLoads(1)
  const after = (tokens: number, ms: number) =>
    loads.take(0, stat({ prefillTokens: tokens, prefillBusy: ms * 1000 }), 1000)
  after(100_000, 5000)
  after(0, 0)
  after(2000, 100)
  assert.equal(Math.round(loads.speed), 20_000)
})
