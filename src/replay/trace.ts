// A trace: who asked when, with what lengths and which blocks in common; no text.

/** A prompt as the router knows it: chained hashes of its blocks, and its length in canonical bytes. */
export interface Prompt {
  readonly path: Float64Array
  readonly bytes: number
}

/** One request of a trace. */
export interface TraceRequest {
  /** Seconds since the trace began, as the file has it. */
  readonly at: number
  /** Prompt tokens, at least 2. */
  readonly input: number
  /** Tokens of the answer, at least 1. */
  readonly output: number
  /** One number for each 512 tokens of the prompt; equal numbers mean equal prompts up to the block's end. */
  readonly blocks: Int32Array
  /** Whose request it is; null: unknown. */
  readonly session: string | null
  /** What the router made of it, in a trace of its own; null: that is made from `blocks`. */
  readonly prompt: Prompt | null
}

export interface Trace {
  readonly format: string
  readonly requests: readonly TraceRequest[]
  /** Lines left out because they tell of no served request. */
  readonly skipped: number
}

/** A trace that can't be read, with the file and the line. */
export class TraceError extends Error {
  constructor(file: string, line: number, problem: string) {
    super(`${file}:${line}: ${problem}`)
    this.name = 'TraceError'
  }
}

/** Reads the lines of one format. `read` throws an `Error` with a sentence on the line's problem. */
export interface TraceReader {
  readonly format: string
  /** Takes one line, without its line break. */
  read(line: string): void
  /** After the last line. */
  end(): Trace
}

/** Numbers blocks from 0 on by whatever names them. */
export class Numbering<K> {
  readonly #numbers = new Map<K, number>()
  #next = 0

  of(key: K): number {
    let number = this.#numbers.get(key)
    if (number === undefined) this.#numbers.set(key, (number = this.#next++))
    return number
  }

  /** A number that no key has. */
  fresh(): number {
    return this.#next++
  }
}

/** A whole number of at least `least`, or an error that names the field. */
export function wholeNumber(value: unknown, name: string, least: number): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= least && value <= 1e9) return value
  throw new Error(`${name} must be a whole number of at least ${least}, not ${shown(value)}`)
}

/** A time or duration, or an error that names the field. */
export function finite(value: unknown, name: string): number {
  if (typeof value === 'number' && Number.isFinite(value)) return value
  throw new Error(`${name} must be a number, not ${shown(value)}`)
}

/** How a wrong value is shown in an error. */
export function shown(value: unknown): string {
  const text = value === undefined ? 'missing' : JSON.stringify(value)
  return text.length > 40 ? `${text.slice(0, 37)}...` : text
}
