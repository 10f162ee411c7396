import assert from 'node:assert/strict'
import { test } from 'node:test'
import { backOff, createRetryBudget, earnRetry, spendRetry } from '../../src/forward/retry.ts'

const rules = { retries: 3, delay: 50, factor: 1.5, maxDelay: 100, jitter: 0.2, budget: 0.1, floor: 10 }

test('the floor allows so many retries a second, whatever the traffic', () => {
  const budget = createRetryBudget(rules, 0)
  let allowed = 0
  for (let now = 0; now < 3000; now += 10) if (spendRetry(budget, rules, now)) allowed++
  assert.ok(allowed >= 38 && allowed <= 40, String(allowed))
})

test('above the floor retries are a share of the calls', () => {
  const only = { ...rules, floor: 0 }
  const budget = createRetryBudget(only, 0)
  let allowed = 0
  for (let i = 0; i < 500; i++) {
    earnRetry(budget, only)
    if (spendRetry(budget, only, i)) allowed++
  }
  assert.ok(allowed >= 49 && allowed <= 50, String(allowed))
})

test('a quiet hour does not pay for a storm', () => {
  const only = { ...rules, floor: 0 }
  const budget = createRetryBudget(only, 0)
  for (let i = 0; i < 100_000; i++) earnRetry(budget, only)
  let allowed = 0
  while (spendRetry(budget, only, 0)) allowed++
  assert.equal(allowed, 100)
})

test('the pause grows by its factor up to its bound, give or take the jitter', () => {
  assert.deepEqual(
    [2, 3, 4, 5].map((attempt) => backOff(rules, attempt, 0.5)),
    [50, 75, 100, 100],
  )
  assert.equal(backOff(rules, 2, 0), 40)
  assert.ok(backOff(rules, 2, 0.999) < 60)
})
