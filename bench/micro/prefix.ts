// Times prompt keys and the prefix tree: `node bench/micro/prefix.ts [collisions]`. The aims: hashing ≤ 15 µs for 16 KB and ≤ 100 µs for 128 KB
// with the finding of spans; a look-up of 128 blocks over 64 workers ≤ 20 µs with 1,000,000 blocks held.
import { scanTop } from '../../src/openai/scan.ts'
import { hashBlocks } from '../../src/prefix/blocks.ts'
import { readPrompt } from '../../src/prefix/prompt.ts'
import { RadixTree } from '../../src/prefix/radix.ts'

const encoder = new TextEncoder()
const prose = 'The quick brown fox jumps over the lazy dog. '
const code = 'const a = "b"\n\treturn `\\d`\n'

function chat(bytes: number, unit: string, turns: number): Uint8Array {
  const content = unit.repeat(Math.ceil(bytes / turns / encoder.encode(unit).length))
  const messages = Array.from({ length: turns }, (_, turn) => ({
    role: turn % 2 ? 'assistant' : 'user',
    content,
  }))
  return encoder.encode(JSON.stringify({ model: 'm', stream: true, messages }))
}

const ids = Array.from({ length: 2700 }, (_, i) => 10_000 + i)
const image = `data:image/png;base64,${'iVBORw0KGgo'.repeat(100_000)}`
const bodies: Record<string, Uint8Array> = {
  'chat 1 KB': chat(1024, prose, 2),
  'chat 16 KB, 2 turns': chat(16_384, prose, 2),
  'chat 16 KB, 40 turns': chat(16_384, prose, 40),
  'chat 16 KB, code': chat(16_384, code, 4),
  'chat 128 KB, 8 turns': chat(131_072, prose, 8),
  'chat 128 KB, 200 turns': chat(131_072, prose, 200),
  'prompt 16 KB': encoder.encode(JSON.stringify({ model: 'm', prompt: prose.repeat(364) })),
  'prompt 128 KB': encoder.encode(JSON.stringify({ model: 'm', prompt: prose.repeat(2913) })),
  'token ids 16 KB': encoder.encode(JSON.stringify({ model: 'm', prompt: ids })),
  'image 1.1 MB': encoder.encode(
    JSON.stringify({ messages: [{ content: [{ image_url: { url: image } }, { text: prose }] }] }),
  ),
}

/** Best of nine rounds, µs: other work on the machine only ever adds. */
function time(run: () => unknown, calls: number): number {
  for (let i = 0; i < calls * 2; i++) run()
  let best = Infinity
  for (let round = 0; round < 9; round++) {
    const start = performance.now()
    for (let i = 0; i < calls; i++) run()
    best = Math.min(best, ((performance.now() - start) * 1000) / calls)
  }
  return best
}

/** What this machine needs to merely add up the words: the measure to compare others by. */
function sumWords(bytes: Uint8Array): number {
  const words = new Int32Array(bytes.buffer, 0, bytes.length >> 2)
  let sum = 0
  for (let at = 0; at < words.length; at++) sum = (sum + words[at]!) | 0
  return sum
}

function timeKeys(): void {
  for (const [name, bytes] of Object.entries(bodies)) {
    const calls = bytes.length > 1e6 ? 30 : bytes.length > 1e5 ? 300 : 1500
    const top = scanTop(bytes)
    const prompt = readPrompt(top, 'm')
    const sum = time(() => sumWords(bytes), calls)
    const find = time(() => readPrompt(top, 'm'), calls)
    const hash = time(() => hashBlocks(prompt), calls)
    const both = time(() => hashBlocks(readPrompt(top, 'm')), calls)
    console.log(
      `${name.padEnd(24)} ${String(bytes.length).padStart(8)} bytes ${String(hashBlocks(prompt).length).padStart(4)} hashes: ` +
        `find ${find.toFixed(1)} µs, hash ${hash.toFixed(1)}, both ${both.toFixed(1)} (${(both / sum).toFixed(1)} × adding up the words, ${sum.toFixed(1)})`,
    )
  }
}

const WORKERS = 64
const BLOCKS = 128
let hash = 1
/** A path whose first `shared` blocks are those of `beginning`. */
function pathAfter(beginning: Float64Array, shared: number): Float64Array {
  const path = Float64Array.from({ length: BLOCKS }, () => (hash = (hash * 48271) % 2147483647))
  path.set(beginning.subarray(0, shared))
  return path
}

