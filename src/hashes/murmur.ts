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
  const hash = new Uint32Array(2)
  const word = new Uint32Array(2)
  begin(hash, bytes.length)
  const whole = bytes.length & ~7
  for (let at = 0; at < whole; at += 8) {
    word[0] = view.getUint32(at, true)
    word[1] = view.getUint32(at + 4, true)
    mix(hash, word)
  }
  for (let at = whole; at < bytes.length; at++) hash[(at & 7) >> 2]! ^= bytes[at]! << ((at & 3) << 3)
  if (whole < bytes.length) multiply(hash)
  finish(hash)
  return hash
}

function begin(hash: Uint32Array, length: number): void {
  hash[0] = length
  hash[1] = 0
  multiply(hash)
  hash[0]! ^= SEED
}

/** Takes eight bytes into a hash; the word is spent. */
function mix(hash: Uint32Array, word: Uint32Array): void {
  multiply(word)
  fold(word)
  multiply(word)
  hash[0]! ^= word[0]!
  hash[1]! ^= word[1]!
  multiply(hash)
}

function finish(hash: Uint32Array): void {
  fold(hash)
  multiply(hash)
  fold(hash)
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
  /** 32 bits each, lowest first. */
  readonly #words: number[] = []
  readonly #hash: Uint32Array
  readonly #last = new Uint32Array(2)

  constructor(text: Uint8Array) {
    this.#hash = murmur64(text)
    this.#words.push(this.#hash[0]!, this.#hash[1]!)
  }

  at(index: number): number {
    const word = index >> 5
    while (this.#words.length <= word) this.#grow()
    return (this.#words[word]! >>> (index & 31)) & 1
  }

  /** murmur64 of the last hash's bytes, without making anything: a place on the ring takes nine of them. */
  #grow(): void {
    this.#last.set(this.#hash)
    begin(this.#hash, 8)
    mix(this.#hash, this.#last)
    finish(this.#hash)
    this.#words.push(this.#hash[0]!, this.#hash[1]!)
  }
}

/** Where a text lies on vllm-router's ring, as the first 52 of 64 bits: there are 2^23 places, and their hashes differ in those. */
export function furcPoint(text: string): number {
  const hash = furcPlace(text)
  return hash[1]! * 2 ** 20 + (hash[0]! >>> 12)
}

/** The same place with all of its bits, as 16 hexadecimal digits: what that router has in place of a long text. */
export function furcName(text: string): string {
  const [low, high] = furcPlace(text) as unknown as readonly [number, number]
  return [high, low].map((half) => half.toString(16).padStart(8, '0')).join('')
}

function furcPlace(text: string): Uint32Array {
  const bytes = new Uint8Array(4)
  new DataView(bytes.buffer).setUint32(0, furcHash(text, 2 ** 23 - 1), true)
  return murmur64(bytes)
}
