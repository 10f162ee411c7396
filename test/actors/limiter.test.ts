import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ActorState } from '../../src/actors/actor.ts'
import { Limiter, type Allowance } from '../../src/actors/limiter.ts'

function rig() {
  let time = 0
  const limiter = new Limiter(null, { now: () => time } as unknown as ActorState)
  return { limiter, pass: (seconds: number) => (time += seconds * 1000) }
}

const allow = (requestsPerMinute: number, tokensPerMinute = 0, tenant = 't'): Allowance => ({
  tenant,
  requestsPerMinute,
  tokensPerMinute,
})

test('a tenant has a minute of requests at once, then one each time as much flowed in', () => {
  const { limiter, pass } = rig()
  const six = allow(6)
  for (let i = 0; i < 6; i++) assert.equal(limiter.take(six, 1), 0)
  assert.equal(limiter.take(six, 1), 10)
  pass(9)
  assert.equal(limiter.take(six, 1), 1)
  pass(1)
  assert.equal(limiter.take(six, 1), 0)
  assert.equal(limiter.take(six, 1), 10)
})

test('a refused call takes nothing', () => {
  const { limiter, pass } = rig()
  const both = allow(100, 60)
  assert.equal(limiter.take(both, 60), 0)
  for (let i = 0; i < 200; i++) assert.equal(limiter.take(both, 30), 30)
  pass(30)
  assert.equal(limiter.take(both, 30), 0)
})

test('the allowance is a minute at most, however long nothing came', () => {
  const { limiter, pass } = rig()
  assert.equal(limiter.take(allow(2), 1), 0)
  pass(3600)
  assert.deepEqual(
    [1, 1, 1].map((tokens) => limiter.take(allow(2), tokens)),
    [0, 0, 30],
  )
})

test('a prompt larger than a minute goes when the bucket is full, and leaves it in debt', () => {
  const { limiter, pass } = rig()
  const tokens = allow(0, 100)
  assert.equal(limiter.take(tokens, 300), 0)
  assert.equal(limiter.take(tokens, 1), Math.ceil((201 / 100) * 60))
  pass(121)
  assert.equal(limiter.take(tokens, 1), 0)
})

test('what a call used beyond its guess is booked, and what it did not use comes back', () => {
  const { limiter } = rig()
  const tokens = allow(0, 60)
  assert.equal(limiter.take(tokens, 50), 0)
  limiter.book(tokens, 40)
  assert.equal(limiter.take(tokens, 10), 40)
  limiter.book(tokens, -90)
  assert.equal(limiter.take(tokens, 60), 0)
})

test('tenants do not share, and no limit is none', () => {
  const { limiter } = rig()
  assert.equal(limiter.take(allow(1, 0, 'a'), 1), 0)
  assert.ok(limiter.take(allow(1, 0, 'a'), 1) > 0)
  assert.equal(limiter.take(allow(1, 0, 'b'), 1), 0)
  for (let i = 0; i < 1000; i++) assert.equal(limiter.take(allow(0, 0, 'c'), 1e6), 0)
})

test('a smaller allowance after a reload holds at once', () => {
  const { limiter } = rig()
  assert.equal(limiter.take(allow(1000), 1), 0)
  assert.equal(limiter.take(allow(1), 1), 0)
  assert.ok(limiter.take(allow(1), 1) > 0)
})
