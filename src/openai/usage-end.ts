// Finds the token counts of a whole JSON answer by its last bytes alone, without decoding the rest.
import type { Usage } from '../actors/ask.ts'
import { codes, startsWith } from './bytes.ts'
import { CountReader } from './usage-bytes.ts'
import { usageOfObject } from './usage.ts'

const KEY = codes('"usage"')
/** Engines put `usage` into this many last bytes. */
const USUAL = 1024
const QUOTE = 0x22
const BACKSLASH = 0x5c
const COLON = 0x3a
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d
const OPEN_ARRAY = 0x5b
const CLOSE_ARRAY = 0x5d
const decoder = new TextDecoder()
const reader = new CountReader()

/**
 * Token counts of a whole JSON object, for the usual case that `usage` is among its last members. Null: it may tell them elsewhere.
 */
export function usageAtEnd(body: Uint8Array): Usage | null {
  const key = lastKey(body)
  if (key < 0 || body[key - 1] === BACKSLASH) return null
  const colon = skipBlank(body, key + KEY.length)
  const start = body[colon] === COLON ? skipBlank(body, colon + 1) : -1
  if (start < 0 || body[start] !== OPEN_OBJECT) return null
  const counts = reader.read(body, start)
  const end = counts === null ? endOfObject(body, start) : reader.at
  // Closed by the whole's own brace, so that it is no part of anything else.
  if (end < 0 || !isLast(body, end)) return null
  return counts ?? usageOfObject(decoder.decode(body.subarray(start, end)))
}

function lastKey(body: Uint8Array): number {
  const first = Math.max(0, body.length - USUAL)
  for (let at = body.length - KEY.length; at >= first; at--)
    if (body[at] === QUOTE && startsWith(body, at, KEY)) return at
  return -1
}

function skipBlank(body: Uint8Array, from: number): number {
  let at = from
  while (body[at]! <= 0x20) at++
  return at
}

/** Behind the closing quote of the string that opens at `open`, or the end. */
function endOfString(body: Uint8Array, open: number): number {
  for (let at = open + 1; at < body.length; at++) {
    if (body[at] === BACKSLASH) at++
    else if (body[at] === QUOTE) return at + 1
  }
  return body.length
}

/** Behind the brace that closes the one at `start`, or -1. */
function endOfObject(body: Uint8Array, start: number): number {
  let depth = 0
  for (let at = start; at < body.length;) {
    const byte = body[at]
    if (byte === QUOTE) {
      at = endOfString(body, at)
      continue
    }
    at++
    if (byte === OPEN_OBJECT) depth++
    else if (byte === CLOSE_OBJECT && --depth === 0) return at
  }
  return -1
}

/** Whether only members without brackets follow, then the brace that closes the whole. */
function isLast(body: Uint8Array, from: number): boolean {
  for (let at = from; at < body.length;) {
    const byte = body[at]
    if (byte === CLOSE_OBJECT) return !(skipBlank(body, at + 1) < body.length)
    if (byte === OPEN_OBJECT || byte === OPEN_ARRAY || byte === CLOSE_ARRAY) return false
    at = byte === QUOTE ? endOfString(body, at) : at + 1
  }
  return false
}
