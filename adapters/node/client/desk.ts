// Where the heads of responses are written, and what goes out with them behind, by all lanes of a thread: so it is one plain write.
import { ANY } from '../wire/letters.ts'
import { put } from '../wire/page.ts'
import type { SocketWriter } from '../writer.ts'
import type { Head } from './exchange.ts'
import { newPage, writeHead, type Asked, type DateLine, type Written } from './head.ts'

/** Bytes; there is more where a head needs it. */
const ROOM = 32_768

export class Desk {
  readonly #page = newPage(ROOM)
  /** Whose head lies here, and its size. */
  #owner: Asked | null = null
  #size = 0
  /** Heads that had to make room for another before they were sent: of bodies that let wait for themselves. */
  readonly #away = new WeakMap<Asked, Uint8Array>()

  /** Writes a head, which is kept until it is sent. Throws as `writeHead` does. */
  write(owner: Asked, head: Head, date: DateLine): Written {
    this.#clear()
    let written = writeHead(this.#page, head, owner, date)
    if (written.size > this.#page.bytes.length) {
      this.#page.renew(written.size * 2)
      written = writeHead(this.#page, head, owner, date)
    }
    this.#owner = owner
    this.#size = written.size
    return written
  }

  /** Puts the head of that one here: it is sent next. */
  fetch(owner: Asked): void {
    const head = this.#owner === owner ? null : this.#away.get(owner)
    if (head) {
      this.#clear()
      this.#page.forget()
      this.#size = head.byteLength
      this.#fit(0)
      this.#page.bytes.set(head)
    }
    this.#owner = null
  }

  /** A copy of a head with a latin1 text behind it, in place of `send`. */
  copy(owner: Asked, tail: string): Uint8Array {
    this.fetch(owner)
    return Buffer.concat([this.#page.bytes.subarray(0, this.#size), Buffer.from(tail, 'latin1')])
  }

  /** Sends the head that was fetched with a piece behind it, between latin1 texts; returns what `write` says of room. */
  send(writer: SocketWriter, piece: Uint8Array | null, lead: string, tail: string): boolean {
    const size = piece === null ? 0 : piece.byteLength
    this.#fit(lead.length + size + tail.length)
    const { bytes } = this.#page
    let at = put(bytes, this.#size, lead, ANY)
    if (piece !== null) bytes.set(piece, at)
    at = put(bytes, at + size, tail, ANY)
    return this.#sent(writer, at)
  }

  #sent(writer: SocketWriter, size: number): boolean {
    const { bytes } = this.#page
    // A socket that is behind, or encrypts, keeps what it gets.
    if (!writer.isPlain || !writer.isEmpty) return writer.bytes(Buffer.from(bytes.subarray(0, size)))
    // A plain view costs half of what a Buffer does.
    const hasRoom = writer.bytes(new Uint8Array(this.#page.memory, 0, size))
    // The kernel did not take all of it: now it is the socket's.
    if (!writer.isEmpty) this.#page.renew()
    return hasRoom
  }

  #clear(): void {
    const owner = this.#owner
    this.#owner = null
    if (owner !== null) this.#away.set(owner, Buffer.from(this.#page.bytes.subarray(0, this.#size)))
  }

  /** Makes sure that so many bytes fit behind the head. */
  #fit(more: number): void {
    const { bytes } = this.#page
    const size = this.#size + more
    if (size <= bytes.length) return
    this.#page.renew(size * 2)
    this.#page.bytes.set(bytes.subarray(0, this.#size))
  }
}

/** That of this thread. */
export const desk: Desk = new Desk()
