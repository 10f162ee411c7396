// Reads MessagePack (github.com/msgpack/msgpack, spec.md): a package would do the same, and is a tenth of what a Worker may weigh.

/** What a message may hold at most, so that a few bytes from a stranger make no large thing. */
export interface MsgpackLimits {
  /** Bytes of a text or of binary data. */
  readonly bytes: number
  /** Items of a list. */
  readonly items: number
  /** Keys of a map. */
  readonly keys: number
}

/** Lists in lists in lists: no engine nests deeper. */
const MAX_DEPTH = 32
/** Shorter texts are read here: calling the decoder costs more. */
const SHORT = 32
const utf8 = new TextDecoder()

/**
 * One whole value. Integers of 64 bits come as bigint, all others as number; binary data as a view of `bytes`; extension types
 * as null. Throws a `RangeError` for what is cut off, too much, or no MessagePack.
 */
export function decodeMsgpack(bytes: Uint8Array, limits: MsgpackLimits): unknown {
  const reader = new Reader(bytes, limits)
  const value = reader.value(0)
  if (reader.at < bytes.length) throw new RangeError(`${bytes.length - reader.at} bytes are left over`)
  return value
}

class Reader {
  at = 0
  readonly #bytes: Uint8Array
  readonly #view: DataView
  readonly #limits: MsgpackLimits

  constructor(bytes: Uint8Array, limits: MsgpackLimits) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#limits = limits
  }

  value(depth: number): unknown {
    const head = this.#bytes[this.#take(1)]!
    if (head < 0x80) return head
    if (head >= 0xe0) return head - 0x100
    if (head < 0x90) return this.#map(head & 0x0f, depth)
    if (head < 0xa0) return this.#list(head & 0x0f, depth)
    if (head < 0xc0) return this.#text(head & 0x1f)
    return head < 0xca || head >= 0xd4 ? this.#sized(head, depth) : this.#number(head)
  }

  /** Where so many bytes begin; they count as read. */
  #take(count: number): number {
    const from = this.at
    if (from + count > this.#bytes.length) throw new RangeError('the message is cut off')
    this.at = from + count
    return from
  }

  /** A length of 1, 2 or 4 bytes. */
  #length(width: number): number {
    const from = this.#take(width)
    if (width === 1) return this.#view.getUint8(from)
    return width === 2 ? this.#view.getUint16(from) : this.#view.getUint32(from)
  }

  #number(head: number): number | bigint {
    const view = this.#view
    if (head === 0xca) return view.getFloat32(this.#take(4))
    if (head === 0xcb) return view.getFloat64(this.#take(8))
    if (head === 0xcc) return view.getUint8(this.#take(1))
    if (head === 0xcd) return view.getUint16(this.#take(2))
    if (head === 0xce) return view.getUint32(this.#take(4))
    if (head === 0xcf) return view.getBigUint64(this.#take(8))
    if (head === 0xd0) return view.getInt8(this.#take(1))
    if (head === 0xd1) return view.getInt16(this.#take(2))
    return head === 0xd2 ? view.getInt32(this.#take(4)) : view.getBigInt64(this.#take(8))
  }

  #sized(head: number, depth: number): unknown {
    if (head === 0xc0) return null
    if (head === 0xc2 || head === 0xc3) return head === 0xc3
    if (head >= 0xc4 && head <= 0xc6) return this.#binary(this.#length(1 << (head - 0xc4)))
    if (head >= 0xc7 && head <= 0xc9) return this.#extension(this.#length(1 << (head - 0xc7)))
    if (head >= 0xd4 && head <= 0xd8) return this.#extension(1 << (head - 0xd4))
    if (head >= 0xd9 && head <= 0xdb) return this.#text(this.#length(1 << (head - 0xd9)))
    if (head === 0xdc || head === 0xdd) return this.#list(this.#length(head === 0xdc ? 2 : 4), depth)
    if (head === 0xde || head === 0xdf) return this.#map(this.#length(head === 0xde ? 2 : 4), depth)
    throw new RangeError(`no value begins with byte ${head}`)
  }

  #binary(count: number): Uint8Array {
    this.#bound(count, this.#limits.bytes)
    const from = this.#take(count)
    return this.#bytes.subarray(from, from + count)
  }

  /** A type and so many bytes. */
  #extension(count: number): null {
    this.#take(1)
    this.#binary(count)
    return null
  }

  #text(count: number): string {
    const part = this.#binary(count)
    if (count > SHORT) return utf8.decode(part)
    let all = 0
    for (let at = 0; at < count; at++) all |= part[at]!
    return all < 0x80 ? String.fromCharCode.apply(null, part as unknown as number[]) : utf8.decode(part)
  }

  #list(count: number, depth: number): unknown[] {
    this.#bound(count, this.#limits.items)
    this.#descend(count, depth)
    const list: unknown[] = []
    for (let at = 0; at < count; at++) list.push(this.value(depth + 1))
    return list
  }

  #map(count: number, depth: number): Record<string, unknown> {
    this.#bound(count, this.#limits.keys)
    this.#descend(count, depth)
    const map: Record<string, unknown> = {}
    for (let at = 0; at < count; at++) {
      const key = this.value(depth + 1)
      if ((typeof key !== 'string' && typeof key !== 'number') || key === '__proto__')
        throw new RangeError('a key is no plain text')
      map[key] = this.value(depth + 1)
    }
    return map
  }

  #bound(count: number, most: number): void {
    if (count > most) throw new RangeError(`${count} is more than ${most}`)
  }

  /** Each item takes a byte at least. */
  #descend(count: number, depth: number): void {
    if (depth >= MAX_DEPTH) throw new RangeError(`nested deeper than ${MAX_DEPTH}`)
    if (count > this.#bytes.length - this.at) throw new RangeError('the message is cut off')
  }
}
