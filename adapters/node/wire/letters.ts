// Which characters the parts of a message head may have. A table, for regular expressions cost more than short texts are long.

/** Of names of headers: tokens (RFC 9110 §5.6.2). */
export const NAME = 1
/** Of values of headers, as latin1: no control but the tab. */
export const VALUE = 2
/** Of request targets. */
export const TARGET = 4
/** Of methods: tokens, too. */
export const METHOD = 8
/** Any byte at all. */
export const ANY = 16

/** For each character what it may stand in; what is no byte may in nothing. */
export const KINDS: Uint8Array = new Uint8Array(256).fill(ANY)
for (let code = 0; code < 256; code++) {
  const char = String.fromCharCode(code)
  if (/[!#$%&'*+\-.^_`|~0-9A-Za-z]/.test(char)) KINDS[code]! |= NAME | METHOD
  if (/[\t\x20-\x7e\x80-\xff]/.test(char)) KINDS[code]! |= VALUE
  if (/[\x21-\x7e\x80-\xff]/.test(char)) KINDS[code]! |= TARGET
}

/** Whether all characters of a text are of one of these kinds; true for an empty one. */
export function isMadeOf(text: string, kind: number): boolean {
  for (let i = 0; i < text.length; i++) if ((KINDS[text.charCodeAt(i)]! & kind) === 0) return false
  return true
}

/** Whether it can be the name of a header. */
export function isName(text: string): boolean {
  return text !== '' && isMadeOf(text, NAME)
}

/** The number that a text of nothing but digits is. */
export function numberOf(digits: string): number {
  let number = 0
  for (let i = 0; i < digits.length; i++) number = number * 10 + (digits.charCodeAt(i) - 48)
  return number
}
