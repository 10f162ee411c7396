// Reads the heads of workers' HTTP/1.1 responses, strictly.
import { UpstreamFailure } from '../../../src/host.ts'
import type { HeaderList } from '../../../src/host.ts'
import { isMadeOf, isName, VALUE } from './letters.ts'

/** How the body of a response is delimited (RFC 9112 §6.3). */
export type Framing =
  | { readonly kind: 'none' }
  | { readonly kind: 'length'; readonly length: number }
  | { readonly kind: 'chunked' }
  | { readonly kind: 'eof' }

export interface ResponseHead {
  readonly status: number
  /** Bytes of the head, its blank line included. */
  readonly size: number
  /** In wire order, without hop-by-hop headers. */
  readonly headers: HeaderList
  readonly framing: Framing
  /** The connection may serve another request after this one. */
  readonly reusable: boolean
  /** Milliseconds that the worker promises to keep an idle connection, or null. */
  readonly keepAlive: number | null
}

export interface ParsedHead extends ResponseHead {
  /** All headers as they came; an upgrade needs the hop-by-hop ones. */
  readonly raw: HeaderList
}

export const HOP_BY_HOP: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

const STATUS_LINE = /^HTTP\/1\.([01]) ([1-9]\d\d)(?: [^\r\n]*)?\r\n/

/** Reads a response head (text up to, with, the blank line). Throws `UpstreamFailure` (`protocol`). */
export function parseHead(text: string, method: string): ParsedHead {
  const match = STATUS_LINE.exec(text)
  if (!match) throw new UpstreamFailure('protocol', 'the worker sent no HTTP/1.1 status line')
  const status = Number(match[2])
  const raw = parseLines(text, match[0].length)
  const fields = hopFields(raw)
  const connection = tokens(fields.connection)
  const framing = frame(method, status, fields)
  const persistent = match[1] === '1' ? !connection.includes('close') : connection.includes('keep-alive')
  const odd = framing.kind === 'eof' || (fields.coding !== '' && fields.length !== null)
  return {
    status,
    size: text.length,
    headers: endToEnd(raw, connection, fields),
    raw,
    framing,
    reusable: persistent && !odd && !(framing.kind === 'none' && method !== 'HEAD' && fields.hasBody),
    keepAlive: keepAliveOf(fields.keepAlive),
  }
}

/** Names and values of all lines. Nothing is matched twice, so that a broken head costs no more than a good one. */
function parseLines(text: string, from: number): string[] {
  const raw: string[] = []
  const end = text.length - 2
  for (let at = from; at < end;) {
    const stop = text.indexOf('\r\n', at)
    const line = text.slice(at, stop)
    const colon = line.indexOf(':')
    const name = line.slice(0, Math.max(colon, 0))
    const value = trimmed(line, colon + 1)
    if (!isName(name) || !isMadeOf(value, VALUE))
      throw new UpstreamFailure('protocol', 'the worker sent a broken header')
    raw.push(name, value)
    at = stop + 2
  }
  return raw
}

/** The rest of a line without the blanks and tabs around it. `trim` would take 0xA0 as well, the second byte of an à in UTF-8. */
function trimmed(line: string, from: number): string {
  let start = from
  let end = line.length
  while (start < end && isBlank(line.charCodeAt(start))) start++
  while (end > start && isBlank(line.charCodeAt(end - 1))) end--
  return line.slice(start, end)
}

const isBlank = (code: number): boolean => code === 0x20 || code === 0x09

interface HopFields {
  connection: string
  keepAlive: string
  coding: string
  length: number | null
  hasBody: boolean
}

function hopFields(raw: readonly string[]): HopFields {
  const fields: HopFields = { connection: '', keepAlive: '', coding: '', length: null, hasBody: false }
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i]!
    const value = raw[i + 1]!
    // Lengths first: most names are ruled out without lower-casing them.
    if (name.length === 10 && name.toLowerCase() === 'connection') fields.connection += `,${value}`
    else if (name.length === 10 && name.toLowerCase() === 'keep-alive') fields.keepAlive = value
    else if (name.length === 17 && name.toLowerCase() === 'transfer-encoding') fields.coding += `,${value}`
    else if (name.length === 14 && name.toLowerCase() === 'content-length')
      fields.length = length(value, fields.length)
  }
  fields.hasBody = fields.coding !== '' || (fields.length ?? 0) > 0
  return fields
}

function length(value: string, before: number | null): number {
  const bytes = /^\d{1,15}$/.test(value) ? Number(value) : -1
  if (bytes < 0 || (before !== null && before !== bytes)) {
    throw new UpstreamFailure('protocol', 'the worker sent a broken Content-Length')
  }
  return bytes
}

function frame(method: string, status: number, fields: HopFields): Framing {
  if (method === 'HEAD' || status === 204 || status === 304 || status < 200) return { kind: 'none' }
  const codings = fields.coding === '' ? NONE : tokens(fields.coding).filter((one) => one !== 'identity')
  if (codings.length > 0) {
    if (codings.length === 1 && codings[0] === 'chunked') return { kind: 'chunked' }
    throw new UpstreamFailure('protocol', 'the worker used a transfer coding that nobody asked for')
  }
  if (fields.length !== null) return { kind: 'length', length: fields.length }
  return { kind: 'eof' }
}

function endToEnd(raw: readonly string[], connection: readonly string[], fields: HopFields): string[] {
  const headers: string[] = []
  const named = connection.length > 1 ? new Set(connection) : null
  let hasLength = fields.coding !== ''
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i]!
    const lower = name.toLowerCase()
    if (HOP_BY_HOP.has(lower) || lower === connection[0] || named?.has(lower)) continue
    if (lower === 'content-length') {
      if (hasLength) continue
      hasLength = true
    }
    headers.push(name, raw[i + 1]!)
  }
  return headers
}

const NONE: readonly string[] = []

/** The words of a list of values, each of which a comma leads. */
function tokens(value: string): readonly string[] {
  if (value === '') return NONE
  const lower = value.toLowerCase()
  if (lower === ',keep-alive' || lower === ',chunked') return [lower.slice(1)]
  return lower
    .split(',')
    .map((token) => token.trim())
    .filter((token) => token !== '')
}

function keepAliveOf(value: string): number | null {
  const match = /timeout=(\d{1,9})/i.exec(value)
  return match ? Number(match[1]) * 1000 : null
}
