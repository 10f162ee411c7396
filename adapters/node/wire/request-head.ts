// Writes the heads of requests to workers straight into bytes: a text would be put together, flattened and encoded.
import { UpstreamFailure } from '../../../src/host.ts'
import type { HeaderList, Outgoing } from '../../../src/host.ts'
import { ANY, KINDS, METHOD, NAME, TARGET, VALUE } from './letters.ts'
import type { Target } from './origin.ts'

const CR = 13
const LF = 10
const BLANK = 32
const COLON = 58

type Place = Pick<Target, 'authority' | 'basePath'>
type RequestParts = Pick<Outgoing, 'method' | 'path' | 'headers' | 'body'>

/** Where heads are written, one at a time. */
export class HeadRoom {
  bytes: Buffer
  /** What the line that lies there was written for, and where it ends: most calls begin as the last one did. */
  #basePath = ''
  #method: string | null = null
  #path = ''
  #begun = 0

  /** Room for so many bytes; it grows where a head needs more. */
  constructor(room: number) {
    this.bytes = Buffer.allocUnsafeSlow(room)
  }

  /**
   * Writes a head to the front of `bytes` and gives its size; host and framing are its own, so no header may be one.
   * What lies behind the head may be written over. Throws `UpstreamFailure` (`protocol`) when a part could break out of its line.
   */
  write(target: Place, outgoing: RequestParts): number {
    const size = this.#write(target, outgoing)
    if (size <= this.bytes.length) return size
    this.bytes = Buffer.allocUnsafeSlow(size * 2)
    this.#method = null
    return this.#write(target, outgoing)
  }

  /** Bytes behind the end are lost, but counted. */
  #write(target: Place, outgoing: RequestParts): number {
    const { bytes } = this
    const at = put(bytes, this.#begin(target, outgoing), target.authority, VALUE)
    return writeHeaders(bytes, writeFraming(bytes, at, outgoing), outgoing.headers)
  }

  /** Up to the name of the host, which is another for each worker. */
  #begin({ basePath }: Place, { method, path }: RequestParts): number {
    if (method === this.#method && path === this.#path && basePath === this.#basePath) return this.#begun
    this.#method = null
    this.#begun = writeLine(this.bytes, basePath, method, path)
    this.#basePath = basePath
    this.#method = method
    this.#path = path
    return this.#begun
  }
}

function writeLine(to: Uint8Array, basePath: string, method: string, path: string): number {
  let at = put(to, 0, method, METHOD)
  if (at === 0) throw new UpstreamFailure('protocol', 'invalid request line')
  to[at++] = BLANK
  at = put(to, at, basePath, TARGET)
  at = put(to, at, path, TARGET)
  return put(to, at, ' HTTP/1.1\r\nhost: ', ANY)
}

/** Writes the headers and the blank line. */
function writeHeaders(to: Uint8Array, from: number, headers: HeaderList): number {
  let at = from
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i]!
    if (name === '') throw new UpstreamFailure('protocol', 'invalid request header')
    at = put(to, at, name, NAME)
    to[at++] = COLON
    to[at++] = BLANK
    at = put(to, at, headers[i + 1]!, VALUE)
    to[at++] = CR
    to[at++] = LF
  }
  to[at++] = CR
  to[at++] = LF
  return at
}

/** Ends the line before, and writes the one that tells how long the body is. */
function writeFraming(to: Uint8Array, from: number, { method, body }: RequestParts): number {
  if (body !== null && 'getReader' in body) return put(to, from, '\r\ntransfer-encoding: chunked\r\n', ANY)
  const isBodyMeant = body !== null || method === 'POST' || method === 'PUT' || method === 'PATCH'
  if (!isBodyMeant) return put(to, from, '\r\n', ANY)
  let size = 0
  for (const slice of body ?? []) size += slice.byteLength
  const at = put(to, from, '\r\ncontent-length: ', ANY)
  return put(to, put(to, at, String(size), VALUE), '\r\n', ANY)
}

/** Writes a text whose characters must be of this kind; gives where it ends. */
function put(to: Uint8Array, at: number, text: string, kind: number): number {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if ((KINDS[code]! & kind) === 0) throw brokenBy(kind)
    to[at + i] = code
  }
  return at + text.length
}

function brokenBy(kind: number): UpstreamFailure {
  const isInLine = kind === METHOD || kind === TARGET
  return new UpstreamFailure('protocol', `invalid request ${isInLine ? 'line' : 'header'}`)
}
