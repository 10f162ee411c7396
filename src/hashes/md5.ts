// MD5 (RFC 1321), for rings that must place keys where other routers place them; nothing here is secret.

const SHIFTS = [7, 12, 17, 22, 5, 9, 14, 20, 4, 11, 16, 23, 6, 10, 15, 21]
const SINES = Int32Array.from({ length: 64 }, (_, i) => Math.floor(Math.abs(Math.sin(i + 1)) * 2 ** 32) | 0)
const encoder = new TextEncoder()

/** The digest's four 32-bit words of a text's UTF-8 bytes, as they stand in memory (each little-endian). */
export function md5(text: string): Int32Array {
  const bytes = encoder.encode(text)
  const padded = new Uint8Array(((bytes.length + 72) >> 6) << 6)
  padded.set(bytes)
  padded[bytes.length] = 0x80
  const view = new DataView(padded.buffer)
  view.setUint32(padded.length - 8, bytes.length << 3, true)
  view.setUint32(padded.length - 4, bytes.length / 2 ** 29, true)
  const state = Int32Array.of(0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476)
  for (let at = 0; at < padded.length; at += 64) mix(state, view, at)
  return state
}

/** The digest read as one big-endian number, as Python's `int(hexdigest, 16)` does: its first 52 bits, which tell any two apart. */
export function md5Point(text: string): number {
  const words = md5(text)
  return swap(words[0]!) * 2 ** 20 + (swap(words[1]!) >>> 12)
}

function mix(state: Int32Array, view: DataView, at: number): void {
  let [a, b, c, d] = state as unknown as [number, number, number, number]
  for (let i = 0; i < 64; i++) {
    const round = i >> 4
    const f =
      round === 0
        ? (b & c) | (~b & d)
        : round === 1
          ? (d & b) | (~d & c)
          : round === 2
            ? b ^ c ^ d
            : c ^ (b | ~d)
    const word = round === 0 ? i : round === 1 ? 5 * i + 1 : round === 2 ? 3 * i + 5 : 7 * i
    const sum = (a + f + SINES[i]! + view.getInt32(at + ((word & 15) << 2), true)) | 0
    const shift = SHIFTS[(round << 2) | (i & 3)]!
    a = d
    d = c
    c = b
    b = (b + ((sum << shift) | (sum >>> (32 - shift)))) | 0
  }
  state[0]! += a
  state[1]! += b
  state[2]! += c
  state[3]! += d
}

function swap(word: number): number {
  return ((word << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24)) >>> 0
}
