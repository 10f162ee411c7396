// Writes the heads of responses, as node:http would.
import { STATUS_CODES } from 'node:http'
import { isMadeOf, isName, VALUE } from '../wire/letters.ts'
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

/** A head as latin1 text, and what it says of the message. */
export interface Written {
  readonly text: string
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

/** Writes a response head. Throws a TypeError where a part could break out of its line. */
export function writeHead({ status, statusText, headers }: Head, asked: Asked, date: DateLine): Written {
  const hasBody = !asked.isHead && status !== 204 && status !== 304
  let text = statusText === '' ? usualLine(status) : `HTTP/1.1 ${status} ${statusText}\r\n`
  if (!isMadeOf(statusText, VALUE)) throw new TypeError('invalid status text')
  let connection: string | null = null
  let isSized = false
  let isDated = false
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i]!
    const value = headers[i + 1]!
    if (!isName(name) || !isMadeOf(value, VALUE)) throw new TypeError(`invalid response header ${name}`)
    // Lengths first: most names are ruled out without lower-casing them.
    if (name.length === 4) isDated ||= name.toLowerCase() === 'date'
    else if (name.length === 14) isSized ||= name.toLowerCase() === 'content-length'
    else if (name.length === 10 && name.toLowerCase() === 'connection') connection = value.toLowerCase()
    else if (name.length === 17 && name.toLowerCase() === 'transfer-encoding') continue
    text += `${name}: ${value}\r\n`
  }
  if (!isDated) text += date.text
  const isChunked = hasBody && !isSized && asked.isModern
  const isDelimited = isSized || isChunked || !hasBody
  let isLast = !asked.keepsAlive || !isDelimited
  if (connection !== null) isLast ||= connection.includes('close')
  else if (isLast) text += 'Connection: close\r\n'
  else text += asked.kept
  if (isChunked) text += 'Transfer-Encoding: chunked\r\n'
  return { text: `${text}\r\n`, isChunked, isDelimited, hasBody, isLast }
}
