// Small pieces of a response as text, so that they go out with their head or frame in one plain write in place of a gathered one.

/** Pieces up to this size go as text. Bytes. */
export const SMALL = 16_384

/** A piece as latin1 text, framed as a chunk where its message is chunked. */
export function pieceOf(bytes: Uint8Array, isChunked: boolean): string {
  const buffer = Buffer.isBuffer(bytes)
    ? bytes
    : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const text = buffer.toString('latin1')
  return isChunked ? `${bytes.byteLength.toString(16)}\r\n${text}\r\n` : text
}
