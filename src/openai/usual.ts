// Knows the usual events of a stream by their bytes, as vLLM, SGLang and LMDeploy send them: those are neither decoded nor parsed.
import type { Usage } from '../actors/ask.ts'
import { codes, startsWith } from './bytes.ts'
import { findLow } from './lines.ts'
import { CountReader } from './usage-bytes.ts'

const DATA = codes('data:')
const DONE = codes('data: [DONE]\n\n')
const OBJECT = codes('data: {')
const CHOICES = codes('"choices":[')
const USAGE = codes('],"usage":{')
const CLOSING = codes('}\n\n')
const INDEX = codes('{"index":0,')
const TEXT = codes('"text":"')
const DELTA = codes('"delta":{')
const CONTENT = codes('"content":"')
const ROLES = ['"role":"assistant",', '"role":null,'].map(codes)
/** Nulls may stand between them. */
const ROLE_ALONE = ['{"index":0,"delta":{"role":"assistant","content":""', '}', '}]', '}\n\n'].map(codes)
const NULL = codes('":null')
const BLANK = 0x20
const QUOTE = 0x22
const COMMA = 0x2c
const COLON = 0x3a
const LETTER_E = 0x65
const OPEN_ARRAY = 0x5b
const OPEN_OBJECT = 0x7b
const reader = new CountReader()

/** Whether an event is `data: [DONE]` and nothing else. */
export function isDone(bytes: Uint8Array, start: number, end: number): boolean {
  return end - start === DONE.length && startsWith(bytes, start, DONE)
}

/** Behind the `[{` of the event's first array, when its data is an object or a text whose first array holds objects; else -1. */
export function behindFirstObject(bytes: Uint8Array, start: number, end: number): number {
  if (!startsWith(bytes, start, DATA)) return -1
  let at = start + DATA.length
  if (bytes[at] === BLANK) at++
  if (bytes[at] === OPEN_ARRAY) return -1
  for (; at < end; at++) {
    if (bytes[at] !== OPEN_ARRAY) continue
    const before = bytes[at - 1]
    if (before === COLON || before === BLANK) return bytes[at + 1] === OPEN_OBJECT ? at + 2 : -1
  }
  return -1
}

/** Whether the event's data is neither an array (`[DONE]`) nor an object that begins as errors do, with `{"e`. */
export function isNoError(bytes: Uint8Array, start: number): boolean {
  if (!startsWith(bytes, start, DATA)) return false
  const at = bytes[start + DATA.length] === BLANK ? start + DATA.length + 1 : start + DATA.length
  return bytes[at] !== OPEN_ARRAY && (bytes[at] !== OPEN_OBJECT || bytes[at + 2] !== LETTER_E)
}

/** Whether the event is one line whose first choice opens with text that is not empty. False: it may have some all the same. */
export function opensWithText(bytes: Uint8Array, start: number, end: number, isChat: boolean): boolean {
  let at = behindChoices(bytes, start, end)
  if (at < 0 || !startsWith(bytes, at, INDEX) || findLow(bytes, at) !== end - 2) return false
  at += INDEX.length
  if (!isChat) return startsWith(bytes, at, TEXT) && bytes[at + TEXT.length] !== QUOTE
  if (!startsWith(bytes, at, DELTA)) return false
  at += DELTA.length
  for (const role of ROLES) if (startsWith(bytes, at, role)) at += role.length
  return startsWith(bytes, at, CONTENT) && bytes[at + CONTENT.length] !== QUOTE
}

/**
 * Whether the event is the one that engines open a chat with: its only choice has a role, no text, and nothing but nulls beside them. It
 * carries no token and tells nothing else; to parse it had 5 % of a burst of 64 events.
 */
export function opensWithRole(bytes: Uint8Array, start: number, end: number): boolean {
  let at = behindChoices(bytes, start, end)
  for (const part of ROLE_ALONE) {
    if (!startsWith(bytes, at, part)) return false
    at = behindNulls(bytes, at + part.length)
  }
  return at === end
}

/** Behind members that are null, each of which a comma leads. */
function behindNulls(bytes: Uint8Array, from: number): number {
  let at = from
  while (bytes[at] === COMMA && bytes[at + 1] === QUOTE) {
    let behind = at + 2
    // Small letters and the low line; nothing that could be escaped.
    while (bytes[behind]! > 0x5c) behind++
    if (!startsWith(bytes, behind, NULL)) break
    at = behind + NULL.length
  }
  return at
}

/** Token counts of an event that has no choices, then `usage`, and nothing else. Null: it may tell them all the same. */
export function usageOfEvent(bytes: Uint8Array, start: number, end: number): Usage | null {
  const at = behindChoices(bytes, start, end)
  if (at < 0 || !startsWith(bytes, at, USAGE)) return null
  const counts = reader.read(bytes, at + USAGE.length - 1)
  return reader.at + CLOSING.length === end && startsWith(bytes, reader.at, CLOSING) ? counts : null
}

/** Behind the bracket of `choices`, when only members without brackets and braces stand before it; else -1. */
function behindChoices(bytes: Uint8Array, start: number, end: number): number {
  if (!startsWith(bytes, start, OBJECT)) return -1
  for (let at = start + OBJECT.length; at < end; at++) {
    if (bytes[at] === OPEN_OBJECT) return -1
    if (bytes[at] === OPEN_ARRAY) return startsWith(bytes, at + 1 - CHOICES.length, CHOICES) ? at + 1 : -1
  }
  return -1
}
