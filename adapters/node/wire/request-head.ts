// Writes the heads of requests to workers straight into bytes: a text would be put together, flattened and encoded.
import { UpstreamFailure } from '../../../src/host.ts'
import type { Outgoing } from '../../../src/host.ts'
import { ANY, METHOD, TARGET } from './letters.ts'
import type { Target } from './origin.ts'
import { Page, put } from './page.ts'

type Place = Pick<Target, 'authority' | 'basePath'>
type RequestParts = Pick<Outgoing, 'method' | 'path' | 'headers' | 'body'>

/** Where heads are written, one at a time. */
export class HeadRoom {
  readonly #page: Page
  /** What the request line that lies there was written for, and where it ends. */
  #basePath = ''
  #method: string | null = null
  #path = ''
  #begun = 0

  /** Room for so many bytes; it grows where a head needs more. */
  constructor(room: number) {
    this.#page = new Page(room)
  }

  get bytes(): Buffer {
    return this.#page.bytes
  }

  /** Of these bytes alone. */
  get memory(): ArrayBufferLike {
    return this.#page.memory
  }

  /**
   * Writes a head to the front of `bytes` and gives its size; host and framing are its own, so no header may be one.
   * What lies behind the head may be written over. Throws `UpstreamFailure` (`protocol`) when a part could break out of its line.
   */
  write(target: Place, outgoing: RequestParts): number {
    const size = this.#write(target, outgoing)
    if (size <= this.bytes.length) return size
    this.#page.renew(size * 2)
    this.#method = null
    return this.#write(target, outgoing)
  }

  #write(target: Place, outgoing: RequestParts): number {
    const page = this.#page
    const { headers } = outgoing
    page.begin(this.#begin(target, outgoing))
    this.#line('host', target.authority)
    this.#writeFraming(outgoing)
    for (let i = 0; i < headers.length; i += 2) this.#line(headers[i]!, headers[i + 1]!)
    return page.end()
  }

  #line(name: string, value: string): void {
    if (this.#page.line(name, value) < 0) throw new UpstreamFailure('protocol', 'invalid request header')
  }

  /** The request line. */
  #begin({ basePath }: Place, { method, path }: RequestParts): number {
    if (method === this.#method && path === this.#path && basePath === this.#basePath) return this.#begun
    this.#method = null
    this.#page.forget()
    this.#begun = writeLine(this.bytes, basePath, method, path)
    this.#basePath = basePath
    this.#method = method
    this.#path = path
    return this.#begun
  }

  /** The line that tells how long the body is. */
  #writeFraming({ method, body }: RequestParts): void {
    if (body !== null && 'getReader' in body) return this.#line('transfer-encoding', 'chunked')
    const isBodyMeant = body !== null || method === 'POST' || method === 'PUT' || method === 'PATCH'
    if (!isBodyMeant) return
    let size = 0
    for (const slice of body ?? NO_SLICES) size += slice.byteLength
    this.#line('content-length', String(size))
  }
}

const NO_SLICES: readonly Uint8Array[] = []

function writeLine(to: Uint8Array, basePath: string, method: string, path: string): number {
  let at = part(to, 0, method, METHOD)
  if (at === 0) throw new UpstreamFailure('protocol', 'invalid request line')
  at = part(to, at, ' ', ANY)
  at = part(to, at, basePath, TARGET)
  at = part(to, at, path, TARGET)
  return part(to, at, ' HTTP/1.1\r\n', ANY)
}

/** Writes a part of the line; gives where it ends. */
function part(to: Uint8Array, at: number, text: string, kind: number): number {
  const end = put(to, at, text, kind)
  if (end < 0) throw new UpstreamFailure('protocol', 'invalid request line')
  return end
}
