// Memory while prompts keep coming that were never seen before: `node bench/prefix-soak.ts [PREFIXES] [BUDGET_MIB]`, 10 million
// and 256 by default. The aim: once the budget is full, resident memory stays flat.
import { RadixTree } from '../src/prefix/radix.ts'

const prefixes = Number(process.argv[2] ?? 10_000_000)
const budget = Number(process.argv[3] ?? 256) * 2 ** 20
const WORKERS = 64
const LONGEST = 24

const tree = new RadixTree(budget)
for (let worker = 0; worker < WORKERS; worker++) tree.add(Infinity)
const depths = new Int32Array(WORKERS)
const whole = new Float64Array(LONGEST)
const paths = Array.from({ length: LONGEST + 1 }, (_, length) => whole.subarray(0, length))
const megabytes = (bytes: number) => `${(bytes / 2 ** 20).toFixed(0)} MiB`

const startedAt = performance.now()
let slowest = 0
for (let i = 0; i < prefixes; i++) {
  // One to 24 blocks that no other prompt has, as chained hashes of different prompts are.
  const length = 1 + (i % LONGEST)
  for (let at = 0; at < length; at++) whole[at] = i * 512 + at
  const path = paths[length]!
  const from = performance.now()
  tree.match(path, depths)
  tree.insert(path, i % WORKERS, i)
  slowest = Math.max(slowest, performance.now() - from)
  if ((i + 1) % (prefixes / 10) !== 0) continue
  const each = ((performance.now() - startedAt) * 1000) / (i + 1)
  console.log(
    `${i + 1} prefixes: rss ${megabytes(process.memoryUsage.rss())}, tree ${megabytes(tree.bytes)} in use of ` +
      `${megabytes(tree.reserved)} taken; ${each.toFixed(1)} µs each, slowest ${slowest.toFixed(0)} ms`,
  )
  slowest = 0
}