/** Conversations of 128 blocks, the first 20 shared by all of them, each on one worker and every fourth on a second one. */
function conversations(tree: RadixTree): Float64Array[] {
  const system = pathAfter(new Float64Array(0), 0)
  const paths = Array.from({ length: Math.ceil(1e6 / (BLOCKS - 20)) }, () => pathAfter(system, 20))
  for (const [i, path] of paths.entries()) {
    tree.insert(path, i % WORKERS, i)
    if (i % 4 === 0) tree.insert(path, (i + 7) % WORKERS, i)
  }
  return paths
}

/** The hardest case: every worker holds every path, each to a depth of its own. */
function everywhere(tree: RadixTree): Float64Array[] {
  const paths = Array.from({ length: Math.ceil(1e6 / BLOCKS) }, () => pathAfter(new Float64Array(0), 0))
  for (const [i, path] of paths.entries())
    for (let worker = 0; worker < WORKERS; worker++)
      tree.insert(path.subarray(0, BLOCKS - 2 * worker), worker, i)
  return paths
}

function timeTree(name: string, fill: (tree: RadixTree) => Float64Array[]): void {
  const tree = new RadixTree()
  for (let worker = 0; worker < WORKERS; worker++) tree.add(Infinity)
  const paths = fill(tree)
  const depths = new Int32Array(WORKERS)
  // Another path each time, far from the last one in memory.
  const next = () => paths[(hash = (hash * 48271) % 2147483647) % paths.length]!
  const match = time(() => tree.match(next(), depths), 2000)
  const insert = time(() => tree.insert(next(), hash % WORKERS, 0), 500)
  const megabytes = (bytes: number) => (bytes / 2 ** 20).toFixed(0)
  console.log(
    `${name.padEnd(24)} ${paths.length} paths of ${BLOCKS}: match ${match.toFixed(1)} µs, insert ${insert.toFixed(1)}; ` +
      `${megabytes(tree.bytes)} MiB in use, ${megabytes(tree.reserved)} taken`,
  )
}

/** Ten million hashes of random blocks, and of blocks that only count up: equal pairs there are, and those that chance expects. */
function countCollisions(name: string, fill: (words: Int32Array, i: number) => void): void {
  const count = 1e7
  const words = new Int32Array(64)
  const bytes = new Uint8Array(words.buffer)
  const prompt = { bytes, model: null, keys: [], spans: [0, 256, 0], length: 256 }
  const hashes = new Float64Array(count)
  for (let i = 0; i < count; i++) {
    fill(words, i)
    hashes[i] = hashBlocks(prompt)[0]!
  }
  const equal = (cut: (hash: number) => number) => {
    const sorted = hashes.map(cut).sort()
    let pairs = 0
    for (let i = 1; i < count; i++) if (sorted[i] === sorted[i - 1]) pairs++
    return pairs
  }
  const found = [
    equal((hash) => hash),
    equal((hash) => hash % 2 ** 40),
    equal((hash) => Math.floor(hash / 4096)),
  ]
  const chance = (bits: number) => (count ** 2 / 2 / 2 ** bits).toFixed(2)
  console.log(
    `${name.padEnd(24)} ${count} blocks: ${found[0]} equal pairs (chance ${chance(52)}); in their lower 40 bits ${found[1]}, ` +
      `in their upper 40 ${found[2]} (chance ${chance(40)})`,
  )
}

if (process.argv[2] === 'collisions') {
  let state = 1
  const next = () => {
    state ^= state << 13
    state ^= state >>> 17
    return (state ^= state << 5)
  }
  countCollisions('random blocks', (words) => {
    for (let at = 0; at < 64; at++) words[at] = next()
  })
  countCollisions('counters in one pair', (words, i) => {
    words[8] = i
    words[9] = Math.imul(i, 7)
  })
  countCollisions('digits, 16 letters', (words, i) => {
    // Eight digits over four words, as numbers in a text are.
    for (let at = 0; at < 4; at++)
      words[4 + at] = 0x30303030 + ((i >> (at * 6)) & 7) + (((i >> (at * 6 + 3)) & 7) << 24)
  })
  process.exit()
}
timeKeys()
timeTree('conversations', conversations)
timeTree('every worker has all', everywhere)
