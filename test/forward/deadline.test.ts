import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SharedAlarms } from '../../src/forward/alarms.ts'
import { Deadline } from '../../src/forward/deadline.ts'
import { createClock } from '../_clock.ts'

function start({ firstToken = 0, idle = 0, total = 0 }) {
  const clock = createClock()
  const late: [string, number][] = []
  const begin = clock.now()
  const alarms = new SharedAlarms(clock)
  const rules = { firstTokenTimeout: firstToken, idleTimeout: idle, totalTimeout: total }
  const deadline = new Deadline(alarms, rules, begin, {
    late: (failure) => late.push([failure.kind, clock.now() - begin]),
  })
  deadline.start(begin)
  return { alarms, clock, deadline, late, listener: { lastAt: 0 } }
}

test('no token in time', async () => {
  const { clock, late } = start({ firstToken: 100, idle: 10 })
  await clock.advance(1000)
  assert.deepEqual(late, [['first_token_timeout', 100]])
})

test('silence after the first token', async () => {
  const { clock, deadline, late, listener } = start({ firstToken: 1000, idle: 50 })
  deadline.began(clock.now(), listener)
  for (let i = 0; i < 10; i++) {
    await clock.advance(40)
    listener.lastAt = clock.now()
  }
  assert.deepEqual(late, [])
  await clock.advance(100)
  assert.deepEqual(late, [['idle_timeout', 450]])
})

test('the whole takes too long, however lively it is', async () => {
  const { clock, deadline, late, listener } = start({ firstToken: 1000, idle: 50, total: 120 })
  deadline.began(clock.now(), listener)
  for (let i = 0; i < 10; i++) {
    await clock.advance(20)
    listener.lastAt = clock.now()
  }
  assert.deepEqual(late, [['total_timeout', 120]])
})

test('once it is stopped nothing rings, and its timer is left but once', async () => {
  const { clock, deadline, late } = start({ firstToken: 100, idle: 50, total: 120 })
  deadline.stop()
  await clock.advance(50)
  assert.equal(clock.pending, 0)
  await clock.advance(1000)
  assert.deepEqual(late, [])
})

test('calls one behind the other share a timer, and each has all of its time', async () => {
  const clock = createClock()
  const late: number[] = []
  let timers = 0
  const timer: typeof clock.timer = (...one) => (timers++, clock.timer(...one))
  const alarms = new SharedAlarms({ now: clock.now, timer })
  const rules = { firstTokenTimeout: 100, idleTimeout: 0, totalTimeout: 0 }
  const call = () => {
    const deadline = new Deadline(alarms, rules, clock.now(), { late: () => late.push(clock.now()) })
    deadline.start(clock.now())
    return deadline
  }
  for (let i = 0; i < 9; i++) {
    call().stop()
    await clock.advance(10)
  }
  assert.equal(timers, 1)
  const begin = clock.now()
  call()
  await clock.advance(1000)
  assert.deepEqual(late, [begin + 100])
  assert.equal(clock.pending, 0)
})

test('a router that stops ends what is under way, and leaves what has ended', async () => {
  const ending = start({ idle: 50 })
  ending.alarms.end()
  assert.deepEqual(ending.late, [['total_timeout', 0]])
  assert.equal(ending.clock.pending, 0)
  const ended = start({ idle: 50 })
  ended.deadline.stop()
  ended.alarms.end()
  assert.deepEqual(ended.late, [])
})

test('limits that are off set no timer', () => {
  assert.equal(start({}).clock.pending, 0)
})
