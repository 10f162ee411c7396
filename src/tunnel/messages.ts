// WebSocket messages as bytes of a body: how they are cut from it again.
import { TunnelProtocolError } from './frames.ts'

/** kind (1 byte) and length of the payload (4, big-endian); a close holds its code (2) and reason. */
const HEADER = 5
export const TEXT = 1
export const BINARY = 2
export const CLOSE = 8
/** No message may be larger, bytes. */
const MAX_MESSAGE = 64 * 1_048_576

interface CutMessage {
  readonly kind: number
  readonly payload: Uint8Array<ArrayBuffer>
}

/** The bytes of a message. */
export function encodeMessage(kind: number, payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(HEADER + payload.byteLength)
  bytes[0] = kind
  new DataView(bytes.buffer).setUint32(1, payload.byteLength)
  bytes.set(payload, HEADER)
  return bytes
}

/** Cuts a body into messages. */
export class MessageReader {
  readonly #head = new Uint8Array(HEADER)
  #headSize = 0
  #payload: Uint8Array<ArrayBuffer> | null = null
  #size = 0

  /** The messages that are whole now. Throws `TunnelProtocolError` for what is none. */
  read(bytes: Uint8Array): CutMessage[] {
    const messages: CutMessage[] = []
    for (let at = 0; at < bytes.byteLength;) {
      if (!this.#payload) {
        const part = bytes.subarray(at, at + HEADER - this.#headSize)
        this.#head.set(part, this.#headSize)
        this.#headSize += part.byteLength
        at += part.byteLength
        if (this.#headSize < HEADER) return messages
        this.#payload = this.#room()
      }
      const part = bytes.subarray(at, at + this.#payload.byteLength - this.#size)
      this.#payload.set(part, this.#size)
      this.#size += part.byteLength
      at += part.byteLength
      if (this.#size < this.#payload.byteLength) return messages
      messages.push({ kind: this.#head[0] as number, payload: this.#payload })
      this.#payload = null
      this.#headSize = this.#size = 0
    }
    return messages
  }

  #room(): Uint8Array<ArrayBuffer> {
    const size = new DataView(this.#head.buffer).getUint32(1)
    const [kind] = this.#head
    if (size > MAX_MESSAGE || (kind !== TEXT && kind !== BINARY && kind !== CLOSE))
      throw new TunnelProtocolError(`a message of kind ${kind} and ${size} bytes`)
    return new Uint8Array(size)
  }
}
