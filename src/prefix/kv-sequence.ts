// The numbers that engines give to their batches: what is missing between two of them, and when they begin anew.

/** What a number means: the expected one; some before it are missing; one that was seen; the engine counts from anew. */
export type Step = 'next' | 'gap' | 'old' | 'restart'

export class Sequence {
  /** The last that was taken; −1: none. */
  last = -1

  /** Whether anything was taken yet. */
  get hasBegun(): boolean {
    return this.last >= 0
  }

  /** `isAgain`: it may have been sent before (a replay goes on beside the stream). */
  judge(seq: number, isAgain = false): Step {
    if (seq === this.last + 1) return 'next'
    if (seq > this.last) return 'gap'
    return isAgain || seq === this.last ? 'old' : 'restart'
  }
}

/** The eight bytes of a number, most significant first; −1 is the end of a replay. Null: no such thing. */
export function readSequence(bytes: Uint8Array | undefined): number | null {
  if (bytes?.length !== 8) return null
  const view = new DataView(bytes.buffer, bytes.byteOffset, 8)
  if (view.getBigInt64(0) === -1n) return -1
  const number = view.getUint32(0) * 0x100000000 + view.getUint32(4)
  return Number.isSafeInteger(number) ? number : null
}

/** The inverse of `readSequence`. */
export function sequenceBytes(seq: number): Uint8Array {
  const bytes = new Uint8Array(8)
  new DataView(bytes.buffer).setBigInt64(0, BigInt(seq))
  return bytes
}
