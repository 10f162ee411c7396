// Reads HTTP/1.1 messages of a raw socket as strictly as they can be read, and writes bytes in any pieces.
import { createHash } from 'node:crypto'
import type { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Random } from './random.ts'

export interface Message {
  /** Request or status line. */
  readonly start: string
  readonly lines: readonly (readonly [name: string, value: string])[]
  readonly body: Buffer
  /** The end of the connection was its end. */
  readonly isEof: boolean
}

export interface Side {
  readonly isRequests: boolean
  /** The next answer has no body, whatever it says. */
  isBare(): boolean
  message(message: Message): void
  /** What came is no message. */
  wrong(what: string): void
}

const LINE = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([\t\x20-\x7e\x80-\xff]*?)[ \t]*$/
const NOTHING = Buffer.alloc(0)

export class MessageReader {
  readonly #side: Side
  #rest: Buffer = NOTHING
  #head: Omit<Message, 'body' | 'isEof'> | null = null
  #framing: 'length' | 'chunks' | 'eof' = 'length'
  /** Bytes of the body, or of the chunk with its line end, that are missing; −1: a chunk's size line is. */
  #left = 0
  #parts: Buffer[] = []
  #isBroken = false

  constructor(side: Side) {
    this.#side = side
  }

  /** What is here of a message that is not whole. */
  get partial(): string {
    return this.#head === null && this.#rest.length === 0
      ? ''
      : `${this.#head?.start ?? ''}\n${Buffer.concat([...this.#parts, this.#rest]).toString('latin1')}`
  }

  /** The head of the message that is coming. */
  get head(): Omit<Message, 'body' | 'isEof'> | null {
    return this.#head
  }

