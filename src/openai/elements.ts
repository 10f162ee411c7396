// The elements of a JSON array, as they lie in the bytes.
import { skipBlank, skipValue, BodyError } from './skip.ts'
import type { Span } from './scan.ts'
import { textOf } from './words.ts'

const COMMA = 0x2c
const CLOSE_ARRAY = 0x5d

/** Where each element of the array in `span` lies; its values are found, not checked. Throws `BodyError` when it is no array. */
export function elementsOf(bytes: Uint8Array, span: Span): Span[] {
  const text = textOf(bytes, span.end)
  const elements: Span[] = []
  let at = skipBlank(text, span.start + 1)
  if (bytes[at] === CLOSE_ARRAY) return elements
  for (;;) {
    const end = skipValue(text, at)
    elements.push({ start: at, end })
    at = skipBlank(text, end)
    if (bytes[at] === CLOSE_ARRAY) return elements
    if (at >= span.end || bytes[at] !== COMMA) throw new BodyError("expected ',' or ']'", at)
    at = skipBlank(text, at + 1)
  }
}
