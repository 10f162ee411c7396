import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { RadixTree } from '../../src/prefix/radix.ts'
import { bytesAt } from '../../src/prefix/sizes.ts'
import { Model } from './_model.ts'

const WORKERS = 4

/** Paths made of few runs, so that they share long beginnings, turn off within nodes, and end within others. */
const somePath = fc
  .array(fc.tuple(fc.integer({ min: 1, max: 2 }), fc.integer({ min: 1, max: 20 })), {
    minLength: 0,
    maxLength: 5,
  })
  .map((runs) => Float64Array.from(runs.flatMap(([hash, count]) => Array<number>(count).fill(hash))))
const someWorker = fc.nat(WORKERS - 1)
const someCapacity = fc.oneof(fc.constant(Infinity), fc.integer({ min: 0, max: 40 }).map(bytesAt))
const insertion = fc.record({ kind: fc.constant('insert' as const), worker: someWorker, path: somePath })
const operation = fc.oneof(
  { weight: 8, arbitrary: insertion },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('truncate' as const),
      worker: someWorker,
      path: somePath,
      depth: fc.nat(30),
    }),
  },
  fc.record({ kind: fc.constant('clear' as const), worker: someWorker }),
  fc.record({ kind: fc.constant('replace' as const), worker: someWorker, capacity: someCapacity }),
  fc.record({ kind: fc.constant('resize' as const), worker: someWorker, capacity: someCapacity }),
)
type Operation = typeof operation extends fc.Arbitrary<infer T> ? T : never

function apply(tree: RadixTree, model: Model, step: Operation): void {
  const { worker } = step
  if (step.kind === 'insert') {
    tree.insert(step.path, worker, 0)
    model.insert(step.path, worker)
  } else if (step.kind === 'truncate') {
    tree.truncate(step.path, worker, step.depth)
    model.truncate(step.path, worker, step.depth)
  } else if (step.kind === 'clear') {
    tree.clear(worker)
    model.clear(worker)
  } else if (step.kind === 'resize') {
    tree.resize(worker, step.capacity)
    model.resize(worker, step.capacity)
  } else {
    tree.remove(worker)
    model.remove(worker)
    assert.equal(tree.add(step.capacity), worker)
    model.add(worker, step.capacity)
  }
}

function depthsOf(tree: RadixTree, path: Float64Array): number[] {
  const depths = new Int32Array(tree.width).fill(-1)
  tree.match(path, depths)
  return [...depths]
}

function treeOf(capacities: readonly number[], budget?: number): RadixTree {
  const tree = new RadixTree(budget)
  for (const [worker, capacity] of capacities.entries()) assert.equal(tree.add(capacity), worker)
  return tree
}

const numbers = (...values: number[]) => Float64Array.from(values)
const upTo = (count: number, from = 1) => Float64Array.from({ length: count }, (_, i) => from + i)

test('it holds, matches and forgets block by block what the rules say, whatever is done in whatever order', () => {
  fc.assert(
    fc.property(
      fc.array(someCapacity, { minLength: WORKERS, maxLength: WORKERS }),
      fc.array(operation, { maxLength: 40 }),
      fc.array(somePath, { maxLength: 5 }),
      (capacities, steps, others) => {
        const tree = treeOf(capacities)
        const model = new Model()
        for (const [worker, capacity] of capacities.entries()) model.add(worker, capacity)
        const paths = steps.flatMap((step) => ('path' in step ? [step.path] : [])).concat(others)
        for (const step of steps) {
          apply(tree, model, step)
          for (let worker = 0; worker < WORKERS; worker++)
            assert.equal(tree.held(worker), model.caches.get(worker)!.used)
          if ('path' in step)
            assert.deepEqual(
              depthsOf(tree, step.path),
              capacities.map((_, worker) => model.depth(step.path, worker)),
            )
        }
        for (const path of paths)
          assert.deepEqual(
            depthsOf(tree, path),
            capacities.map((_, worker) => model.depth(path, worker)),
          )
        for (let worker = 0; worker < WORKERS; worker++) tree.remove(worker)
        assert.equal(tree.bytes, 0)
      },
    ),
    { numRuns: 400 },
  )
})

test('while nothing is forgotten, the order of insertions does not show in the matches', () => {
  fc.assert(
    fc.property(fc.array(insertion, { maxLength: 20 }), fc.infiniteStream(fc.nat()), (steps, chance) => {
      const unlimited = Array<number>(WORKERS).fill(Infinity)
      const [one, other] = [treeOf(unlimited), treeOf(unlimited)]
      const keyed = steps.map((step) => ({ step, key: chance.next().value }))
      for (const { path, worker } of steps) one.insert(path, worker, 0)
      for (const { step } of keyed.sort((a, b) => a.key - b.key)) other.insert(step.path, step.worker, 0)
      for (const { path } of steps) assert.deepEqual(depthsOf(other, path), depthsOf(one, path))
    }),
    { numRuns: 200 },
  )
})

test('a tree that is too small for its prompts stays inside its budget and keeps the newest', () => {
  const budget = 200_000
  const tree = treeOf([Infinity, Infinity, Infinity], budget)
  const shared = upTo(20)
  let seed = 1
  for (let i = 0; i < 20_000; i++) {
    seed = (seed * 48271) % 2147483647
    const path = new Float64Array(20 + (seed % 40)).fill(1000 + i)
    path.set(shared)
    tree.insert(path, seed % 3, i)
    assert.ok(tree.reserved <= budget && tree.bytes <= tree.reserved)
    assert.equal(depthsOf(tree, path)[seed % 3], path.length)
  }
  assert.ok(tree.bytes > budget / 2, `${tree.bytes} bytes in use`)
  assert.ok(depthsOf(tree, shared).every((depth) => depth === 20))
  for (let worker = 0; worker < 3; worker++) tree.clear(worker)
  assert.equal(tree.bytes, 0)
})

