// Walks lists of messages, tools and content parts: leaves out cache marks and sets media apart.
import { kernelFor } from '../kernel/kernel.ts'
import { codes, startsWith } from '../openai/bytes.ts'
import { textOf, type ByteText } from '../openai/words.ts'
import { addMedia, addText, type Draft } from './draft.ts'
import { MAX_BYTES } from './sizes.ts'
import { AllStrings, endOfString } from './strings.ts'

const QUOTE = 0x22
const COMMA = 0x2c
const COLON = 0x3a

/** Bytes from which on the kernel pays. */
const LONG = 512
/** Shorter texts are taken as they are, even when they are media: a URL, an icon. */
const MEDIA_MIN = 1024
/** `data:` URLs name their type first; the mark that ends it stands early. */
const DATA_HEAD_MAX = 128
const MARK = codes('"cache_control"')
const DATA = codes('data:')
const BASE64 = codes(';base64,')
/** Keys whose long texts are base64 in some API: Anthropic's sources, OpenAI's audio and files. */
const MEDIA_KEYS = ['"data"', '"file_data"', '"b64_json"'].map(codes)

/**
 * Adds the bytes of a span, which hold JSON values with commas between. Walks from string to string, and stops looking where
 * the draft is full. `isMedia`: every long text is one.
 */
export function walkParts(
  draft: Draft,
  whole: ByteText,
  { start, end }: { start: number; end: number },
  isMedia: boolean,
): void {
  const { bytes } = whole
  const text = textOf(bytes, end)
  const strings = (end - start >= LONG ? kernelFor(whole, start) : null) ?? new AllStrings(text)
  const limit = () => from + MAX_BYTES - draft.length
  let from = start
  strings.keyStart = strings.keyEnd = start
  for (let at = strings.find(start, end, limit()); at < end; at = strings.find(at, end, limit())) {
    const { close } = strings
    if (close - at === MARK.length && startsWith(bytes, at, MARK) && isKey(text, close)) {
      const cut = cutMark(text, at, close)
      addText(draft, from, Math.max(from, cut.start))
      from = cut.end
      at = cut.end
      continue
    }
    if (close - at >= MEDIA_MIN) {
      if (isMedia || isMediaText(text, at + 1, { start: strings.keyStart, end: strings.keyEnd })) {
        addText(draft, from, at + 1)
        addMedia(draft, at + 1, close - 1)
        from = close - 1
      }
    }
    if (draft.length + close - from >= MAX_BYTES) break
    strings.keyStart = at
    strings.keyEnd = close
    at = close
  }
  addText(draft, from, end)
}

/** A member with the comma before it, or with the one behind it where it is the first. */
function cutMark(text: ByteText, open: number, close: number): { start: number; end: number } {
  const { bytes } = text
  const end = endOfValue(text, skipBlanks(text, skipBlanks(text, close) + 1))
  let before = open
  while (before > 0 && bytes[before - 1]! <= 0x20) before--
  if (bytes[before - 1] === COMMA) return { start: before - 1, end }
  const after = skipBlanks(text, end)
  return { start: open, end: bytes[after] === COMMA ? skipBlanks(text, after + 1) : end }
}

/** Behind a value: brackets are counted outside of strings; a scalar ends where the next comma or bracket stands. */
function endOfValue(text: ByteText, start: number): number {
  const { bytes, end } = text
  let depth = 0
  for (let at = start; at < end;) {
    const byte = bytes[at]!
    if (byte === QUOTE) {
      at = endOfString(text, at)
      if (depth === 0) return at
      continue
    }
    const isClose = byte === 0x7d || byte === 0x5d
    if (depth === 0 && (isClose || byte === COMMA)) return at
    at++
    if (byte === 0x7b || byte === 0x5b) depth++
    else if (isClose && --depth === 0) return at
  }
  return end
}

function isMediaText(text: ByteText, start: number, before: { start: number; end: number }): boolean {
  const { bytes } = text
  if (startsWith(bytes, start, DATA)) {
    for (let at = start + DATA.length; at < start + DATA_HEAD_MAX; at++)
      if (startsWith(bytes, at, BASE64)) return true
    return false
  }
  const length = before.end - before.start
  if (!isKey(text, before.end)) return false
  return MEDIA_KEYS.some((key) => key.length === length && startsWith(bytes, before.start, key))
}

function isKey(text: ByteText, end: number): boolean {
  return text.bytes[skipBlanks(text, end)] === COLON
}

function skipBlanks(text: ByteText, at: number): number {
  while (at < text.end && text.bytes[at]! <= 0x20) at++
  return at
}
