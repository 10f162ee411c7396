// One sequence in the scheduler, and the totals that all of them add up to.

/** What a sequence is made of, and who hears of it. */
export interface Job {
  readonly prompt: Uint32Array
  readonly output: Uint32Array
  /** Keeps the cached blocks of adapters and salts apart. */
  readonly root: number
  /** Tokens of the prompt whose KV comes from another engine: nothing to compute for them. */
  readonly transferred: number
  /** What its call is named in KV events; null: not at all. */
  readonly session?: string | null
  /** Whether the reader wants a token now; asked only when speed is 0. */
  wants(): boolean
  /** The output token at `index` is there. */
  token(index: number): void
  done(): void
}

export interface Sequence {
  readonly job: Job
  /** Prompt tokens found in the cache at admission. */
  cached: number
  computed: number
  emitted: number
  readonly hashes: Float64Array
  readonly heldHashes: number[]
  emptyBlocks: number
  readonly submittedAt: number
  startedAt: number
  firstAt: number
  lastAt: number
}

/** Totals since the start, as the metrics endpoint tells them. Times in ms. */
export interface Totals {
  promptTokens: number
  cachedTokens: number
  generatedTokens: number
  preemptions: number
  queueMs: number
  prefillMs: number
  firstTokens: number
  firstTokenMs: number
  gaps: number
  gapMs: number
  finished: number
  finishedMs: number
}

/** Nothing counted yet. */
export function emptyTotals(): Totals {
  return {
    promptTokens: 0,
    cachedTokens: 0,
    generatedTokens: 0,
    preemptions: 0,
    queueMs: 0,
    prefillMs: 0,
    firstTokens: 0,
    firstTokenMs: 0,
    gaps: 0,
    gapMs: 0,
    finished: 0,
    finishedMs: 0,
  }
}
