// Writes the heads of responses, as node:http would.
import { isNamed } from '../../../src/forward/names.ts'
import { http } from '../builtins.ts'
import { isMadeOf, VALUE } from '../wire/letters.ts'
import { Page } from '../wire/page.ts'
import type { Head } from './exchange.ts'

/** What a head is written for. */
export interface Asked {
  /** The client speaks HTTP/1.1: it takes chunks. */
  readonly isModern: boolean
  readonly isHead: boolean
  /** It would keep the connection. */
  readonly keepsAlive: boolean
  /** Lines that say so, and for how long. */
  readonly kept: string
}

/** How large a head is, and what it says of the message. */
export interface Written {
  /** Bytes. */
  readonly size: number
  readonly isChunked: boolean
  /** The end of the body can be told from a connection that broke. */
  readonly isDelimited: boolean
  readonly hasBody: boolean
  /** The connection ends with this response. */
  readonly isLast: boolean
}

/** The current second as a Date header tells it. A timer ends it, for the clock is not read for nothing: 0.1 % of a small call. */
export class DateLine {
  #text = ''

  get text(): string {
    return this.#text === '' ? this.#make() : this.#text
  }

  #make(): string {
    const now = Date.now()
    setTimeout(() => (this.#text = ''), 1000 - (now % 1000)).unref()
    return (this.#text = `Date: ${new Date(now).toUTCString()}\r\n`)
  }
}

/** Lines that tell how many seconds an idle connection is kept. */
export function keptFor(seconds: number): string {
  return `Connection: keep-alive\r\nKeep-Alive: timeout=${seconds}\r\n`
}

/** The last status line that had no words of its own: most are the same. */
let usual = { status: 0, line: '' }

function usualLine(status: number): string {
  if (status !== usual.status)
    usual = { status, line: `HTTP/1.1 ${status} ${http.STATUS_CODES[status] ?? 'unknown'}\r\n` }
  return usual.line
}

const PLAIN = 0
const DATE = 1
const LENGTH = 2
const CONNECTION = 3

/** Lengths first: most names are ruled out by them. */
function kindOf(name: string): number {
  if (name.length === 4) return isNamed(name, 'date') ? DATE : PLAIN
  if (name.length === 14) return isNamed(name, 'content-length') ? LENGTH : PLAIN
  return name.length === 10 && isNamed(name, 'connection') ? CONNECTION : PLAIN
}

/** A page for heads of responses. */
export function newPage(room: number): Page {
  return new Page(room, kindOf)
}

/** Writes a response head to a page that is for such. Throws a TypeError where a part could break out of its line. */
export function writeHead(
  page: Page,
  { status, statusText, headers }: Head,
  asked: Asked,
  date: DateLine,
): Written {
  const hasBody = !asked.isHead && status !== 204 && status !== 304
  if (!isMadeOf(statusText, VALUE)) throw new TypeError('invalid status text')
  page.begin(0)
  page.text(statusText === '' ? usualLine(status) : `HTTP/1.1 ${status} ${statusText}\r\n`)
  let connection: string | null = null
  let isSized = false
  let isDated = false
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i]!
    const value = headers[i + 1]!
    // The framing is ours.
    if (name.length === 17 && isNamed(name, 'transfer-encoding')) continue
    const kind = page.line(name, value)
    if (kind < 0) throw new TypeError(`invalid response header ${name}`)
    if (kind === DATE) isDated = true
    else if (kind === LENGTH) isSized = true
    else if (kind === CONNECTION) connection = value.toLowerCase()
  }
  if (!isDated) page.text(date.text)
  const isChunked = hasBody && !isSized && asked.isModern
  const isDelimited = isSized || isChunked || !hasBody
  let isLast = !asked.keepsAlive || !isDelimited
  if (connection !== null) isLast ||= connection.includes('close')
  else page.text(isLast ? 'Connection: close\r\n' : asked.kept)
  if (isChunked) page.text('Transfer-Encoding: chunked\r\n')
  return { size: page.end(), isChunked, isDelimited, hasBody, isLast }
}
