// The engine's batch scheduler: one loop of steps that prefill in chunks and decode every running sequence.
import type { EngineClock } from './clock.ts'
import { blockHash, blockHashes, type KvCache } from './kv-cache.ts'
import { emptyTotals, type Job, type Sequence, type Totals } from './sequence.ts'

/** Tokens that one step may compute, as in the engines' default for chunked prefill. */
const STEP_TOKENS = 8192

export interface SchedulerOptions {
  readonly prefillTokensPerSecond: number
  readonly stepMs: number
  readonly perSequenceMs: number
  readonly blockTokens: number
  readonly maxSequences: number
  /** Factor on all times; 0: no timers, and a streamed sequence goes as fast as it is read. */
  readonly speed: number
}

export class Scheduler {
  readonly totals: Totals = emptyTotals()
  readonly cache: KvCache
  /** Hears of blocks that can be found from now on: those of a sequence from the `first`th on. */
  stored: ((sequence: Sequence, first: number, count: number) => void) | null = null
  readonly #options: SchedulerOptions
  readonly #clock: EngineClock
  readonly #running = new Set<Sequence>()
  #waiting: Sequence[] = []
  #looping = false
  #paused = false

  constructor(options: SchedulerOptions, cache: KvCache, clock: EngineClock) {
    this.#options = options
    this.cache = cache
    this.#clock = clock
  }

  get running(): number {
    return this.#running.size
  }

  get waiting(): number {
    return this.#waiting.length
  }

