import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  allows,
  createBreaker,
  enter,
  fail,
  release,
  succeed,
  type BreakerRules,
} from '../../src/forward/breaker.ts'

const rules: BreakerRules = { failures: 3, window: 1000, open: 500, successes: 2, busyOn: [] }

test('failures farther apart than the window never open it', () => {
  const breaker = createBreaker()
  for (let now = 0; now < 10_000; now += 600) assert.equal(fail(breaker, rules, now), false)
  assert.equal(breaker.state, 'closed')
})

test('a success between failures starts the count anew', () => {
  const breaker = createBreaker()
  for (let i = 0; i < 10; i++) {
    fail(breaker, rules, i)
    fail(breaker, rules, i)
    succeed(breaker, rules)
  }
  assert.equal(breaker.state, 'closed')
})

test('it opens at the last of so many failures in a row, and stays open for its time', () => {
  const breaker = createBreaker()
  assert.deepEqual(
    [fail(breaker, rules, 0), fail(breaker, rules, 1), fail(breaker, rules, 2)],
    [false, false, true],
  )
  assert.equal(allows(breaker, rules, 501), false)
  assert.equal(allows(breaker, rules, 502), true)
})

test('half-open lets one call at a time through', () => {
  const breaker = createBreaker()
  for (let i = 0; i < 3; i++) fail(breaker, rules, 0)
  assert.equal(enter(breaker), true)
  assert.equal(allows(breaker, rules, 1000), false)
  release(breaker)
  assert.equal(allows(breaker, rules, 1000), true)
})

test('a failed probe opens it again for the whole time', () => {
  const breaker = createBreaker()
  for (let i = 0; i < 3; i++) fail(breaker, rules, 0)
  enter(breaker)
  assert.equal(fail(breaker, rules, 700), true)
  assert.equal(allows(breaker, rules, 1199), false)
  assert.equal(allows(breaker, rules, 1200), true)
})

test('so many successes in a row close it', () => {
  const breaker = createBreaker()
  for (let i = 0; i < 3; i++) fail(breaker, rules, 0)
  enter(breaker)
  assert.equal(succeed(breaker, rules), false)
  enter(breaker)
  assert.equal(succeed(breaker, rules), true)
  assert.equal(breaker.state, 'closed')
})

test('with 0 failures it never opens', () => {
  const breaker = createBreaker()
  for (let i = 0; i < 100; i++) fail(breaker, { ...rules, failures: 0 }, i)
  assert.equal(allows(breaker, rules, 100), true)
})
