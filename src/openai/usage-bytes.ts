// Reads token counts off the bytes of a `usage` object that is written as engines do: numbers, and numbers one level below.
import type { Usage } from '../actors/ask.ts'
import { codes, startsWith } from './bytes.ts'

const PROMPT = codes('prompt_tokens')
const COMPLETION = codes('completion_tokens')
const DETAILS = codes('prompt_tokens_details')
const CACHED = codes('cached_tokens')
/** How the names begin that other APIs have for counts. */
const INPUT = codes('input')
const OUTPUT = codes('output')
const CACHE = codes('cache')
const NULL = codes('null')
/** Digits that a number holds exactly. */
const MOST_DIGITS = 15
const EMPTY: Uint8Array = new Uint8Array(0)
const QUOTE = 0x22
const BACKSLASH = 0x5c
const COMMA = 0x2c
const COLON = 0x3a
const OPEN = 0x7b
const CLOSE = 0x7d
const ZERO = 0x30
const NINE = 0x39

/** To be used again: to parse these objects took 2.5 % of the CPU of a small call. */
export class CountReader {
  /** Behind the object that was read. */
  at = 0
  #bytes = EMPTY
  #prompt: number | null = null
  #completion: number | null = null
  #cached: number | null = null

  /** The counts of the object that opens at `start`. Null: it has none, or it is written in another way and must be parsed. */
  read(bytes: Uint8Array, start: number): Usage | null {
    this.#bytes = bytes
    this.at = start
    this.#prompt = this.#completion = this.#cached = null
    const isUsual = this.#object(false)
    const prompt = this.#prompt as number | null
    const completion = this.#completion as number | null
    this.#bytes = EMPTY
    if (!isUsual || (prompt === null && completion === null)) return null
    return {
      promptTokens: prompt ?? 0,
      cachedTokens: this.#cached,
      completionTokens: completion ?? 0,
      estimated: false,
    }
  }

  /** Reads from the opening brace to behind the closing one; false where anything is unusual. */
  #object(isInner: boolean): boolean {
    this.at++
    while (this.#byte() === QUOTE) {
      const key = this.at + 1
      const size = this.#skipKey(key)
      if (size < 0 || this.#byte() !== COLON) return false
      this.at++
      if (!(isInner ? this.#detail(key, size) : this.#member(key, size))) return false
      const behind = this.#byte()
      this.at++
      if (behind !== COMMA) return behind === CLOSE
    }
    return false
  }

  /** The next byte that is no blank. */
  #byte(): number | undefined {
    const bytes = this.#bytes
    let { at } = this
    while (bytes[at]! <= 0x20 && isBlank(bytes[at]!)) at++
    this.at = at
    return bytes[at]
  }

  /** The key's length, or -1 where it would have to be decoded. */
  #skipKey(start: number): number {
    const bytes = this.#bytes
    let at = start
    for (; bytes[at] !== QUOTE; at++) {
      const byte = bytes[at]!
      // Behind the end it is not a number.
      if (!(byte >= 0x20 && byte < 0x80) || byte === BACKSLASH) return -1
    }
    this.at = at + 1
    return at - start
  }

  #member(key: number, size: number): boolean {
    const isDetails = this.#isKey(key, size, DETAILS)
    const isPrompt = this.#isKey(key, size, PROMPT)
    const isCompletion = this.#isKey(key, size, COMPLETION)
    if (this.#byte() === OPEN) {
      const before = this.#cached
      this.#cached = null
      const isUsual = this.#object(true)
      if (!isDetails) this.#cached = before
      return isUsual && !isPrompt && !isCompletion && !this.#isOther(key)
    }
    const count = this.#number()
    if (isPrompt) this.#prompt = count ?? null
    else if (isCompletion) this.#completion = count ?? null
    else if (isDetails) this.#cached = null
    else if (this.#isOther(key)) return false
    return count !== undefined
  }

  #detail(key: number, size: number): boolean {
    this.#byte()
    const count = this.#number()
    if (this.#isKey(key, size, CACHED)) this.#cached = count ?? null
    return count !== undefined
  }

  #isKey(key: number, size: number, name: readonly number[]): boolean {
    return size === name.length && startsWith(this.#bytes, key, name)
  }

  #isOther(key: number): boolean {
    const bytes = this.#bytes
    return startsWith(bytes, key, INPUT) || startsWith(bytes, key, OUTPUT) || startsWith(bytes, key, CACHE)
  }

  /** A whole number without a sign, or null; undefined: something else. */
  #number(): number | null | undefined {
    const bytes = this.#bytes
    const start = this.at
    let at = start
    let count = 0
    for (; bytes[at]! >= ZERO && bytes[at]! <= NINE; at++) count = count * 10 + bytes[at]! - ZERO
    this.at = at
    const digits = at - start
    if (digits > 0)
      return digits <= MOST_DIGITS && (digits === 1 || bytes[start] !== ZERO) ? count : undefined
    if (!startsWith(bytes, start, NULL)) return undefined
    this.at += NULL.length
    return null
  }
}

const isBlank = (byte: number): boolean => byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09
