// What a controller answers LMCache's workers, as MessagePack.

type Value = string | number | readonly Value[] | { readonly [key: string]: Value }

const encoder = new TextEncoder()

/** A value as MessagePack: texts below 64 KiB, whole numbers of 32 bits without a sign, lists and maps of few entries. */
export function encodeReply(value: Value): Uint8Array {
  const bytes: number[] = []
  write(value, bytes)
  return Uint8Array.from(bytes)
}

function write(value: Value, bytes: number[]): void {
  if (typeof value === 'string') writeText(value, bytes)
  else if (typeof value === 'number') bytes.push(0xce, ...wide(value, 4))
  else if (Array.isArray(value)) {
    bytes.push(0xdc, ...wide(value.length, 2))
    for (const one of value as readonly Value[]) write(one, bytes)
  } else {
    const entries = Object.entries(value)
    bytes.push(0xde, ...wide(entries.length, 2))
    for (const [key, one] of entries) {
      writeText(key, bytes)
      write(one as Value, bytes)
    }
  }
}

function writeText(text: string, bytes: number[]): void {
  const encoded = encoder.encode(text)
  bytes.push(0xda, ...wide(encoded.length, 2), ...encoded)
}

/** Big-endian. */
const wide = (value: number, width: number): number[] =>
  Array.from({ length: width }, (_, i) => (value >>> (8 * (width - 1 - i))) & 0xff)
