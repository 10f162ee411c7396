// BLAKE3 (O'Connor, Aumasson, Neves, Wilcox-O'Hearn 2020), unkeyed, as far as the first 64 bits of its output are needed.

const IV = Int32Array.of(
  0x6a09e667,
  0xbb67ae85,
  0x3c6ef372,
  0xa54ff53a,
  0x510e527f,
  0x9b05688c,
  0x1f83d9ab,
  0x5be0cd19,
)
const ORDER = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8]
/** Which word of the block each step takes, over all seven rounds. */
const SCHEDULE = new Uint8Array(7 * 16)
for (let i = 0; i < SCHEDULE.length; i++)
  SCHEDULE[i] = i < 16 ? i : SCHEDULE[i - 16 - (i & 15) + ORDER[i & 15]!]!
const BLOCK = 64
const CHUNK = 1024
const CHUNK_START = 1
const CHUNK_END = 2
const PARENT = 4
const ROOT = 8
const encoder = new TextEncoder()

/** A node of the hash tree before it is known whether it is the root. */
interface Output {
  readonly input: Int32Array
  readonly words: Int32Array
  readonly chunk: number
  readonly length: number
  readonly flags: number
}

/** The first 52 of 64 bits of the digest of a text's UTF-8 bytes; its first eight bytes are read little-endian. */
export function blake3Point(text: string): number {
  const words = blake3(text)
  return (words[1]! >>> 0) * 2 ** 20 + (words[0]! >>> 12)
}

/** The digest's eight 32-bit words of a text's UTF-8 bytes, as they stand in memory (each little-endian). */
export function blake3(text: string): Int32Array {
  const root = hashTree(encoder.encode(text), 0)
  return compress(root, ROOT)
}

/** The left subtree is the largest power of two of chunks that leaves something for the right one. */
function hashTree(bytes: Uint8Array, chunk: number): Output {
  if (bytes.length <= CHUNK) return hashChunk(bytes, chunk)
  const chunks = Math.ceil(bytes.length / CHUNK)
  const left = 2 ** (31 - Math.clz32(chunks - 1))
  const words = new Int32Array(16)
  words.set(compress(hashTree(bytes.subarray(0, left * CHUNK), chunk), 0))
  words.set(compress(hashTree(bytes.subarray(left * CHUNK), chunk + left), 0), 8)
  return { input: IV, words, chunk: 0, length: BLOCK, flags: PARENT }
}

function hashChunk(bytes: Uint8Array, chunk: number): Output {
  let input: Int32Array = IV
  for (let at = 0; ; at += BLOCK) {
    const block = bytes.subarray(at, at + BLOCK)
    const flags = (at === 0 ? CHUNK_START : 0) | (at + BLOCK >= bytes.length ? CHUNK_END : 0)
    const output = { input, words: wordsOf(block), chunk, length: block.length, flags }
    if (at + BLOCK >= bytes.length) return output
    input = compress(output, 0)
  }
}

function wordsOf(block: Uint8Array): Int32Array {
  const padded = new Uint8Array(BLOCK)
  padded.set(block)
  const view = new DataView(padded.buffer)
  const words = new Int32Array(16)
  for (let i = 0; i < 16; i++) words[i] = view.getInt32(i * 4, true)
  return words
}

function compress({ input, words, chunk, length, flags }: Output, more: number): Int32Array {
  const state = new Int32Array(16)
  state.set(input)
  state.set(IV.subarray(0, 4), 8)
  state[12] = chunk
  state[13] = chunk / 2 ** 32
  state[14] = length
  state[15] = flags | more
  for (let at = 0; at < SCHEDULE.length; at += 2) mix(state, words, at)
  for (let i = 0; i < 8; i++) state[i]! ^= state[i + 8]!
  return state.subarray(0, 8)
}

/** One of a round's eight steps, over the columns first, then over the diagonals; `at`: its two words in the schedule. */
function mix(state: Int32Array, words: Int32Array, at: number): void {
  const a = (at >> 1) & 3
  const step = (at >> 3) & 1
  const b = 4 + ((a + step) & 3)
  const c = 8 + ((a + 2 * step) & 3)
  const d = 12 + ((a + 3 * step) & 3)
  state[a] = state[a]! + state[b]! + words[SCHEDULE[at]!]!
  state[d] = turn(state[d]! ^ state[a]!, 16)
  state[c] = state[c]! + state[d]!
  state[b] = turn(state[b]! ^ state[c]!, 12)
  state[a] = state[a]! + state[b]! + words[SCHEDULE[at + 1]!]!
  state[d] = turn(state[d]! ^ state[a]!, 8)
  state[c] = state[c]! + state[d]!
  state[b] = turn(state[b]! ^ state[c]!, 7)
}

function turn(word: number, bits: number): number {
  return (word >>> bits) | (word << (32 - bits))
}
