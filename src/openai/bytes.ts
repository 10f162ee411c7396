// Small things done with arrays of bytes.

/** One array of all the bytes; the part itself when there is only one that is not empty. */
export function join(parts: readonly Uint8Array[]): Uint8Array {
  const full = parts.filter((part) => part.length > 0)
  if (full.length === 1) return full[0]!
  const whole = new Uint8Array(full.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of full) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}

/** Small parts are put together up to this size: an engine that sends byte by byte must not make as many parts. */
const SMALL = 4096

/** Adds a part behind the others; the last one grows while both are small. */
export function append(parts: Uint8Array[], part: Uint8Array): void {
  const last = parts.at(-1)
  if (last !== undefined && last.length + part.length <= SMALL) parts[parts.length - 1] = join([last, part])
  else parts.push(part)
}

/** The bytes but those from `start` to `end`, for which the ones behind them move up. */
export function without(bytes: Uint8Array, start: number, end: number): Uint8Array {
  bytes.copyWithin(start, end)
  return bytes.subarray(0, bytes.length - (end - start))
}

/** The bytes of a text without characters above 0xff. */
export const codes = (text: string): number[] => Array.from(text, (char) => char.charCodeAt(0))

/** Whether `head` stands at `start`. */
export function startsWith(bytes: Uint8Array, start: number, head: ArrayLike<number>): boolean {
  for (let at = 0; at < head.length; at++) if (bytes[start + at] !== head[at]) return false
  return true
}
