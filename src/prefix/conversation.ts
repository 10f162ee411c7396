// What tells conversations apart that have no session: their first user message, which all their turns have in common.
import { codes } from '../openai/bytes.ts'
import type { TopLevel } from '../openai/scan.ts'
import { BodyError, skipBlank, skipString, skipValue } from '../openai/skip.ts'
import { textOf, type ByteText } from '../openai/words.ts'

/** Members that are lists of messages. */
const LISTS = ['messages', 'input'] as const
/** Bytes of the message that count. */
const MOST = 4096
const OPEN_ARRAY = 0x5b
const CLOSE_ARRAY = 0x5d
const COMMA = 0x2c
const QUOTE = 0x22
const quoted = (word: string): number[] => codes(JSON.stringify(word))
const USER = quoted('user')
const MARKS = ['cache_control', 'ephemeral', 'type', 'ttl', '5m', '1h'].map(quoted)
const LONGEST = '"cache_control"'.length

/** A number of 32 bits of the first user message of a JSON body; null where it has none, or makes no sense. */
export function conversationOf(top: TopLevel): number | null {
  try {
    for (const name of LISTS) {
      const span = top.span(name)
      if (span !== null && top.bytes[span.start] === OPEN_ARRAY) return firstUser(top.bytes, span)
    }
  } catch (error) {
    if (!(error instanceof BodyError)) throw error
  }
  return null
}

function firstUser(bytes: Uint8Array, span: { start: number; end: number }): number | null {
  const text = textOf(bytes, span.end)
  let at = skipBlank(text, span.start + 1)
  while (at < span.end && bytes[at] !== CLOSE_ARRAY) {
    const end = skipValue(text, at)
    const hash = hashOf(text, at, end)
    if (hash !== null) return hash
    at = skipBlank(text, end)
    if (bytes[at] === COMMA) at = skipBlank(text, at + 1)
  }
  return null
}

/**
 * FNV-1a (Fowler, Noll, Vo; public domain) over the texts of one message; null: it is nobody's who is called "user". Cache marks
 * do not count: clients move them from turn to turn.
 */
function hashOf(text: ByteText, start: number, end: number): number | null {
  const { bytes } = text
  let isUsers = false
  let hash = 0x811c9dc5
  let left = MOST
  let at = bytes.indexOf(QUOTE, start)
  while (at >= 0 && at < end && left > 0) {
    const close = skipString(text, at + 1)
    const isMark = close - at <= LONGEST && MARKS.some((mark) => isAt(bytes, at, mark))
    if (isAt(bytes, at, USER)) isUsers = true
    const stop = isMark ? at : Math.min(close, at + left)
    for (; at < stop; at++, left--) hash = Math.imul(hash ^ bytes[at]!, 0x01000193)
    at = bytes.indexOf(QUOTE, close)
  }
  if (!isUsers && !hasUser(text, at, end)) return null
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d)
  return (hash ^ (hash >>> 13)) >>> 0
}

/** The role may stand behind a long text. */
function hasUser(text: ByteText, start: number, end: number): boolean {
  for (let at = start; at >= 0 && at < end; at = text.bytes.indexOf(QUOTE, skipString(text, at + 1)))
    if (isAt(text.bytes, at, USER)) return true
  return false
}

const isAt = (bytes: Uint8Array, at: number, word: readonly number[]): boolean =>
  word.every((code, i) => bytes[at + i] === code)
