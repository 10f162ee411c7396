import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Seat } from '../../src/actors/seat.ts'
import { probe, type ProbeRules } from '../../src/discovery/probe.ts'
import { fail } from '../../src/forward/breaker.ts'
import type { Upstream } from '../../src/host.ts'
import { createClock } from '../_clock.ts'

const breaker = { failures: 1, window: 60_000, open: 1000, successes: 2, busyOn: [] }
const RULES: ProbeRules = {
  path: '/health',
  interval: 1000,
  timeout: 500,
  failures: 1,
  successes: 1,
  breaker: null,
}

function bench() {
  const clock = createClock()
  let status = 200
  const bytes = () => Promise.resolve(new Uint8Array())
  const upstream = () => ({ status, headers: [], bytes, first: () => bytes(), cancel() {} }) as Upstream
  const host = { ...clock, fetch: () => Promise.resolve(upstream()) }
  const ref = { id: 'w', url: 'http://w', engine: 'vllm' }
  const rest = { weight: 1, models: null, draining: false, maxInFlight: null, kvCapacityTokens: null }
  const seat = new Seat({ ref, role: 'mixed', ...rest })
  const look = (rules: Partial<ProbeRules>, answer: number) => {
    status = answer
    return probe(host, [seat], { ...RULES, ...rules }).then(([change]) => change)
  }
  return { clock, seat, look }
}

test('a worker that was out is back after so many good probes in a row', async () => {
  const { seat, look } = bench()
  const changes = []
  for (const status of [500, 200, 500, 200, 200]) changes.push(await look({ successes: 2 }, status))
  assert.deepEqual(changes, ['down', 'none', 'none', 'none', 'up'])
  assert.equal(seat.isDown, false)
})

test('good probes close a breaker whose time is up, where they count', async () => {
  const { clock, seat, look } = bench()
  fail(seat.breaker, breaker, clock.now())
  await look({ breaker }, 200)
  assert.equal(seat.breaker.state, 'open', 'its time is not up')
  await clock.advance(1000)
  await look({ breaker }, 200)
  assert.equal(seat.breaker.state, 'half_open')
  await look({ breaker }, 200)
  assert.equal(seat.breaker.state, 'closed')
})

test('elsewhere only calls close a breaker', async () => {
  const { clock, seat, look } = bench()
  fail(seat.breaker, breaker, clock.now())
  await clock.advance(1000)
  for (let i = 0; i < 3; i++) await look({}, 200)
  assert.equal(seat.breaker.state, 'open')
})
