// One engine in simulated time: first come first served, chunked prefill mixed with decoding, step by step.
import { BlockCache } from './block-cache.ts'
import { Decoding } from './decoding.ts'

/** Tokens in one KV block. */
export const BLOCK_TOKENS = 512

/** Times of one engine, in seconds. */
export interface EngineTimes {
  /** Prompt tokens a second at the beginning of a context. */
  readonly rate: number
  /** Context at which a prompt token takes twice as long. */
  readonly attention: number
  /** What every step takes. */
  readonly step: number
  /** What each decoding sequence adds to a step. */
  readonly perSequence: number
  /** Tokens that one step may compute. */
  readonly chunk: number
  readonly sequences: number
  /** Most tokens of one prompt in a step, so that several share it; 0: as many as fit, one prompt after the other. */
  readonly longPrefill: number
}

/** An 8-billion-parameter model on one H100, the model that all figures of this project are calibrated to. */
export const REFERENCE_TIMES: EngineTimes = {
  rate: 20_000,
  attention: 30_000,
  step: 0.008,
  perSequence: 0.000_05,
  chunk: 8192,
  sequences: 256,
  longPrefill: 0,
}

/** The same engine on hardware that is `factor` times as fast. */
export function timesOf(factor: number, times: EngineTimes = REFERENCE_TIMES): EngineTimes {
  return {
    ...times,
    rate: times.rate * factor,
    step: times.step / factor,
    perSequence: times.perSequence / factor,
  }
}

/** Seconds that prompt tokens [from, to) of a context take. */
export function prefillSeconds(times: EngineTimes, from: number, to: number): number {
  return ((to - from) / times.rate) * (1 + (from + to) / 2 / times.attention)
}

/** What an engine needs to know of a request. */
export interface Job {
  /** Its place in the trace: breaks ties. */
  readonly index: number
  readonly input: number
  readonly output: number
  readonly blocks: Int32Array
}

interface Prefill<J> {
  readonly job: J
  /** Tokens that came from the cache. */
  readonly start: number
  done: number
}

interface Step<J> {
  readonly at: number
  readonly seconds: number
  /** Steps that nothing but decoding happens in are taken together. */
  count: number
  readonly chunks: readonly { readonly prefill: Prefill<J>; readonly isLast: boolean }[]
}

export type EngineEvent<J> =
  | { readonly kind: 'first'; readonly job: J; readonly at: number; readonly cached: number }
  | { readonly kind: 'finish'; readonly job: J; readonly at: number }

const unnamedBlocks = (job: Job): number => Math.ceil(job.output / BLOCK_TOKENS)

/** Prompt tokens that `matched` blocks spare: the last token is always computed. */
export const tokensOf = (matched: number, job: Job): number => Math.min(matched * BLOCK_TOKENS, job.input - 1)

export class Engine<J extends Job> {
  readonly cache: BlockCache
  readonly times: EngineTimes
  readonly waiting: J[] = []
  #prefilling: Prefill<J>[] = []
  readonly #decoding = new Decoding<J>()
  #stepIndex = 0
  #step: Step<J> | null = null
  /** Blocks that waiting requests will put in, and how many of them. */
  readonly #coming = new Map<number, number>()

  constructor(capacity: number, times: EngineTimes) {
    this.cache = new BlockCache(capacity)
    this.times = times
  }

  get running(): number {
    return this.#decoding.size + this.#prefilling.length
  }

  /** When the present step ends, s; Infinity: it is idle. */
  get nextEnd(): number {
    const step = this.#step
    return step ? step.at + step.seconds * step.count : Infinity
  }

