// Finds the strings of a text that prompts are cut at, one after the other.
import { findQuote, type ByteText } from '../openai/words.ts'

const BACKSLASH = 0x5c

export interface Strings {
  /** Behind the closing quote of the string that was found last, or the end of the text. */
  close: number
  /** The string before it: its key, when that is followed by a colon. */
  keyStart: number
  keyEnd: number
  /**
   * Where the next string at or after `at` begins that may be a cache mark (15 bytes), a medium (from 1,024 on), or that ends
   * at `limit` or behind it. Others may be given, too. `end`: there is none.
   */
  find(at: number, end: number, limit: number): number
}

/** Gives all of them. */
export class AllStrings implements Strings {
  close = 0
  keyStart = 0
  keyEnd = 0
  readonly #text: ByteText

  constructor(text: ByteText) {
    this.#text = text
  }

  find(at: number, end: number): number {
    const open = findQuote(this.#text, at)
    if (open < end) this.close = endOfString(this.#text, open)
    return open
  }
}

/** Behind the closing quote of the string whose opening one is at `open`, or the end. */
export function endOfString(text: ByteText, open: number): number {
  const { bytes, end } = text
  for (let at = open + 1; ;) {
    const quote = findQuote(text, at)
    if (quote >= end) return end
    let slash = quote
    while (bytes[slash - 1] === BACKSLASH) slash--
    if (((quote - slash) & 1) === 0) return quote + 1
    at = quote + 1
  }
}
