// Mixes bytes into the lanes that block hashes are read off: 64 at a time, in eight pairs of lanes that do not wait for each other.
import { wordsOf, type ByteText } from '../openai/words.ts'
import { MAX_BLOCKS, STRIPE } from './sizes.ts'

// Primes of xxHash (Yann Collet): odd, with about half of their bits set.
const A = 0x9e3779b1
const B = 0x85ebca77

export interface Stripes {
  /** Eight a's, then eight b's. */
  readonly lanes: Int32Array
  /** A stripe that is put together elsewhere than in the text. */
  readonly rest: Uint8Array
  /** Mixes whole stripes of the text that was loaded. */
  mix(at: number, stripes: number): void
  mixRest(): void
  /** Mixes `count` blocks (at most `MAX_BLOCKS`) of so many stripes each, and leaves a hash of each of them in `hashes`. */
  mixBlocks(at: number, stripes: number, count: number): void
  readonly hashes: Float64Array
}

/** In TypeScript; two words a step as the kernel has it (src/kernel/kernel.wat), but one pair of lanes after the other. */
class WordStripes implements Stripes {
  readonly lanes = new Int32Array(16)
  readonly rest = new Uint8Array(STRIPE)
  readonly hashes = new Float64Array(MAX_BLOCKS)
  readonly #restWords = wordsOf(this.rest)
  readonly #last = new Uint8Array(STRIPE)
  readonly #lastWords = wordsOf(this.#last)
  #text: Pick<ByteText, 'bytes' | 'words'> = { bytes: this.rest, words: this.#restWords }

  load(text: Pick<ByteText, 'bytes' | 'words'>): void {
    this.#text = text
  }

  mix(at: number, stripes: number): void {
    const { bytes, words } = this.#text
    const from = bytes.byteOffset + at
    // The view of words may end before the bytes do: a stripe there is copied.
    const inWords = Math.min(stripes, Math.max(0, words.length - 1 - (from >>> 2)) >> 4)
    mixWords(this.lanes, words, from, inWords)
    for (let stripe = inWords; stripe < stripes; stripe++) {
      const start = at + stripe * STRIPE
      this.#last.set(bytes.subarray(start, start + STRIPE))
      mixWords(this.lanes, this.#lastWords, 0, 1)
    }
  }

  mixRest(): void {
    mixWords(this.lanes, this.#restWords, 0, 1)
  }

  mixBlocks(at: number, stripes: number, count: number): void {
    for (let block = 0; block < count; block++) {
      this.mix(at + block * stripes * STRIPE, stripes)
      this.hashes[block] = finish(this.lanes)
    }
  }
}

/** One for all: the stream of a prompt is never interrupted, and new arrays would cost more than hashing 1 KB. */
const wordStripes = new WordStripes()

/** Stripes of a text, to be used before those of another one are asked for. */
export function stripesOf(text: Pick<ByteText, 'bytes' | 'words'>): Stripes {
  wordStripes.load(text)
  return wordStripes
}

/**
 * The loop that all the time goes to. It reads whole words and shifts them where the bytes lie across two. One multiplication a
 * word; a step can be undone when its words are known, so a difference in a single step is never lost.
 */
function mixWords(lanes: Int32Array, words: Int32Array, from: number, stripes: number): void {
  const low = (from & 3) << 3
  const high = 32 - low
  for (let pair = 0; pair < 8; pair++) {
    let a = lanes[pair]!
    let b = lanes[pair + 8]!
    // Four first words, four second ones, and the same again: so a vector of four lanes reads them.
    let at = (from >>> 2) + pair + (pair & 4)
    const end = at + stripes * 16
    if (low === 0) {
      for (; at < end; at += 16) {
        const x = words[at]!
        b = Math.imul(b ^ words[at + 4]!, B)
        a = Math.imul(a ^ x, A) ^ ((b << 15) | (b >>> 17))
        b = (b + ((a << 11) | (a >>> 21))) ^ x
      }
    } else {
      for (; at < end; at += 16) {
        const x = (words[at]! >>> low) | (words[at + 1]! << high)
        b = Math.imul(b ^ ((words[at + 4]! >>> low) | (words[at + 5]! << high)), B)
        a = Math.imul(a ^ x, A) ^ ((b << 15) | (b >>> 17))
        b = (b + ((a << 11) | (a >>> 21))) ^ x
      }
    }
    lanes[pair] = a
    lanes[pair + 8] = b
  }
}

/** Starts the lanes from a whole number of 53 bits. */
export function seedLanes(lanes: Int32Array, seed: number): void {
  const low = seed | 0
  const high = seed / 2 ** 32
  for (let pair = 0; pair < 8; pair++) {
    lanes[pair] = low + Math.imul(pair, A)
    lanes[pair + 8] = high ^ Math.imul(pair, B)
  }
}

/**
 * 52 bits of the lanes, each depending on all of them: a sum whose terms are multiplied by odd numbers, so that a difference
 * in one pair is never lost, then cyrb53's last steps (bryc, public domain), once more over.
 */
export function finish(lanes: Int32Array): number {
  let h = 0
  let l = 0
  for (let pair = 0; pair < 8; pair++) {
    h = (Math.imul(h, A) + lanes[pair]!) | 0
    l = (Math.imul(l, B) + lanes[pair + 8]!) | 0
  }
  for (let round = 0; round < 2; round++) {
    const before = h
    h = Math.imul(h ^ (h >>> 16), 2246822507) ^ Math.imul(l ^ (l >>> 13), 3266489909)
    l = Math.imul(l ^ (l >>> 16), 2246822507) ^ Math.imul(before ^ (before >>> 13), 3266489909)
  }
  return (h >>> 12) * 4294967296 + (l >>> 0)
}
