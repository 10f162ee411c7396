// Tells by one look at a few bits that none of several keys is in an object, as it mostly is.

/**
 * One bit of 32 for a key, by its length and first two letters. The factors give the usual keys of chats other bits than those have
 * that are looked for in each and are hardly in any.
 */
export function bitOf(length: number, first: number, second: number): number {
  return length < 2 ? 1 : 1 << (length * 14 + first * 20 + second)
}

/** The bits of several keys, to ask for all of them at once. */
export function bitsOf(keys: readonly string[]): number {
  let bits = 0
  for (const key of keys) bits |= bitOf(key.length, key.charCodeAt(0), key.charCodeAt(1))
  return bits
}