  feed(bytes: Buffer): void {
    this.#rest = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes])
    while (!this.#isBroken && (this.#head === null ? this.#readHead() : this.#readBody()));
  }

  /** The other side writes no more. */
  end(): void {
    if (this.#head !== null && this.#framing === 'eof') this.#done(true)
  }

  #readHead(): boolean {
    const end = this.#rest.indexOf('\r\n\r\n')
    if (end < 0) return false
    const [start = '', ...texts] = this.#rest.toString('latin1', 0, end).split('\r\n')
    this.#rest = this.#rest.subarray(end + 4)
    const isStart = this.#side.isRequests
      ? /^[A-Z]+ [\x21-\x7e\x80-\xff]+ HTTP\/1\.1$/.test(start)
      : /^HTTP\/1\.1 \d{3} /.test(start)
    if (!isStart) return this.#break(`start line ${JSON.stringify(start)}`)
    const lines: [string, string][] = []
    for (const text of texts) {
      const line = LINE.exec(text)
      if (line === null) return this.#break(`header line ${JSON.stringify(text)}`)
      lines.push([line[1] as string, line[2] as string])
    }
    if (!this.#side.isRequests && start.startsWith('HTTP/1.1 1')) return true
    this.#head = { start, lines }
    return this.#frame(lines)
  }

  #frame(lines: Message['lines']): boolean {
    const valuesOf = (name: string) => lines.filter(([one]) => one.toLowerCase() === name).map(([, v]) => v)
    const lengths = valuesOf('content-length')
    const codings = valuesOf('transfer-encoding')
    this.#parts = []
    if (lengths.length + codings.length > 1) return this.#break('two framings')
    if (codings.length > 0 && codings[0] !== 'chunked') return this.#break(`coding ${codings[0]}`)
    if (lengths.length > 0 && !/^\d+$/.test(lengths[0]!)) return this.#break(`length ${lengths[0]}`)
    const isBare = !this.#side.isRequests && this.#side.isBare()
    const hasNone = isBare || / (204|304) /.test(this.#head!.start)
    this.#framing = codings.length > 0 && !hasNone ? 'chunks' : 'length'
    this.#left = this.#framing === 'chunks' ? -1 : hasNone ? 0 : Number(lengths[0] ?? 0)
    const isOpen = !this.#side.isRequests && lengths.length + codings.length === 0 && !hasNone
    if (isOpen) this.#framing = 'eof'
    return true
  }

  #readBody(): boolean {
    if (this.#framing === 'eof') {
      if (this.#rest.length > 0) this.#parts.push(this.#rest)
      this.#rest = NOTHING
      return false
    }
    if (this.#left < 0) return this.#readSize()
    if (this.#left > 0) {
      if (this.#rest.length === 0) return false
      const part = this.#rest.subarray(0, this.#left)
      this.#left -= part.length
      this.#rest = this.#rest.subarray(part.length)
      this.#parts.push(part)
      if (this.#left > 0) return false
    }
    if (this.#framing === 'length') return this.#done(false)
    if (this.#rest.length < 2) return false
    if (this.#rest.toString('latin1', 0, 2) !== '\r\n') return this.#break('no line end behind a chunk')
    this.#rest = this.#rest.subarray(2)
    this.#left = -1
    return true
  }

  #readSize(): boolean {
    const end = this.#rest.indexOf('\r\n')
    if (end < 0) return false
    const line = this.#rest.toString('latin1', 0, end)
    const size = /^([0-9a-fA-F]+)(;.*)?$/.exec(line)?.[1]
    if (size === undefined) return this.#break(`chunk size ${JSON.stringify(line.slice(0, 80))}`)
    if (Number.parseInt(size, 16) > 0) {
      this.#rest = this.#rest.subarray(end + 2)
      this.#left = Number.parseInt(size, 16)
      return true
    }
    // Trailers end with a blank line, which may be the first one.
    const last = this.#rest.indexOf('\r\n\r\n', end)
    if (last < 0) return false
    this.#rest = this.#rest.subarray(last + 4)
    return this.#done(false)
  }

  #done(isEof: boolean): true {
    const message = { ...this.#head!, body: Buffer.concat(this.#parts), isEof }
    this.#head = null
    this.#parts = []
    this.#side.message(message)
    return true
  }

  #break(what: string): false {
    this.#isBroken = true
    this.#side.wrong(what)
    return false
  }
}

/** The value of a header; null where there is none. */
export function valueOf(lines: Message['lines'], name: string): string | null {
  return lines.find(([one]) => one.toLowerCase() === name)?.[1] ?? null
}

export function digest(text: string | Uint8Array): string {
  return createHash('sha1').update(text).digest('hex').slice(0, 16)
}

/** What the router makes itself, or does not pass on. */
const NOT_PASSED = new Set(
  'host content-length transfer-encoding accept-encoding connection keep-alive te expect x-request-id endpoint-load-metrics-format'.split(
    ' ',
  ),
)

/** The headers of a request that have to arrive: in any order, those of one name in theirs. */
export function passedOf(lines: Message['lines']): string {
  const byName = new Map<string, string[]>()
  for (const [spelled, value] of lines) {
    const name = spelled.toLowerCase()
    if (!NOT_PASSED.has(name)) byName.set(name, [...(byName.get(name) ?? []), value])
  }
  return [...byName]
    .map(([name, values]) => `${name}=${values.join(', ').trim()}`)
    .sort()
    .join('\n')
}

/** The body of a request but for what the router adds to it. */
export function askedOf(body: Buffer): string {
  const text = body.toString('latin1')
  return digest(text.replace(/,?"stream_options":\{"include_usage":true\},?/, ''))
}

/**
 * The events of a stream but for the one that tells the tokens. Of a stream with CRLF any line ends: a CR ends an event at once, and
 * where the LF behind it comes later it goes with the next event.
 */
export function eventsOf(body: string): string {
  const text = body.includes('\r') ? body.replace(/\r\n?/g, '\n').replace(/\n{2,}/g, '\n\n') : body
  return text.replace(/data: [^\n]*"choices":\[\],"usage"[^\n]*\n\n/g, '').replace(/^\n+/, '')
}

/** Writes bytes whole, byte by byte, or in pieces that mostly end where lines do. */
export async function put(socket: Socket, bytes: Buffer, random: Random): Promise<void> {
  const places = placesIn(bytes, random)
  let at = 0
  for (const place of places) {
    if (socket.destroyed || !socket.writable) return
    socket.write(bytes.subarray(at, place))
    at = place
    if (random.once(places.length)) await sleep(random.int(6))
    else await new Promise(setImmediate)
  }
  // A write of nothing fails, too, where the other side of a unix socket has closed; what came before is lost with it.
  if (socket.writable && at < bytes.length) socket.write(bytes.subarray(at))
}

function placesIn(bytes: Buffer, random: Random): number[] {
  const way = random.int(8)
  if (way < 3) return []
  const places = new Set<number>()
  const from = random.int(bytes.length)
  if (way === 3) for (let i = 0; i < 40; i++) places.add(from + i)
  const count = 1 + random.int(way === 4 ? 30 : 4)
  for (let i = 0; i < count; i++) {
    const any = random.int(bytes.length)
    const line = bytes.indexOf(13, any)
    places.add(random.once(2) || line < 0 ? any : line + random.int(3))
  }
  return [...places].filter((place) => place > 0 && place < bytes.length).sort((a, b) => a - b)
}
