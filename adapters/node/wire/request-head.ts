// Writes the heads of requests to workers straight into bytes: a text would be put together, flattened and encoded.
import { UpstreamFailure } from '../../../src/host.ts'
import type { Outgoing } from '../../../src/host.ts'
import { ANY, KINDS, METHOD, NAME, TARGET, VALUE } from './letters.ts'
import type { Target } from './origin.ts'

const CR = 13
const LF = 10
const BLANK = 32
const COLON = 58

/** Where heads are written, one at a time. */
export class HeadRoom {
  bytes: Buffer

  /** Room for so many bytes; it grows where a head needs more. */
  constructor(room: number) {
    this.bytes = Buffer.allocUnsafeSlow(room)
  }

  /**
   * Writes a head to the front of `bytes` and gives its size; host and framing are its own, so no header may be one.
   * Throws `UpstreamFailure` (`protocol`) when a part could break out of its line.
   */
  write(target: Pick<Target, 'authority' | 'basePath'>, outgoing: RequestParts): number {
    const size = writeHead(this.bytes, target, outgoing)
    if (size <= this.bytes.length) return size
    this.bytes = Buffer.allocUnsafeSlow(size * 2)
    return writeHead(this.bytes, target, outgoing)
  }
}

type RequestParts = Pick<Outgoing, 'method' | 'path' | 'headers' | 'body'>

/** Bytes behind the end of `to` are lost, but counted. */
function writeHead(
  to: Uint8Array,
  { authority, basePath }: Pick<Target, 'authority' | 'basePath'>,
  { method, path, headers, body }: RequestParts,
): number {
  let at = put(to, 0, method, METHOD)
  if (at === 0) throw new UpstreamFailure('protocol', 'invalid request line')
  to[at++] = BLANK
  at = put(to, at, basePath, TARGET)
  at = put(to, at, path, TARGET)
  at = put(to, at, ' HTTP/1.1\r\nhost: ', ANY)
  at = put(to, at, authority, VALUE)
  at = writeFraming(to, at, method, body)
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
function writeFraming(to: Uint8Array, from: number, method: string, body: Outgoing['body']): number {
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
