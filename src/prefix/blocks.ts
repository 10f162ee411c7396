// Chained hashes of a prompt's blocks: equal up to a block when the prompts are equal up to its end, for the same model and keys.
import { hashText } from '../hash.ts'
import { wordsOf } from '../openai/words.ts'
import type { Prompt } from './prompt.ts'
import { MEDIA_BYTES, alignUp, blocksIn, bytesAt } from './sizes.ts'

// Primes of xxHash (Yann Collet): odd, with about half of their bits set.
const A = 0x9e3779b1
const B = 0x85ebca77

/**
 * One 52-bit number a whole block, at most `MAX_BLOCKS`: each hash depends on all bytes before it, on the model and on the keys.
 * The rest behind the last whole block has none: the next turn of the conversation changes it, so it could only ever match a
 * repeated request, and there for less than a block's worth. The numbers mean something inside one version of Fetchway only.
 */
export function hashBlocks(prompt: Prompt): Float64Array {
  const hashes = new Float64Array(blocksIn(prompt.length))
  if (hashes.length === 0) return hashes
  const stream = new BlockStream(prompt, hashes)
  const { spans } = prompt
  for (let i = 0; i < spans.length && !stream.isFull; i += 3) {
    if (spans[i + 2] === 1) stream.addMedia(spans[i]!, spans[i + 1]!)
    else stream.addText(spans[i]!, spans[i + 1]!)
  }
  return hashes
}

/** The state of the one stream that is under way: two new arrays a call would cost more than hashing 1 KB. */
const LANES = new Int32Array(2)
const REST = new Int32Array(2)

/** The model that was hashed last: most calls in a row are for the same one. */
let seeded = { model: '', hash: hashText('') }

function seedOf(model: string): number {
  if (model !== seeded.model) seeded = { model, hash: hashText(model) }
  return seeded.hash
}

/**
 * The running state: two 32-bit lanes that take eight bytes a step. A hash is read off it at each block's end, which chains them.
 * Where spans meet does not show in the hashes, only their bytes do.
 */
class BlockStream {
  readonly #bytes: Uint8Array
  readonly #words: Int32Array
  readonly #hashes: Float64Array
  readonly #lanes = LANES
  /** Up to seven bytes that wait for the rest of their step, lowest byte first. */
  readonly #rest = REST
  #restBytes = 0
  /** Bytes mixed, without the rest. */
  #at = 0
  #blocks = 0
  #blockEnd = bytesAt(1)

