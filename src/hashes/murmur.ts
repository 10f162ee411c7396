// MurmurHash64A (Austin Appleby, public domain) and the furc hash built on it, as vllm-router's ring takes them from mcrouter.

const M_LOW = 0x5bd1e995
const M_HIGH = 0xc6a4a793
const SEED = 4193360111
const FURC_SHIFT = 23
const FURC_TRIES = 32
const encoder = new TextEncoder()

/** 64-bit MurmurHash64A of bytes, read little-endian, with that router's seed: its low and its high half. */
export function murmur64(bytes: Uint8Array): Uint32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const hash = Uint32Array.of(bytes.length, 0)
  const word = new Uint32Array(2)
  multiply(hash)
  hash[0]! ^= SEED
  const whole = bytes.length & ~7
  for (let at = 0; at < whole; at += 8) {
    word[0] = view.getUint32(at, true)
    word[1] = view.getUint32(at + 4, true)
    multiply(word)
    fold(word)
    multiply(word)
    hash[0]! ^= word[0]!
    hash[1]! ^= word[1]!
    multiply(hash)
  }
  for (let at = whole; at < bytes.length; at++) hash[(at & 7) >> 2]! ^= bytes[at]! << ((at & 3) << 3)
  if (whole < bytes.length) multiply(hash)
  fold(hash)
  multiply(hash)
  fold(hash)
  return hash
}

/** word × M, its low 64 bits: without BigInt five times as fast. */
function multiply(word: Uint32Array): void {
  const low = word[0]!
  const high = word[1]!
  const cross = (low & 0xffff) * (M_LOW >>> 16)
  const other = (low >>> 16) * (M_LOW & 0xffff)
  const middle = (((low & 0xffff) * (M_LOW & 0xffff)) >>> 16) + (cross & 0xffff) + (other & 0xffff)
  const carried = (low >>> 16) * (M_LOW >>> 16) + (cross >>> 16) + (other >>> 16) + (middle >>> 16)
  word[0] = Math.imul(low, M_LOW)
  word[1] = carried + Math.imul(high, M_LOW) + Math.imul(low, M_HIGH)
}

/** word ^ word >> 47. */
function fold(word: Uint32Array): void {
  word[0]! ^= word[1]! >>> 15
}

/** A number below `count` for a text; raising `count` moves as few texts as can be. 0 when it finds none in 32 tries. */
export function furcHash(text: string, count: number): number {
  const bits = new FurcBits(encoder.encode(text))
  let depth = Math.ceil(Math.log2(count))
  let at = depth
  for (let tries = 0; tries < FURC_TRIES; tries++) {
    while (bits.at(at) === 0) {
      if (--depth === 0) return 0
      at = depth
    }
    at += FURC_SHIFT
    let number = 1
    for (let i = 0; i < depth - 1; i++) {
      number = (number << 1) | bits.at(at)
      at += FURC_SHIFT
    }
    if (number < count) return number
  }
  return 0
}

/** An endless row of bits: the hash of the text, the hash of that hash, and so on. */
class FurcBits {
  readonly #text: Uint8Array
  /** 32 bits each, lowest first. */
  readonly #words: number[] = []
  readonly #last = new Uint8Array(8)

  constructor(text: Uint8Array) {
    this.#text = text
  }

  at(index: number): number {
    const word = index >> 5
    while (this.#words.length <= word) this.#grow()
    return (this.#words[word]! >>> (index & 31)) & 1
  }

  #grow(): void {
    const [low, high] = murmur64(this.#words.length === 0 ? this.#text : this.#last) as unknown as [
      number,
      number,
    ]
    const view = new DataView(this.#last.buffer)
    view.setUint32(0, low, true)
    view.setUint32(4, high, true)
    this.#words.push(low, high)
  }
}

/** Where a text lies on vllm-router's ring, as the first 52 of 64 bits: there are 2^23 places, and their hashes differ in those. */
export function furcPoint(text: string): number {
  const bytes = new Uint8Array(4)
  new DataView(bytes.buffer).setUint32(0, furcHash(text, 2 ** 23 - 1), true)
  const hash = murmur64(bytes)
  return hash[1]! * 2 ** 20 + (hash[0]! >>> 12)
}
