// Writes the heads of responses, as node:http would.
import { STATUS_CODES } from 'node:http'
import { isNamed } from '../../../src/forward/names.ts'
import { isMadeOf, VALUE } from '../wire/letters.ts'
import type { Page } from '../wire/page.ts'
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

/** The current second as a Date header tells it. */
export class DateLine {
  #until = 0
  #text = ''

  get text(): string {
    const now = Date.now()
    if (now >= this.#until) {
      this.#text = `Date: ${new Date(now).toUTCString()}\r\n`
      this.#until = now - (now % 1000) + 1000
    }
    return this.#text
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
    usual = { status, line: `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'unknown'}\r\n` }
  return usual.line
}

/** Writes a response head to a page. Throws a TypeError where a part could break out of its line. */
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
    // Lengths first: most names are ruled out by them.
    const size = name.length
    if (size === 4) isDated ||= isNamed(name, 'date')
    else if (size === 14) isSized ||= isNamed(name, 'content-length')
    else if (size === 10 && isNamed(name, 'connection')) connection = value.toLowerCase()
    else if (size === 17 && isNamed(name, 'transfer-encoding')) continue
    if (!page.line(name, value)) throw new TypeError(`invalid response header ${name}`)
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
