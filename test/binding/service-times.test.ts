import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Pace } from '../../src/binding/pace.ts'
import { ServiceTimes } from '../../src/binding/service-times.ts'
import { seeded } from '../../src/simulator/clock.ts'

const near = (seen: number, wanted: number, share: number) =>
  assert.ok(Math.abs(seen / wanted - 1) <= share, `${seen} in place of ${wanted}`)

test('before anything was seen a prompt takes its tokens at the nominal rate, and a little', () => {
  const times = new ServiceTimes(20_000)
  near(times.seconds(times.features(0, 20_000)), 1.01, 1e-9)
  near(times.seconds(times.features(10_000, 20_000)), 0.51, 1e-9)
})

const ENGINES: readonly (readonly [string, (from: number, to: number) => number])[] = [
  ['the model that replays use', (from, to) => 0.01 + ((to - from) / 20_000) * (1 + (from + to) / 60_000)],
  ['one that is five times slower', (from, to) => 0.05 + ((to - from) / 4000) * (1 + (from + to) / 60_000)],
  ['one to which context is nothing', (from, to) => 0.03 + (to - from) / 40_000],
]
for (const [name, real] of ENGINES)
  test(`the times of an engine are learned: ${name}`, () => {
    const times = new ServiceTimes(20_000)
    const random = seeded(1)
    for (let i = 0; i < 2000; i++) {
      const to = Math.floor(100 + random() * random() * 60_000)
      const from = random() < 0.5 ? 0 : Math.floor(random() * to)
      times.learn(times.features(from, to), real(from, to) * (0.9 + 0.2 * random()))
    }
    for (const [from, to] of [
      [0, 2000],
      [0, 40_000],
      [30_000, 34_000],
    ] as const)
      near(times.seconds(times.features(from, to)), real(from, to), 0.05)
  })

test('a single first token that comes an hour late changes little, and nothing at once', () => {
  const times = new ServiceTimes(20_000)
  const x = times.features(0, 8000)
  const before = times.seconds(x)
  times.learn(x, 3600)
  assert.equal(times.seconds(x), before)
  for (let i = 0; i < 59; i++) times.learn(x, before)
  near(times.seconds(x), before, 0.1)
})

test('whatever is seen, a prompt takes time', () => {
  const times = new ServiceTimes(20_000)
  for (let i = 0; i < 500; i++) times.learn(times.features(0, 1000 + i), 0)
  assert.ok(times.seconds(times.features(0, 1000)) > 0)
})

/** Seen in place of predicted; samples; the speed that counts. */
const PACES: readonly (readonly [number, number, number])[] = [
  [2, 19, 1],
  [2, 20, 0.5],
  [0.25, 50, 4],
  [1.2, 50, 1],
  [0.85, 50, 1],
  [1.3, 50, 1 / 1.3],
  [1000, 50, 1 / 8],
]
for (const [seen, samples, speed] of PACES)
  test(`a worker that took ${seen} times as long, ${samples} times, counts as ${speed.toFixed(2)} times as fast`, () => {
    const pace = new Pace()
    for (let i = 0; i < samples; i++) pace.learn(1, seen)
    near(pace.speed, speed, 1e-9)
  })
