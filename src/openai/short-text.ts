// Short ASCII texts that come again and again (names of models, users, sessions), read without a decoder.

const LONGEST = 32
/** Texts that were read of late, each at the place that its length and ends name. A power of two. */
const PLACES = 64
const known: (string | undefined)[] = Array.from({ length: PLACES })
const BACKSLASH = 0x5c

/**
 * The text between two offsets; null where it is long, not ASCII, or has escapes. The same text is most often the same string: no
 * bytes are allocated for it, and maps find it faster. A decoder costs 0.4 µs a text and 200 bytes.
 */
export function shortText(bytes: Uint8Array, start: number, end: number): string | null {
  const length = end - start
  if (length === 0) return ''
  if (length > LONGEST) return null
  const place = (length * 31 + bytes[start]! * 7 + bytes[end - 1]!) & (PLACES - 1)
  const before = known[place]
  if (before !== undefined && isText(bytes, start, before, length)) return before
  for (let at = start; at < end; at++) if (bytes[at]! >= 0x80 || bytes[at] === BACKSLASH) return null
  const text = nameOf(String.fromCharCode(...bytes.subarray(start, end)))
  known[place] = text
  return text
}

/** The same text as the engine keeps names of members: to look it up in objects and maps is to compare addresses then. */
function nameOf(text: string): string {
  return Object.keys({ [text]: 0 })[0]!
}

function isText(bytes: Uint8Array, start: number, text: string, length: number): boolean {
  if (text.length !== length) return false
  for (let at = 0; at < length; at++) if (bytes[start + at] !== text.charCodeAt(at)) return false
  return true
}