  constructor(prompt: Prompt, hashes: Float64Array) {
    const { bytes, keys } = prompt
    this.#bytes = bytes
    this.#words = prompt.words ?? wordsOf(bytes)
    this.#rest.fill(0)
    this.#hashes = hashes
    const model = seedOf(prompt.model ?? '')
    this.#lanes[0] = model | 0
    this.#lanes[1] = model / 2 ** 32
    for (let i = 0; i < keys.length; i += 3) {
      const digest = this.#digest(keys[i + 1]!, keys[i + 2]!)
      step(this.#lanes, digest[0]! ^ keys[i]!, digest[1]!)
    }
  }

  get isFull(): boolean {
    return this.#blocks === this.#hashes.length
  }

  addText(start: number, end: number): void {
    let from = start
    if (this.#restBytes > 0) from = this.#fill(from, end)
    while (end - from >= 8 && !this.isFull) {
      const bytes = Math.min((end - from) & ~7, this.#blockEnd - this.#at)
      this.#mix(from, bytes)
      from += bytes
      this.#advance(bytes)
    }
    if (!this.isFull) this.#fill(from, end)
  }

  /** Media take part with a digest, repeated over as many bytes as they count for. */
  addMedia(start: number, end: number): void {
    if (this.#restBytes > 0) this.#flush()
    const digest = this.#digest(start, end)
    for (let done = 0; done < MEDIA_BYTES && !this.isFull; done += 8) {
      step(this.#lanes, digest[0]!, digest[1]!)
      this.#advance(8)
    }
  }

  /** Puts bytes to the rest until it is a whole step; where it went on from. */
  #fill(start: number, end: number): number {
    let from = start
    while (from < end && this.#restBytes < 8) {
      const at = this.#restBytes++
      this.#rest[at >> 2]! |= this.#bytes[from++]! << ((at & 3) << 3)
    }
    if (this.#restBytes === 8) this.#flush()
    return from
  }

  #flush(): void {
    step(this.#lanes, this.#rest[0]!, this.#rest[1]!)
    const bytes = alignUp(this.#restBytes)
    this.#rest.fill(0)
    this.#restBytes = 0
    this.#advance(bytes)
  }

  #advance(bytes: number): void {
    this.#at += bytes
    if (this.#at < this.#blockEnd || this.isFull) return
    this.#hashes[this.#blocks++] = finish(this.#lanes[0]!, this.#lanes[1]!)
    this.#blockEnd = bytesAt(this.#blocks + 1)
  }

  /** Mixes whole steps. The view of words may end before the buffer does: those last bytes go one by one. */
  #mix(start: number, bytes: number): void {
    const from = this.#bytes.byteOffset + start
    const inWords = Math.max(0, (this.#words.length - 1 - (from >>> 2)) >> 1) << 3
    const count = Math.min(bytes, inWords)
    mixWords(this.#lanes, this.#words, from, count >> 3)
    for (let at = start + count; at < start + bytes; at += 8)
      step(this.#lanes, wordAt(this.#bytes, at), wordAt(this.#bytes, at + 4))
  }

  /** 64 bits of a stretch of the body, whatever stands before it. */
  #digest(start: number, end: number): Int32Array {
    const kept = this.#lanes.slice()
    this.#lanes.fill(end - start)
    const whole = (end - start) & ~7
    this.#mix(start, whole)
    for (let at = start + whole; at < end; at++) step(this.#lanes, this.#bytes[at]!, at - start)
    const digest = this.#lanes.slice()
    this.#lanes.set(kept)
    return digest
  }
}

/**
 * The loop that all the time goes to. It reads whole words and shifts them where the bytes lie across two. One multiplication a
 * word; a step can be undone when its words are known, so a difference in a single step is never lost.
 */
function mixWords(lanes: Int32Array, words: Int32Array, from: number, steps: number): void {
  let a = lanes[0]!
  let b = lanes[1]!
  let at = from >>> 2
  const end = at + steps * 2
  const low = (from & 3) << 3
  if (low === 0) {
    for (; at < end; at += 2) {
      const x = words[at]!
      a = Math.imul(a ^ x, A)
      b = Math.imul(b ^ words[at + 1]!, B)
      a ^= (b << 15) | (b >>> 17)
      b = (b + ((a << 11) | (a >>> 21))) ^ x
    }
  } else {
    const high = 32 - low
    for (let first = words[at]!; at < end;) {
      const second = words[at + 1]!
      at += 2
      const third = words[at]!
      const x = (first >>> low) | (second << high)
      a = Math.imul(a ^ x, A)
      b = Math.imul(b ^ ((second >>> low) | (third << high)), B)
      a ^= (b << 15) | (b >>> 17)
      b = (b + ((a << 11) | (a >>> 21))) ^ x
      first = third
    }
  }
  lanes[0] = a
  lanes[1] = b
}

/** One step of `mixWords`. */
function step(lanes: Int32Array, x: number, y: number): void {
  const b = Math.imul(lanes[1]! ^ y, B)
  const a = Math.imul(lanes[0]! ^ x, A) ^ ((b << 15) | (b >>> 17))
  lanes[0] = a
  lanes[1] = (b + ((a << 11) | (a >>> 21))) ^ x
}

function wordAt(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)
}

/** 52 of 64 bits, each depending on all 64: cyrb53's last steps (bryc, public domain), once more over. */
function finish(a: number, b: number): number {
  let h = a
  let l = b
  for (let round = 0; round < 2; round++) {
    const before = h
    h = Math.imul(h ^ (h >>> 16), 2246822507) ^ Math.imul(l ^ (l >>> 13), 3266489909)
    l = Math.imul(l ^ (l >>> 16), 2246822507) ^ Math.imul(before ^ (before >>> 13), 3266489909)
  }
  return (h >>> 12) * 4294967296 + (l >>> 0)
}
