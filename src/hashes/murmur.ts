// MurmurHash64A (Austin Appleby, public domain) and the furc hash built on it, as vllm-router's ring takes them from mcrouter.

const M = 0xc6a4a7935bd1e995n
const R = 47n
const SEED = 4193360111n
const FURC_SHIFT = 23
const FURC_TRIES = 32
const encoder = new TextEncoder()

const low64 = (value: bigint): bigint => BigInt.asUintN(64, value)

/** 64-bit MurmurHash64A of bytes, read little-endian, with that router's seed. */
export function murmur64(bytes: Uint8Array): bigint {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let h = low64(SEED ^ low64(BigInt(bytes.length) * M))
  const whole = bytes.length & ~7
  for (let at = 0; at < whole; at += 8) h = low64((h ^ scramble(view.getBigUint64(at, true))) * M)
  if (whole < bytes.length) {
    let rest = 0n
    for (let at = bytes.length - 1; at >= whole; at--) rest = (rest << 8n) | BigInt(bytes[at]!)
    h = low64((h ^ rest) * M)
  }
  h = low64((h ^ (h >> R)) * M)
  return h ^ (h >> R)
}

function scramble(word: bigint): bigint {
  const k = low64(word * M)
  return low64((k ^ (k >> R)) * M)
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
    const view = new DataView(this.#last.buffer)
    view.setBigUint64(0, murmur64(this.#words.length === 0 ? this.#text : this.#last), true)
    this.#words.push(view.getUint32(0, true), view.getUint32(4, true))
  }
}

/** Where a text lies on vllm-router's ring, as the first 52 of 64 bits: there are 2^23 places, and their hashes differ in those. */
export function furcPoint(text: string): number {
  const bytes = new Uint8Array(4)
  new DataView(bytes.buffer).setUint32(0, furcHash(text, 2 ** 23 - 1), true)
  return Number(murmur64(bytes) >> 12n)
}
