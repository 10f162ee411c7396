// The head of a request, and what is read from it once, however often it comes again.
import type { HeaderList } from '../../../src/host.ts'
import type { HeadMemory } from '../../../src/openai/head.ts'
import { isNamed } from '../../../src/forward/names.ts'
import { numberOf } from '../wire/letters.ts'

/** Request line and headers, as the parser tells them. */
export interface Told {
  readonly method: string
  readonly target: string
  readonly headers: HeaderList
  readonly memory: HeadMemory
  readonly isModern: boolean
  readonly keepsAlive: boolean
}

export interface RequestHead extends Told {
  readonly isHead: boolean
  /** Value of the Host header, or nothing. */
  readonly host: string
  /** Bytes of the body: 0 where there is none, null where it comes in chunks. */
  readonly length: number | null
  /** The client waits for a word before it sends its body, if there is one. */
  readonly isWaiting: boolean
  /** An answer that it deserves before anybody looks at it: 400 without a Host or with several, 417, 501; else 0. */
  readonly wrong: number
}

/** Reads what the parser took. */
export function readRequest(told: Told): RequestHead {
  const { method, target, headers, memory, isModern, keepsAlive } = told
  let host: string | null = null
  let length: number | null = 0
  let expect: string | null = null
  let hosts = 0
  let isCoded = false
  // llhttp has refused lengths that are not digits, and both framings at once.
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i]!
    if (isNamed(name, 'host')) {
      host ??= headers[i + 1]!
      hosts++
    } else if (isNamed(name, 'content-length')) length = numberOf(headers[i + 1]!)
    else if (isNamed(name, 'transfer-encoding')) {
      length = null
      // Without that coding nobody would take the body for what it is. What does not end by chunks llhttp refuses.
      isCoded ||= headers[i + 1]!.toLowerCase() !== 'chunked'
    } else if (isNamed(name, 'expect')) expect = headers[i + 1]!
  }
  const isWaiting = isModern && expect !== null && /^100-continue$/i.test(expect)
  const isWrong = isModern && expect !== null && !isWaiting
  const isMisled = hosts > 1 || (isModern && hosts === 0)
  const wrong = isMisled ? 400 : isWrong ? 417 : isCoded ? 501 : 0
  const isHead = method === 'HEAD'
  return {
    method,
    target,
    headers,
    memory,
    isModern,
    keepsAlive,
    isHead,
    host: host ?? '',
    length,
    isWaiting,
    wrong,
  }
}

/** The same head with other headers, of which the parser would think nothing else but that a body of another length follows. */
export function withHeaders(
  head: RequestHead,
  headers: HeaderList,
  length: number,
  memory: HeadMemory,
): RequestHead {
  const { method, target, isModern, keepsAlive, isHead, host, isWaiting, wrong } = head
  return { method, target, headers, memory, isModern, keepsAlive, isHead, host, length, isWaiting, wrong }
}

/** The client would take its connection out of HTTP. */
export function wantsWebSocket(method: string, headers: HeaderList): boolean {
  if (method !== 'GET') return false
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i]!.length === 7 && headers[i]!.toLowerCase() === 'upgrade')
      return headers[i + 1]!.toLowerCase() === 'websocket'
  }
  return false
}

/** A head that the parser took, as it may have come: in no more bytes. `line`: its first one. */
export function headOf(line: string, headers: HeaderList): Buffer {
  let text = `${line}\r\n`
  for (let i = 0; i < headers.length; i += 2) text += `${headers[i]}:${headers[i + 1]}\r\n`
  return Buffer.from(`${text}\r\n`, 'latin1')
}
