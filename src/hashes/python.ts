// Python's `hash` of numbers and tuples (CPython's longhash and tuplehash, after xxHash), bit for bit. Texts are hashed by a secret there.

/** 2^61 - 1. */
const MODULUS = 0x1fff_ffff_ffff_ffffn
/** `hash(None)`, since Python 3.12; before it was an address. */
export const NONE = 0xfca86420n
const PRIME_5 = 2870177450012600261n
const LENGTH_SEED = PRIME_5 ^ 3527539n

/** `hash` of a whole number. */
export function hashInteger(value: bigint): bigint {
  const size = (value < 0n ? -value : value) % MODULUS
  const hash = value < 0n ? -size : size
  return hash === -1n ? -2n : hash
}

/** `hash` of a tuple whose items have these hashes. */
export function hashTuple(hashes: readonly bigint[]): bigint {
  const sum = new Sum()
  for (const hash of hashes)
    sum.add(Number(BigInt.asUintN(32, hash >> 32n)), Number(BigInt.asUintN(32, hash)))
  return sum.end(hashes.length)
}

/** The same for a tuple of whole numbers from 0 to 2^53 (tokens), which are their own hashes: thirty times as fast. */
export function hashNumbers(numbers: readonly number[]): bigint {
  const sum = new Sum()
  for (const number of numbers) sum.add(Math.floor(number / 2 ** 32), number >>> 0)
  return sum.end(numbers.length)
}

/** 64 bits in two halves, for BigInts cost a microsecond a token. */
class Sum {
  #high = Number(PRIME_5 >> 32n)
  #low = Number(PRIME_5 & 0xffff_ffffn)

  /** `(sum + item · PRIME_2)`, turned left by 31, `· PRIME_1`. */
  add(high: number, low: number): void {
    this.#times(high, low, 0xc2b2ae3d, 0x27d4eb4f)
    const productHigh = this.#highOut
    const sumLow = this.#low + this.#lowOut
    const carry = sumLow > 0xffff_ffff ? 1 : 0
    const first = (this.#high + productHigh + carry) >>> 0
    const second = sumLow >>> 0
    this.#times(
      ((first << 31) | (second >>> 1)) >>> 0,
      ((second << 31) | (first >>> 1)) >>> 0,
      0x9e3779b1,
      0x85ebca87,
    )
    this.#high = this.#highOut
    this.#low = this.#lowOut
  }

  end(length: number): bigint {
    const bits = (BigInt(this.#high) << 32n) | BigInt(this.#low)
    const sum = BigInt.asUintN(64, bits + (BigInt(length) ^ LENGTH_SEED))
    return sum === 0xffff_ffff_ffff_ffffn ? 1546275796n : BigInt.asIntN(64, sum)
  }

  #highOut = 0
  #lowOut = 0

  /** The lower 64 bits of a product of two halves each. */
  #times(aHigh: number, aLow: number, bHigh: number, bLow: number): void {
    const a1 = aLow >>> 16
    const a0 = aLow & 0xffff
    const b1 = bLow >>> 16
    const b0 = bLow & 0xffff
    const least = a0 * b0
    const middle = a1 * b0 + (least >>> 16)
    const other = a0 * b1 + (middle & 0xffff)
    const carried = a1 * b1 + Math.floor(middle / 65_536) + Math.floor(other / 65_536)
    this.#lowOut = (((other & 0xffff) << 16) | (least & 0xffff)) >>> 0
    this.#highOut = (carried + Math.imul(aHigh, bLow) + Math.imul(aLow, bHigh)) >>> 0
  }
}