test('under the pressure of its budget it never claims what no worker was sent, and loses track of nothing', () => {
  const budget = 90_000
  const tree = treeOf([Infinity, Infinity, Infinity, Infinity], budget)
  const model = new Model()
  for (let worker = 0; worker < WORKERS; worker++) model.add(worker, Infinity)
  const steps = fc.sample(operation, { numRuns: 6000, seed: 5 })
  for (const [i, step] of steps.entries()) {
    if (step.kind === 'insert') {
      // Beginnings of a few runs, endings of their own: splits, and nodes that empty.
      const path = Float64Array.from([...step.path, ...upTo(1 + (i % 20), 100 + i)])
      apply(tree, model, { ...step, path })
      const depths = depthsOf(tree, path)
      assert.equal(depths[step.worker], path.length)
      for (const [worker, depth] of depths.entries()) assert.ok(depth <= model.depth(path, worker))
    } else if (step.kind === 'truncate') {
      apply(tree, model, step)
      for (const [worker, depth] of depthsOf(tree, step.path).entries())
        assert.ok(depth <= model.depth(step.path, worker))
    } else if (i % 500 === 0) apply(tree, model, { kind: 'clear', worker: step.worker })
    assert.ok(tree.reserved <= budget)
  }
  assert.ok(tree.bytes > budget / 2)
  for (let worker = 0; worker < WORKERS; worker++) tree.remove(worker)
  assert.equal(tree.bytes, 0)
})

test('a path that the budget can never hold is left out without harm', () => {
  const tree = treeOf([Infinity], 1)
  tree.insert(upTo(20), 0, 0)
  assert.deepEqual(depthsOf(tree, upTo(20)), [20])
  tree.insert(
    Float64Array.from({ length: 16 * 300 }, (_, i) => i),
    0,
    0,
  )
  assert.deepEqual(depthsOf(tree, numbers(0, 1)), [0])
  tree.insert(upTo(20), 0, 0)
  assert.deepEqual(depthsOf(tree, upTo(20)), [20])
})

test('the removal of a worker gives back what only it held, and leaves the others theirs', () => {
  const tree = treeOf([Infinity, Infinity])
  for (let i = 0; i < 100; i++) tree.insert(Float64Array.from([...upTo(30), i]), 0, 0)
  const alone = tree.bytes
  for (let i = 50; i < 200; i++) tree.insert(Float64Array.from([...upTo(30), i]), 1, 0)
  assert.ok(tree.bytes > alone)
  tree.remove(1)
  assert.equal(tree.bytes, alone)
  assert.deepEqual(depthsOf(tree, Float64Array.from([...upTo(30), 60])), [31, 0])
  assert.throws(() => tree.insert(upTo(3), 1, 0), RangeError)
  assert.equal(tree.add(Infinity), 1)
  assert.equal(tree.held(1), 0)
})

test('a block counts the bytes of its depth: 256 at first, 1024 after 16 KiB', () => {
  const tree = treeOf([Infinity])
  tree.insert(upTo(70), 0, 0)
  assert.equal(tree.held(0), 16_384 + 6 * 1024)
  assert.equal(tree.truncate(upTo(70), 0, 63), 256 + 6 * 1024)
})

test('a correction takes whatever goes on from the missing block, also beside the path', () => {
  const tree = treeOf([Infinity, Infinity])
  const beside = numbers(1, 2, 3, 4, 9, 9)
  for (const worker of [0, 1]) for (const path of [upTo(6), beside]) tree.insert(path, worker, 0)
  assert.equal(tree.truncate(upTo(6), 0, 2), 6 * 256)
  assert.deepEqual(depthsOf(tree, beside), [2, 6])
  assert.equal(tree.truncate(upTo(6), 0, 2), 0)
})

test('popularity counts requests that came by the deepest known block and fades with its time constant', () => {
  const tree = new RadixTree(undefined, 30_000)
  const worker = tree.add(Infinity)
  const depths = new Int32Array(1)
  const near = (actual: number, expected: number) =>
    assert.ok(Math.abs(actual - expected) < 1e-6, `${actual}`)
  const shared = upTo(10)
  near(tree.popularity(tree.match(shared, depths), 1e12), 0)
  for (let i = 0; i < 8; i++) tree.insert(Float64Array.from([...shared, 100 + i]), worker, 1e12)
  near(tree.popularity(tree.match(shared, depths), 1e12), 8)
  near(tree.popularity(tree.match(Float64Array.from([...shared, 103]), depths), 1e12), 1)
  near(tree.popularity(tree.match(Float64Array.from([...shared, 99]), depths), 1e12 + 30_000), 8 / Math.E)
  tree.insert(shared, worker, null)
  tree.insert(shared, worker, 1e12 + 30_000)
  near(tree.popularity(tree.match(shared, depths), 1e12 + 30_000), 1 + 8 / Math.E)
})

test('two paths with an equal block after different ones are kept apart', () => {
  const tree = treeOf([Infinity, Infinity])
  tree.insert(numbers(1, 7, 7, 7), 0, 0)
  tree.insert(numbers(2, 7, 7), 1, 0)
  tree.insert(numbers(1, 8), 0, 0)
  tree.insert(numbers(2, 8), 1, 0)
  assert.deepEqual(depthsOf(tree, numbers(1, 7, 7, 7)), [4, 0])
  assert.deepEqual(depthsOf(tree, numbers(2, 7, 7, 7)), [0, 3])
})
