// Chained hashes of a prompt's blocks: equal up to a block when the prompts are equal up to its end, for the same model and keys.
import { hashText } from '../hash.ts'
import { kernelFor } from '../kernel/kernel.ts'
import { textOf } from '../openai/words.ts'
import type { Prompt } from './prompt.ts'
import { FINE_BLOCKS, MEDIA_BYTES, STRIPE, blocksIn, bytesAt } from './sizes.ts'
import { finish, seedLanes, stripesOf, type Stripes } from './stripes.ts'

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

/** The model that was hashed last: most calls in a row are for the same one. */
let seeded = { model: '', hash: hashText('') }

function seedOf(model: string): number {
  if (model !== seeded.model) seeded = { model, hash: hashText(model) }
  return seeded.hash
}

/** Where the first byte lies that is looked at. */
function firstOf({ keys, spans }: Prompt): number {
  let first = spans[0]!
  for (let i = 3; i < spans.length; i += 3) first = Math.min(first, spans[i]!)
  for (let i = 0; i < keys.length; i += 3) first = Math.min(first, keys[i + 1]!)
  return first
}

/**
 * The running state: lanes that take a stripe of 64 bytes a step. A hash is read off them at each block's end, which chains
 * them. Where spans meet does not show in the hashes, only their bytes do.
 */
class BlockStream {
  readonly #bytes: Uint8Array
  readonly #hashes: Float64Array
  readonly #stripes: Stripes
  readonly #lanes: Int32Array
  /** Bytes that wait in the stripes' rest for the rest of their stripe. What lies behind them there is of no account. */
  #restBytes = 0
  /** Bytes mixed, without the rest. */
  #at = 0
  #blocks = 0
  #blockEnd = bytesAt(1)

  constructor(prompt: Prompt, hashes: Float64Array) {
    const { bytes, keys } = prompt
    const text = prompt.text ?? textOf(bytes, bytes.length)
    this.#bytes = bytes
    this.#stripes = kernelFor(text, firstOf(prompt)) ?? stripesOf(text)
    this.#lanes = this.#stripes.lanes
    this.#hashes = hashes
    let seed = seedOf(prompt.model ?? '')
    for (let i = 0; i < keys.length; i += 3) {
      const digest = this.#digest(keys[i + 1]!, keys[i + 2]!)
      seedLanes(this.#lanes, seed)
      this.#lanes[0]! ^= digest
      this.#lanes[1]! ^= keys[i]! + 1
      this.#lanes[8]! ^= digest / 2 ** 32
      seed = finish(this.#lanes)
    }
    seedLanes(this.#lanes, seed)
  }

  get isFull(): boolean {
    return this.#blocks === this.#hashes.length
  }

  addText(start: number, end: number): void {
    let from = start
    if (this.#restBytes > 0) from = this.#fill(from, end)
    while (end - from >= STRIPE && !this.isFull) {
      from += this.#mixBlocks(from, end) || this.#mixStripes(from, end)
    }
    if (!this.isFull) this.#fill(from, end)
  }

  /** Whole stripes up to the end of a block at most; how many bytes they have. */
  #mixStripes(from: number, end: number): number {
    const stripes = Math.floor(Math.min(end - from, this.#blockEnd - this.#at) / STRIPE)
    this.#stripes.mix(from, stripes)
    this.#advance(stripes * STRIPE)
    return stripes * STRIPE
  }

  /** Blocks of one size that lie there as a whole, if one begins there; how many bytes they have. */
  #mixBlocks(from: number, end: number): number {
    const first = this.#blocks
    if (this.#at !== bytesAt(first)) return 0
    const size = this.#blockEnd - this.#at
    const alike = first < FINE_BLOCKS ? Math.min(FINE_BLOCKS, this.#hashes.length) : this.#hashes.length
    const count = Math.min(alike - first, Math.floor((end - from) / size))
    if (count === 0) return 0
    this.#stripes.mixBlocks(from, size / STRIPE, count)
    const { hashes } = this.#stripes
    for (let block = 0; block < count; block++) this.#hashes[first + block] = hashes[block]!
    this.#blocks += count
    this.#at += count * size
    this.#blockEnd = bytesAt(this.#blocks + 1)
    return count * size
  }

  /** Media take part with a digest, repeated over as many bytes as they count for. */
  addMedia(start: number, end: number): void {
    if (this.#restBytes > 0) this.#flush()
    if (this.isFull) return
    const kept = this.#lanes.slice()
    const digest = this.#digest(start, end)
    this.#lanes.set(kept)
    const { rest } = this.#stripes
    const view = new DataView(rest.buffer, rest.byteOffset, STRIPE)
    for (let at = 0; at < STRIPE; at += 8) view.setFloat64(at, digest, true)
    for (let done = 0; done < MEDIA_BYTES && !this.isFull; done += STRIPE) {
      this.#stripes.mixRest()
      this.#advance(STRIPE)
    }
  }

  /** Puts bytes to the rest until it is a whole stripe; where it went on from. */
  #fill(start: number, end: number): number {
    const { rest } = this.#stripes
    const bytes = this.#bytes
    const count = Math.min(end - start, STRIPE - this.#restBytes)
    for (let i = 0; i < count; i++) rest[this.#restBytes + i] = bytes[start + i]!
    this.#restBytes += count
    if (this.#restBytes === STRIPE) this.#flush()
    return start + count
  }

  #flush(): void {
    const { rest } = this.#stripes
    for (let at = this.#restBytes; at < STRIPE; at++) rest[at] = 0
    this.#stripes.mixRest()
    this.#restBytes = 0
    this.#advance(STRIPE)
  }

  #advance(bytes: number): void {
    this.#at += bytes
    if (this.#at < this.#blockEnd || this.isFull) return
    this.#hashes[this.#blocks++] = finish(this.#lanes)
    this.#blockEnd = bytesAt(this.#blocks + 1)
  }

  /** 52 bits of a stretch of the body, whatever stands before it. Needs the rest empty. */
  #digest(start: number, end: number): number {
    const size = end - start
    seedLanes(this.#lanes, size)
    const stripes = Math.floor(size / STRIPE)
    this.#stripes.mix(start, stripes)
    const { rest } = this.#stripes
    const tail = start + stripes * STRIPE
    for (let at = 0; at < STRIPE; at++) rest[at] = tail + at < end ? this.#bytes[tail + at]! : 0
    this.#stripes.mixRest()
    return finish(this.#lanes)
  }
}
