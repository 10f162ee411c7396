import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Ahead } from '../../src/binding/ahead.ts'
import type { Prompt } from '../../src/binding/order.ts'

/** A prompt of so many seconds, sent at that time, ms. */
const prompt = (id: string, seconds: number, sentAt: number, change: Partial<Prompt> = {}): Prompt => ({
  id,
  features: [1, seconds, 0],
  tokens: seconds * 20_000,
  seconds,
  reading: seconds,
  sentAt,
  isQuiet: false,
  ...change,
})

const close = (seen: number, wanted: number) =>
  assert.ok(Math.abs(seen - wanted) < 1e-9, `${seen} in place of ${wanted}`)

/** Two prompts, of 2 s and 3 s, sent at 0. When, ms; the speed; what is left, s. */
const BACKLOGS: readonly (readonly [string, number, number, number])[] = [
  ['at once all of it', 0, 1, 5],
  ['the one that is read gets less', 1500, 1, 3.5],
  ['one that should be done still counts a little', 4000, 1, 3.2],
  ['a worker twice as fast has half of it', 0, 2, 2.5],
  ['and gets on twice as fast', 500, 2, 2],
  ['one whose first token is so late that its note was lost counts no more', 13_001, 1, 3],
]
for (const [name, now, speed, left] of BACKLOGS)
  test(`what is left to read: ${name}`, () => {
    const ahead = new Ahead()
    ahead.join(prompt('a', 2, 0), speed)
    ahead.join(prompt('b', 3, 0), speed)
    close(ahead.backlog(now, speed), left)
  })

test('with a first token the next prompt begins to be read', () => {
  const ahead = new Ahead()
  ahead.join(prompt('a', 2, 0), 1)
  ahead.join(prompt('b', 3, 0), 1)
  ahead.first('a', 2500)
  close(ahead.backlog(2500, 1), 3)
  close(ahead.backlog(3500, 1), 2)
  ahead.first('b', 5500)
  assert.equal(ahead.backlog(5500, 1), 0)
})

test('what leaves without a first token is ahead of nobody; leaving twice is harmless', () => {
  const ahead = new Ahead()
  ahead.join(prompt('a', 2, 0), 1)
  ahead.join(prompt('b', 3, 0), 1)
  ahead.leave('b', 100)
  ahead.leave('b', 200)
  close(ahead.backlog(0, 1), 2)
  ahead.leave('a', 300)
  assert.equal(ahead.backlog(300, 1), 0)
  assert.equal(ahead.size, 0)
})

test('the time between first tokens is what the later prompt took; those of one step count together', () => {
  const ahead = new Ahead()
  for (const [id, seconds] of [
    ['a', 1],
    ['b', 1],
    ['c', 0.5],
    ['d', 1],
  ] as const)
    ahead.join(prompt(id, seconds, 0), 1)
  assert.equal(ahead.first('a', 1000), null)
  assert.deepEqual(ahead.first('b', 2500), { features: [1, 1, 0], tokens: 20_000, seconds: 1 })
  assert.equal(ahead.first('c', 2502), null)
  assert.deepEqual(ahead.first('d', 3500), { features: [2, 1.5, 0], tokens: 30_000, seconds: 1.5 })
})

test('an engine that was idle began when the prompt was sent', () => {
  const ahead = new Ahead()
  ahead.join(prompt('a', 1, 0), 1)
  ahead.first('a', 1000)
  ahead.join(prompt('b', 1, 9000), 1)
  ahead.first('b', 10_250)
  ahead.join(prompt('c', 1, 20_000), 1)
  assert.equal(ahead.first('c', 21_000)?.seconds, 1.25)
})

test('what was read in between without a word teaches nothing', () => {
  const ahead = new Ahead()
  ahead.join(prompt('quiet', 5, 0, { isQuiet: true }), 1)
  ahead.join(prompt('a', 1, 0), 1)
  ahead.leave('quiet', 5000)
  ahead.first('a', 6200)
  ahead.join(prompt('b', 1, 7000), 1)
  assert.equal(ahead.first('b', 8000), null)
  ahead.join(prompt('c', 1, 9000), 1)
  assert.equal(ahead.first('c', 10_000)?.seconds, 1)
})

/** Milliseconds that each of so many prompts of 1 ms waits alone; the distance that follows, s. */
const DISTANCES: readonly (readonly [number, number, number])[] = [
  [140, 10, 0.1],
  [140, 9, 0],
  [30, 20, 0],
]
for (const [wait, count, distance] of DISTANCES)
  test(`${count} short prompts that wait ${wait} ms each tell of a distance of ${distance} s`, () => {
    const ahead = new Ahead()
    for (let i = 0; i < count; i++) {
      ahead.join(prompt(`p${i}`, 0.001, i * 1000), 1)
      ahead.first(`p${i}`, i * 1000 + wait)
    }
    close(ahead.distance, distance)
  })

test('long prompts tell nothing of the distance, nor do those that were sent behind others', () => {
  const ahead = new Ahead()
  for (let i = 0; i < 20; i++) {
    ahead.join(prompt(`long${i}`, 0.5, i * 1000), 1)
    ahead.join(prompt(`behind${i}`, 0.001, i * 1000), 1)
    ahead.first(`long${i}`, i * 1000 + 600)
    ahead.first(`behind${i}`, i * 1000 + 650)
  }
  assert.equal(ahead.distance, 0)
})
