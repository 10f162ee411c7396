import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { RadixTree } from '../../src/prefix/radix.ts'
import { pathsOf, type TreeSnapshot } from '../../src/prefix/snapshot.ts'

const WORKERS = 4
/** Paths that share long beginnings, turn off within nodes, and end within others. */
const somePath = fc
  .array(fc.tuple(fc.integer({ min: 1, max: 2 }), fc.integer({ min: 1, max: 20 })), {
    minLength: 1,
    maxLength: 5,
  })
  .map((runs) => Float64Array.from(runs.flatMap(([hash, count]) => Array<number>(count).fill(hash))))
const someUses = fc.array(fc.record({ worker: fc.nat(WORKERS - 1), path: somePath, keep: fc.nat(60) }), {
  maxLength: 30,
})

function emptyTree(): RadixTree {
  const tree = new RadixTree()
  for (let worker = 0; worker < WORKERS; worker++) tree.add(Infinity)
  return tree
}

/** A tree after calls, some of which turned out to be cached less far. */
function treeOf(uses: typeof someUses extends fc.Arbitrary<infer T> ? T : never): RadixTree {
  const tree = emptyTree()
  for (const { worker, path, keep } of uses) {
    tree.insert(path, worker, 0)
    if (keep > 40) tree.truncate(path, worker, keep - 40)
  }
  return tree
}

const depthsOf = (tree: RadixTree, path: Float64Array): number[] => {
  const depths = new Int32Array(tree.width)
  tree.match(path, depths)
  return [...depths]
}
const bytesOf = ({ rows, blocks }: TreeSnapshot): number => rows.byteLength + blocks.byteLength
const upTo = (count: number, from = 1) => Float64Array.from({ length: count }, (_, at) => from + at)

test('with room for all of it, a tree comes back as it was', () => {
  fc.assert(
    fc.property(someUses, (uses) => {
      const tree = treeOf(uses)
      const again = emptyTree()
      again.restore(structuredClone(tree.snapshot(Infinity)), (worker) => worker)
      for (const { path } of uses) assert.deepEqual(depthsOf(again, path), depthsOf(tree, path))
      for (let worker = 0; worker < WORKERS; worker++) assert.equal(again.held(worker), tree.held(worker))
    }),
    { numRuns: 300 },
  )
})

test('with less room it is no larger than that, and says nothing that is not so', () => {
  fc.assert(
    fc.property(someUses, fc.nat(1000), (uses, limit) => {
      const tree = treeOf(uses)
      const snapshot = tree.snapshot(limit)
      assert.ok(bytesOf(snapshot) <= limit)
      const again = emptyTree()
      again.restore(snapshot, (worker) => worker)
      for (const { path } of uses) {
        const before = depthsOf(tree, path)
        depthsOf(again, path).forEach((depth, worker) => assert.ok(depth <= before[worker]!))
      }
    }),
    { numRuns: 300 },
  )
})

test('what was used last is kept, whoever holds it, and comes back in its order', () => {
  const tree = emptyTree()
  for (let call = 0; call < 100; call++) tree.insert(upTo(10, call * 100), call % WORKERS, 0)
  const snapshot = tree.snapshot(20 * (16 + 10 * 8))
  const paths = pathsOf(snapshot)
  assert.deepEqual(
    paths.map(({ worker, path }) => [worker, path[0], path.length]),
    Array.from({ length: 20 }, (_, at) => [(80 + at) % WORKERS, (80 + at) * 100, 10]),
  )
})

test('a beginning that many share is told once', () => {
  const tree = emptyTree()
  const system = upTo(200)
  for (let call = 0; call < 50; call++)
    tree.insert(Float64Array.of(...system, 1000 + call), call % WORKERS, 0)
  assert.ok(bytesOf(tree.snapshot(Infinity)) < 200 * 8 + 60 * (16 + 8))
})

test('workers come back under other numbers, and those that are gone not at all', () => {
  const tree = emptyTree()
  tree.insert(upTo(5), 0, 0)
  tree.insert(upTo(9), 1, 0)
  const again = new RadixTree()
  const number = again.add(Infinity)
  again.restore(tree.snapshot(Infinity), (was) => (was === 1 ? number : undefined))
  assert.deepEqual(depthsOf(again, upTo(9)), [9])
})

test('what is no snapshot is taken for an empty one', () => {
  const blocks = Float64Array.of(1, 2)
  for (const rows of [
    [0, -1, 0, 3],
    [0, 4, 1, 1],
    [0, -1, 1, 1],
    [0, -1],
  ])
    assert.deepEqual(pathsOf({ rows: Int32Array.from(rows), blocks }), [])
})
