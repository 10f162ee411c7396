// The parser that node:http reads each connection with (llhttp), and whether it can be listened to without node:http's messages.
import type { Server } from 'node:http'
import { Duplex } from 'node:stream'
import { http } from '../builtins.ts'

/** What node:http puts on a socket that it serves. Not documented: `probe` looks before anybody relies on it. */
export interface Parser {
  /** Parts of a head, or a trailer, that came in several reads. */
  _headers: string[]
  _url: string
  /** The slots that it calls. */
  [slot: number]: ((...args: never[]) => unknown) | null
  execute(bytes: Buffer): unknown
  /** No more comes. */
  finish(): unknown
}

/** What `slots.head` is called with; its answer 0 means: go on, a body follows as the head says. */
export type OnHead = (
  ...args: [
    versionMajor: number,
    versionMinor: number,
    headers: string[] | undefined,
    method: number,
    url: string | undefined,
    statusCode: undefined,
    statusMessage: undefined,
    upgrade: boolean,
    shouldKeepAlive: boolean,
  ]
) => number

/** How this Node's parser is listened to. */
export interface ParserShape {
  readonly slots: {
    /** At the first byte of a message. Node leaves it empty. */
    readonly begin: number
    readonly head: number
    readonly body: number
    readonly complete: number
  }
  /** Names of methods by the parser's numbers. CONNECT is not among them. */
  readonly methods: readonly (string | undefined)[]
}

const NAMES = {
  begin: 'kOnMessageBegin',
  head: 'kOnHeadersComplete',
  body: 'kOnBody',
  complete: 'kOnMessageComplete',
} as const

/**
 * Tries the parser of a connection that never was, with a request of each method, and tells how it is listened to.
 * Null where anything is not as in Node 22 to 26: then node:http's own messages are used.
 */
export function probe(): ParserShape | null {
  const socket = nobody()
  try {
    const parser = parserFor(socket, http.createServer())
    if (typeof parser?.finish !== 'function') return null
    const slots = slotsOf(parser)
    return slots && tryAll(parser, slots)
  } catch {
    // Something that is not there was called.
    return null
  } finally {
    socket.on('error', () => undefined)
    socket.destroy()
  }
}

/** A connection that never was. */
export function nobody(): Duplex {
  return new Duplex({ read() {}, write: (_bytes, _encoding, done) => done() })
}

/** What that server reads a connection with. */
export function parserFor(socket: Duplex, server: Server): Parser | undefined {
  server.emit('connection', socket)
  return (socket as { parser?: Parser }).parser
}

function slotsOf(parser: Parser): ParserShape['slots'] | null {
  const known = parser.constructor as unknown as Record<string, unknown>
  const { begin, head, body, complete } = NAMES
  const [beginSlot, ...numbers] = [begin, head, body, complete].map((name) => known[name])
  if (typeof beginSlot !== 'number' || parser[beginSlot] !== null) return null
  if (!numbers.every((slot) => typeof slot === 'number' && typeof parser[slot] === 'function')) return null
  const [headSlot, bodySlot, completeSlot] = numbers as [number, number, number]
  return { begin: beginSlot, head: headSlot, body: bodySlot, complete: completeSlot }
}

/** The shape, if the parser tells of some requests what was sent. */
function tryAll(parser: Parser, slots: ParserShape['slots']): ParserShape | null {
  const own = heldBy(parser, slots)
  const methods: string[] = []
  let told: unknown[] = []
  const onHead: OnHead = (...args) => {
    told.push(...args)
    return 0
  }
  parser[slots.begin] = () => told.push('begin')
  parser[slots.head] = onHead as Parser[number]
  parser[slots.body] = (bytes: Buffer) => told.push(bytes.toString())
  parser[slots.complete] = () => told.push('complete')
  try {
    for (const method of http.METHODS) {
      if (method === 'CONNECT') continue
      told = []
      parser.execute(Buffer.from(`${method} /a HTTP/1.1\r\nHost: b\r\nContent-Length: 1\r\n\r\nc`))
      const number = told[4]
      const wanted = ['begin', 1, 1, ['Host', 'b', 'Content-Length', '1'], number, '/a']
      const rest = [undefined, undefined, false, true, 'c', 'complete']
      if (typeof number !== 'number' || !isSame(told, [...wanted, ...rest])) return null
      methods[number] = method
    }
    return { slots, methods }
  } finally {
    // The parser goes back to a pool.
    for (const [slot, callback] of own) parser[slot] = callback
  }
}

/** What node:http has in the slots that tell of messages. */
export function heldBy(
  parser: Parser,
  { begin, head, body, complete }: ParserShape['slots'],
): readonly (readonly [number, Parser[number]])[] {
  return [begin, head, body, complete].map((slot) => [slot, parser[slot]!] as const)
}

/** In JSON undefined and null look alike, and parsers give either. */
function isSame(told: unknown, wanted: unknown): boolean {
  return JSON.stringify(told) === JSON.stringify(wanted)
}