  /** Prompt tokens that are still to be computed, of running and waiting sequences. */
  get backlog(): number {
    let tokens = 0
    for (const sequence of this.#running) tokens += Math.max(0, lengthOf(sequence) - sequence.computed)
    for (const sequence of this.#waiting) tokens += lengthOf(sequence)
    return tokens
  }

  submit(job: Job): Sequence {
    const { blockTokens } = this.#options
    const sequence: Sequence = {
      job,
      cached: 0,
      computed: 0,
      emitted: 0,
      hashes: blockHashes(job.prompt, blockTokens, job.root),
      heldHashes: [],
      emptyBlocks: 0,
      submittedAt: this.#clock.now(),
      startedAt: 0,
      firstAt: 0,
      lastAt: 0,
    }
    this.#waiting.push(sequence)
    this.wake()
    return sequence
  }

  /** Frees a sequence at once; harmless when it has ended. */
  abort(sequence: Sequence): void {
    if (this.#running.delete(sequence)) this.#release(sequence)
    else this.#waiting = this.#waiting.filter((other) => other !== sequence)
    this.wake()
  }

  /** While paused (a sleeping engine) nothing is computed. */
  pause(paused: boolean): void {
    this.#paused = paused
    this.wake()
  }

  /** Starts the loop when there is work and it is not going on. */
  wake(): void {
    if (this.#looping || this.#paused) return
    if (this.#running.size + this.#waiting.length === 0) return
    this.#looping = true
    void this.#loop()
  }

  async #loop(): Promise<void> {
    let due = this.#clock.now()
    // The first step waits for its turn, so that calls which arrive together share it.
    await Promise.resolve()
    while (!this.#paused) {
      this.#admit()
      const step = this.#plan()
      if (step.size === 0) break
      const ms = this.#duration(step) * this.#options.speed
      if (ms > 0) {
        // A late timer is made up for in the next step, but an engine that fell far behind does not race to catch up.
        due = Math.max(due + ms, this.#clock.now() - 100)
        await this.#clock.sleep(Math.max(0, due - this.#clock.now()))
      } else await Promise.resolve()
      this.#apply(step)
    }
    this.#looping = false
  }

  /** First come, first served: the head of the queue waits for room, and all others behind it. */
  #admit(): void {
    const { blockTokens, maxSequences } = this.#options
    while (this.#running.size < maxSequences) {
      const sequence = this.#waiting[0]
      if (!sequence) return
      const length = lengthOf(sequence)
      // The last token is always computed: its logits give the first output token.
      const matched = this.cache.match(sequence.hashes, Math.floor((length - 1) / blockTokens))
      const needed = Math.ceil((length + 1) / blockTokens) - matched
      if (needed + this.cache.idleAmong(sequence.hashes, matched) > this.cache.available) return
      this.#waiting.shift()
      for (let i = 0; i < matched; i++) this.cache.hold(sequence.hashes[i] as number)
      sequence.heldHashes.push(...sequence.hashes.subarray(0, matched))
      this.cache.allocate(needed)
      sequence.emptyBlocks = needed
      sequence.computed = Math.max(matched * blockTokens, Math.min(length - 1, sequence.job.transferred))
      if (sequence.emitted === 0) this.#countStart(sequence, matched * blockTokens)
      this.#running.add(sequence)
    }
  }

  #countStart(sequence: Sequence, cached: number): void {
    sequence.cached = cached
    sequence.startedAt = this.#clock.now()
    this.totals.queueMs += sequence.startedAt - sequence.submittedAt
    this.totals.promptTokens += sequence.job.prompt.length
    this.totals.cachedTokens += cached
  }

  /** Tokens to compute for each sequence in the next step. */
  #plan(): Map<Sequence, number> {
    const step = new Map<Sequence, number>()
    let budget = STEP_TOKENS
    for (const sequence of this.#running) {
      const left = lengthOf(sequence) - sequence.computed
      if (left > 1 || budget === 0) continue
      if (this.#options.speed === 0 && !sequence.job.wants()) continue
      step.set(sequence, 1)
      budget--
    }
    for (const sequence of this.#running) {
      const left = lengthOf(sequence) - sequence.computed
      if (left <= 1 || budget === 0) continue
      const chunk = Math.min(left, budget)
      step.set(sequence, chunk)
      budget -= chunk
    }
    return step
  }

  #duration(step: Map<Sequence, number>): number {
    let prefill = 0
    let decoding = 0
    for (const [sequence, tokens] of step) {
      if (sequence.emitted > 0 && tokens === 1) decoding++
      else prefill += tokens
    }
    const decode = decoding > 0 ? this.#options.stepMs + this.#options.perSequenceMs * decoding : 0
    return decode + (prefill / this.#options.prefillTokensPerSecond) * 1000
  }

  #apply(step: Map<Sequence, number>): void {
    for (const [sequence, tokens] of step) {
      // It may have been aborted or preempted since the step was planned.
      if (!this.#running.has(sequence)) continue
      sequence.computed += tokens
      this.#publish(sequence)
      if (sequence.computed >= lengthOf(sequence)) this.#emit(sequence)
    }
  }

  #emit(sequence: Sequence): void {
    if (sequence.job.output.length === 0) return this.#endSilent(sequence)
    const now = this.#clock.now()
    if (sequence.emitted === 0) {
      sequence.firstAt = now
      this.totals.firstTokens++
      this.totals.firstTokenMs += now - sequence.submittedAt
      this.totals.prefillMs += now - sequence.startedAt
    } else {
      this.totals.gaps++
      this.totals.gapMs += now - sequence.lastAt
    }
    sequence.lastAt = now
    this.totals.generatedTokens++
    const index = sequence.emitted++
    const isLast = sequence.emitted >= sequence.job.output.length
    if (isLast) {
      this.totals.finished++
      this.totals.finishedMs += now - sequence.submittedAt
      this.#running.delete(sequence)
      this.#release(sequence)
    } else this.#grow(sequence)
    sequence.job.token(index)
    if (isLast) sequence.job.done()
  }

  /** A sequence that only reads (an embedding) ends with its prompt. */
  #endSilent(sequence: Sequence): void {
    this.#running.delete(sequence)
    this.#release(sequence)
    sequence.job.done()
  }

  /** Takes the next block when the sequence needs it; without room the youngest sequence goes back to the queue. */
  #grow(sequence: Sequence): void {
    const blocks = sequence.heldHashes.length + sequence.emptyBlocks
    if (lengthOf(sequence) + 1 <= blocks * this.#options.blockTokens) return
    while (!this.cache.allocate(1)) {
      const youngest = [...this.#running].at(-1) as Sequence
      this.#running.delete(youngest)
      this.#release(youngest)
      youngest.computed = 0
      this.#waiting.unshift(youngest)
      this.totals.preemptions++
      if (youngest === sequence) return
    }
    sequence.emptyBlocks++
  }

  /** Makes the blocks that are full by now findable. */
  #publish(sequence: Sequence): void {
    const { blockTokens } = this.#options
    const { prompt, output } = sequence.job
    let count = 0
    while ((sequence.heldHashes.length + 1) * blockTokens <= sequence.computed && sequence.emptyBlocks > 0) {
      const block = sequence.heldHashes.length
      let hash = sequence.hashes[block]
      if (hash === undefined) {
        const tokens = Array.from({ length: blockTokens }, (_, i) =>
          tokenAt(prompt, output, block * blockTokens + i),
        )
        hash = blockHash(sequence.heldHashes.at(-1) ?? sequence.job.root, tokens, 0, blockTokens)
      }
      const isNew = this.cache.publish(hash)
      sequence.heldHashes.push(hash)
      sequence.emptyBlocks--
      if (isNew) count++
      else if (count > 0) {
        this.stored?.(sequence, block - count, count)
        count = 0
      }
    }
    if (count > 0) this.stored?.(sequence, sequence.heldHashes.length - count, count)
  }

  #release(sequence: Sequence): void {
    this.cache.release(sequence.heldHashes, sequence.emptyBlocks)
    sequence.heldHashes.length = 0
    sequence.emptyBlocks = 0
  }
}

/** Tokens that have to be in the cache for the next output token: the prompt and all output so far. */
function lengthOf(sequence: Sequence): number {
  return sequence.job.prompt.length + sequence.emitted
}

/** The token at a place of a sequence's prompt and output together. */
export function tokenAt(prompt: Uint32Array, output: Uint32Array, index: number): number {
  return (index < prompt.length ? prompt[index] : output[index - prompt.length]) as number
}
