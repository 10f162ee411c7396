// Python's `hash` of numbers and tuples (CPython's longhash and tuplehash, after xxHash), bit for bit. Texts are hashed by a secret there.

const MASK = 0xffff_ffff_ffff_ffffn
const PRIME_1 = 11400714785074694791n
const PRIME_2 = 14029467366897019727n
const PRIME_5 = 2870177450012600261n
/** 2^61 - 1. */
const MODULUS = 0x1fff_ffff_ffff_ffffn
/** `hash(None)`, since Python 3.12; before it was an address. */
export const NONE = 0xfca86420n

/** `hash` of a whole number. */
export function hashInteger(value: bigint): bigint {
  const size = (value < 0n ? -value : value) % MODULUS
  const hash = value < 0n ? -size : size
  return hash === -1n ? -2n : hash
}

/** `hash` of a tuple whose items have these hashes. */
export function hashTuple(hashes: readonly bigint[]): bigint {
  let sum = PRIME_5
  for (const hash of hashes) {
    sum = (sum + (hash & MASK) * PRIME_2) & MASK
    sum = ((sum << 31n) | (sum >> 33n)) & MASK
    sum = (sum * PRIME_1) & MASK
  }
  sum = (sum + (BigInt(hashes.length) ^ PRIME_5 ^ 3527539n)) & MASK
  return sum === MASK ? 1546275796n : BigInt.asIntN(64, sum)
}