  /** Seconds of prefill before it: the rest of those that run, and the uncached part of those that wait. */
  get prefillBacklog(): number {
    let seconds = 0
    for (const { job, done } of this.#prefilling) seconds += prefillSeconds(this.times, done, job.input)
    for (const job of this.waiting)
      seconds += prefillSeconds(this.times, tokensOf(this.cache.matched(job.blocks), job), job.input)
    return seconds
  }

  /** Blocks of the beginning that are cached, or will be when the queue before it has run. */
  matchedSoon(blocks: Int32Array): number {
    let count = 0
    while (count < blocks.length && this.#isSoon(blocks[count] as number)) count++
    return count
  }

  #isSoon(block: number): boolean {
    return this.cache.has(block) || this.#coming.has(block)
  }

  /** A request arrives at time `at`, s. */
  enqueue(job: J, at: number): void {
    this.waiting.push(job)
    for (const block of job.blocks) this.#coming.set(block, (this.#coming.get(block) ?? 0) + 1)
    const step = this.#step
    if (!step) this.#begin(at)
    // A run of decoding steps is left at the end of the step that goes on now.
    else if (step.count > 1) step.count = Math.min(step.count, Math.floor((at - step.at) / step.seconds) + 1)
  }

  /** Ends the present step, tells what came of it, and begins the next one. */
  endStep(): EngineEvent<J>[] {
    const step = this.#step
    if (!step) return []
    this.#step = null
    const at = step.at + step.seconds * step.count
    this.#stepIndex += step.count
    const events: EngineEvent<J>[] = []
    for (;;) {
      const job = this.#decoding.take(this.#stepIndex)
      if (job === null) break
      this.#release(job)
      events.push({ kind: 'finish', job, at })
    }
    for (const { prefill, isLast } of step.chunks) if (isLast) this.#firstToken(prefill, at, events)
    this.#begin(at)
    return events
  }

  #firstToken({ job, start }: Prefill<J>, at: number, events: EngineEvent<J>[]): void {
    events.push({ kind: 'first', job, at, cached: start })
    if (job.output > 1) {
      this.#decoding.add({ until: this.#stepIndex + job.output - 1, order: job.index, what: job })
      return
    }
    this.#release(job)
    events.push({ kind: 'finish', job, at })
  }

  /** Tokens of a prompt that one step computes at most. */
  #share(tokens: number): number {
    const { longPrefill } = this.times
    return longPrefill > 0 ? Math.min(longPrefill, tokens) : tokens
  }

  /** First come, first served; as many as the sequences, the memory and the tokens of this step allow. */
  #admit(budget: number): void {
    let left = budget
    for (const { job, done } of this.#prefilling) left -= this.#share(job.input - done)
    while (left > 0 && this.running < this.times.sequences) {
      const job = this.waiting[0]
      if (!job) return
      const matched = this.cache.matched(job.blocks)
      const total = job.blocks.length + unnamedBlocks(job)
      if (this.running > 0 && this.cache.available < total - Math.min(matched, total) + 1) return
      this.waiting.shift()
      this.#hold(job)
      const start = tokensOf(matched, job)
      this.#prefilling.push({ job, start, done: start })
      left -= this.#share(job.input - start)
    }
  }

  /** Blocks are allocated, and found by others, from the moment of scheduling on. */
  #hold(job: J): void {
    for (const block of job.blocks) {
      const coming = (this.#coming.get(block) as number) - 1
      if (coming === 0) this.#coming.delete(block)
      else this.#coming.set(block, coming)
    }
    for (const block of job.blocks) this.cache.pin(block)
    this.cache.pinUnnamed(unnamedBlocks(job))
  }

  #begin(at: number): void {
    const { times } = this
    const decoding = this.#decoding.size
    let left = Math.max(64, times.chunk - decoding)
    this.#admit(left)
    const chunks: { prefill: Prefill<J>; isLast: boolean }[] = []
    let seconds = times.step + times.perSequence * decoding
    for (const prefill of this.#prefilling) {
      if (left === 0) break
      const { input } = prefill.job
      const tokens = Math.min(left, this.#share(input - prefill.done))
      seconds += prefillSeconds(times, prefill.done, prefill.done + tokens)
      prefill.done += tokens
      left -= tokens
      chunks.push({ prefill, isLast: prefill.done === input })
    }
    if (chunks.some(({ isLast }) => isLast))
      this.#prefilling = this.#prefilling.filter(({ job, done }) => done < job.input)
    if (chunks.length === 0 && decoding === 0) return
    const count = chunks.length > 0 ? 1 : Math.max(1, this.#decoding.nextEnd - this.#stepIndex)
    this.#step = { at, seconds, count, chunks }
  }

  /** The end of a prompt is forgotten first. */
  #release(job: J): void {
    for (let i = job.blocks.length - 1; i >= 0; i--) this.cache.unpin(job.blocks[i] as number)
    this.cache.unpinUnnamed(unnamedBlocks(job))
  }
}
