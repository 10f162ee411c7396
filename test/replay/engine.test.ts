import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BlockCache } from '../../src/replay/block-cache.ts'
import {
  Engine,
  prefillSeconds,
  REFERENCE_TIMES,
  timesOf,
  type EngineEvent,
  type Job,
} from '../../src/replay/engine.ts'

const STEP = 0.008
const PER_SEQUENCE = 0.000_05

let serial = 0

function job(input: number, output: number, first = 1000 * ++serial): Job {
  const blocks = Int32Array.from({ length: Math.ceil(input / 512) }, (_, i) => first + i)
  return { index: serial++, input, output, blocks }
}

/** Enqueues each job at its time and runs until nothing is left. */
function runAll(engine: Engine<Job>, arrivals: readonly (readonly [at: number, job: Job])[]) {
  const told: (EngineEvent<Job> & { index: number })[] = []
  const queue = [...arrivals]
  for (;;) {
    const next = queue[0]?.[0] ?? Infinity
    if (next === Infinity && engine.nextEnd === Infinity) return told
    if (engine.nextEnd <= next) {
      for (const event of engine.endStep())
        told.push({ ...event, index: arrivals.findIndex(([, one]) => one === event.job) })
    } else {
      const [at, one] = queue.shift() as readonly [number, Job]
      engine.enqueue(one, at)
    }
  }
}

const near = (actual: number | undefined, expected: number) =>
  assert.ok(
    actual !== undefined && Math.abs(actual - expected) < 1e-9,
    `${actual} where ${expected} is expected`,
  )

const prefill = (from: number, to: number) => prefillSeconds(REFERENCE_TIMES, from, to)

test('prefill takes 1/20,000 s a token, twice as long at a context of 30,000', () => {
  near(prefill(0, 1000), 0.05 * (1 + 500 / 30_000))
  near(prefill(29_999, 30_001), (2 / 20_000) * 2)
})

test('a request alone: its first token after its prefill, each further one after a step', () => {
  const told = runAll(new Engine(100, REFERENCE_TIMES), [[1, job(1000, 11)]])
  assert.deepEqual(
    told.map(({ kind }) => kind),
    ['first', 'finish'],
  )
  near(told[0]?.at, 1 + STEP + prefill(0, 1000))
  near(told[1]?.at, 1 + STEP + prefill(0, 1000) + 10 * (STEP + PER_SEQUENCE))
})

test('a prompt longer than a step is prefilled in chunks of 8,192 tokens', () => {
  const told = runAll(new Engine(100, REFERENCE_TIMES), [[0, job(20_000, 1)]])
  near(told[0]?.at, 3 * STEP + prefill(0, 8192) + prefill(8192, 16_384) + prefill(16_384, 20_000))
})

test('decoding sequences take their tokens out of the chunk and slow the step', () => {
  const told = runAll(new Engine(100, REFERENCE_TIMES), [
    [0, job(512, 1000)],
    [1, job(8192, 1)],
  ])
  const second = told.find(({ kind, index }) => kind === 'first' && index === 1)
  const first = STEP + prefill(0, 512)
  const steps = Math.floor((1 - first) / (STEP + PER_SEQUENCE)) + 1
  const begins = first + steps * (STEP + PER_SEQUENCE)
  near(second?.at, begins + 2 * (STEP + PER_SEQUENCE) + prefill(0, 8191) + prefill(8191, 8192))
})

test('what is cached is not computed again, but for the last token', () => {
  const engine = new Engine<Job>(100, REFERENCE_TIMES)
  const told = runAll(engine, [
    [0, job(2048, 1, 50)],
    [10, job(2048, 1, 50)],
  ])
  assert.deepEqual(
    told.flatMap((event) => (event.kind === 'first' ? [event.cached] : [])),
    [0, 2047],
  )
  near(told.at(-1)?.at, 10 + STEP + prefill(2047, 2048))
})

test('first come, first served: who does not fit in memory holds up all behind it', () => {
  const engine = new Engine<Job>(10, REFERENCE_TIMES)
  const told = runAll(engine, [
    [0, job(4096, 100)],
    [0.001, job(4096, 1)],
    [0.002, job(100, 1)],
  ])
  assert.deepEqual(
    told.flatMap(({ kind, index }) => (kind === 'first' ? [index] : [])),
    [0, 1, 2],
  )
  const ended = told.find(({ kind, index }) => kind === 'finish' && index === 0)
  assert.ok(
    (told.find(({ kind, index }) => kind === 'first' && index === 1)?.at ?? 0) > (ended?.at ?? Infinity),
  )
})

test('at most 256 sequences run', () => {
  const engine = new Engine<Job>(10_000, REFERENCE_TIMES)
  for (let i = 0; i < 300; i++) engine.enqueue(job(10, 1000), 0)
  for (let step = 0; step < 2; step++) engine.endStep()
  assert.equal(engine.running, 256)
  assert.equal(engine.waiting.length, 44)
})

test('the backlog is the rest of what runs and the uncached part of what waits', () => {
  const engine = new Engine<Job>(100, REFERENCE_TIMES)
  engine.enqueue(job(16_384, 1, 50), 0)
  engine.enqueue(job(16_384 + 512, 1, 50), 0)
  near(engine.prefillBacklog, prefill(8192, 16_384) + prefill(16_384, 16_896))
  assert.equal(engine.matchedSoon(job(16_384 + 512, 1, 50).blocks), 33)
})

test('an engine half as fast takes twice as long for everything', () => {
  const told = runAll(new Engine(100, timesOf(0.5)), [[0, job(1000, 1)]])
  near(told[0]?.at, 2 * (STEP + prefill(0, 1000)))
})

test('a cache forgets the least recently released block, and never one that is held', () => {
  const cache = new BlockCache(3)
  for (const block of [1, 2, 3]) cache.pin(block)
  cache.unpin(2)
  cache.unpin(1)
  cache.pin(4)
  assert.deepEqual(
    [1, 2, 3, 4].map((block) => cache.has(block)),
    [true, false, true, true],
  )
  cache.pinUnnamed(1)
  assert.equal(cache.has(1), false)
  assert.equal(cache.available, 0)
  cache.unpinUnnamed(1)
  cache.unpin(3)
  cache.clear()
  assert.deepEqual(
    [3, 4].map((block) => cache.has(block)),
    [false, true],
  )
})

test('an engine that shares its steps gives each prompt its part, so that a short one overtakes', () => {
  const long = job(10_000, 1)
  const short = job(500, 1)
  const shared = runAll(new Engine(100, { ...REFERENCE_TIMES, longPrefill: 2048 }), [
    [0, long],
    [0.001, short],
  ])
  assert.deepEqual(
    shared.map(({ index }) => index),
    [1, 1, 0, 0],
  )
  // The long one's first part; then both.
  near(shared[0]?.at, 2 * STEP + prefill(0, 2048) + prefill(2048, 4096) + prefill(0, 500))
  const inOrder = runAll(new Engine(100, REFERENCE_TIMES), [
    [0, long],
    [0.001, short],
  ])
  assert.equal(inOrder.find(({ kind }) => kind === 'first')?.index, 0)
})
