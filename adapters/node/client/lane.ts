// A client's connection without node:http's messages: its parser and its errors stay node:http's, but what the parser tells goes
// straight to our own requests (the figure: bench/README.md, "Lanes"). It counts how long it waits; `Lanes` ends it.
// A plain one is read past node:http, too: what begins with a head that came before needs no parser.
import type { Socket } from 'node:net'
import { partOf, readPast, type Taker } from '../reader.ts'
import { SocketWriter } from '../writer.ts'
import type { DateLine } from './head.ts'
import { linger } from './ending.ts'
import { KnownHeads } from './known-heads.ts'
import { Landing } from './landing.ts'
import { heldBy, type OnHead, type Parser, type ParserShape } from './parser.ts'
import type { LaneOptions, LaneSide } from './lane-side.ts'
import { LastHead } from './last-head.ts'
import { readRequest, wantsWebSocket, type RequestHead } from './request.ts'
import { Turn } from './turn.ts'

/** Requests that may wait behind the one that is being answered before the client is held back. */
const MAX_LINE = 16

type Slot = Parser[number]

export class Lane implements LaneSide, Taker {
  readonly socket: Socket
  readonly writer: SocketWriter
  readonly date: DateLine
  readonly kept: string
  readonly #options: LaneOptions
  readonly #parser: Parser
  /** node:http's own callbacks; null once they are back in their places. */
  #own: readonly (readonly [number, Slot])[] | null
  /** Whose body is coming. */
  #reading: Turn | null = null
  /** Whose response is being made. */
  #current: Turn | null = null
  /** Read, but not served yet: pipelined requests. */
  readonly #line: Turn[] = []
  readonly #lastHead = new LastHead()
  /** The last response is out: what else comes is dropped. */
  #isEnding = false
  #isServing = false
  #hasServed = false
  /** What the client sent before; null where node:http reads the connection. */
  readonly #known: KnownHeads | null
  /** Gives the connection back to node:net. */
  readonly #giveBack: (() => void) | null
  /** The parser is between two messages, so that one may pass it. */
  #isBetween = true
  /** So it will be at the end of the one that it reads. */
  #endsClean = false
  /** What it told first since its last read. */
  #told: RequestHead | null = null
  /** Bytes of a body that are still to come past the parser, and where they come to. */
  #left = 0
  readonly #landing = new Landing()
  /** Something of a head is here, or the first one is due; and whether the parser told anything since its last read. */
  #isHeadDue = true
  #hasTold = false
  /** How many looks it has been idle for, and a head due. */
  idleFor = 0
  headFor = 0

  /** Takes a connection over, or gives null where its parser can't be listened to. */
  static open(socket: Socket, options: LaneOptions): Lane | null {
    const { parser } = socket as { parser?: Parser }
    const isKnown = parser?._consumed === true && typeof parser[options.shape.slots.execute] === 'function'
    return isKnown ? new Lane(socket, parser, options) : null
  }

  private constructor(socket: Socket, parser: Parser, options: LaneOptions) {
    this.socket = socket
    this.writer = new SocketWriter(socket)
    this.date = options.date
    this.kept = options.kept
    this.#options = options
    this.#parser = parser
    this.#own = heldBy(parser, options.shape.slots)
    this.#listen(options.shape.slots)
    this.#giveBack = readPast(socket, this)
    this.#known = this.#giveBack === null ? null : new KnownHeads()
    if (this.#giveBack !== null) {
      // By this the parser no longer reads by itself, and gets what is told as 'data'.
      socket.on('data', nothing).off('data', nothing)
      // Before node:http, which sees nothing wrong with it.
      socket.prependListener('end', () => (this.#left > 0 ? options.broken(socket) : this.#current?.cutOff()))
    }
    socket.on('drain', () => this.#current?.drained())
    socket.once('close', () => this.#onClose())
  }

  /** A response is on its way, and some of it is out. */
  get isAnswering(): boolean {
    return this.#current?.hasBegun === true
  }

  /** It waits for a request, and not for the first one. */
  get isIdle(): boolean {
    return this.#current === null && this.#reading === null && this.#hasServed && this.#own !== null
  }

  /** Counts a look. */
  look(): void {
    this.idleFor = this.isIdle ? this.idleFor + 1 : 0
    this.headFor = this.#isHeadDue && this.#own !== null ? this.headFor + 1 : 0
  }

  #listen({ begin, head, body, complete, execute }: ParserShape['slots']): void {
    const parser = this.#parser
    const onExecute = parser[execute] as (result: unknown) => void
    parser[begin] = () => {
      this.#isBetween = false
    }
    parser[head] = ((...args) => this.#onHead(args)) satisfies OnHead as Slot
    parser[body] = (bytes: Uint8Array) => this.#reading?.data(bytes, false)
    parser[complete] = () => {
      this.#isBetween = this.#endsClean
      this.#onComplete()
    }
    parser[execute] = (result: unknown) => {
      this.idleFor = 0
      onExecute(result)
      // A body that goes on behind this read: its request is served meanwhile.
      if (typeof result === 'number') this.#parsed()
    }
  }

  /** The parser has taken what was read. */
  #parsed(): void {
    if (!this.#hasTold && this.#reading === null) this.#isHeadDue = true
    this.#hasTold = false
    this.#next()
  }

  /** Bytes came that node:http did not read. */
  arrive(bytes: Buffer, size: number): Buffer | undefined {
    this.idleFor = 0
    if (this.#left > 0) return this.#readBody(bytes, 0, size)
    const canPass = this.#isBetween && !this.#isEnding && this.socket.writable
    const head = canPass ? this.#known!.find(bytes, size) : null
    // A client that asks but once teaches nothing: to learn its head had 5 % of such a call.
    if (head === null) return this.#parse(bytes, size, canPass && this.#hasServed)
    this.#isHeadDue = false
    this.#begin(head)
    this.#left = head.length!
    return this.#readBody(bytes, this.#known!.size, size)
  }

  /** Bytes of a body that passes the parser, and of what follows it. Returns where the next ones go. */
  #readBody(bytes: Buffer, from: number, size: number): Buffer | undefined {
    const turn = this.#reading
    const landing = this.#landing
    const to = Math.min(size, from + this.#left)
    this.#left -= to - from
    if (from > 0 && this.#left === 0) {
      if (turn !== null && to > from) {
        // Nothing more comes, so that nobody need be held back.
        turn.isWhole = true
        turn.data(landing.bodyIn(bytes, from, to), false)
      }
    } else {
      // Who is served now says where the body goes.
      if (from > 0) this.#next()
      if (landing.isPlace(bytes)) turn?.taker?.wrote?.(to)
      else if (to > from) turn?.data(partOf(bytes, from, to), true)
    }
    if (this.#left > 0) return turn?.taker?.room?.() ?? landing.back(bytes)
    this.#onComplete()
    if (to < size) this.#parse(bytes.subarray(to), size - to, false)
    return landing.next(bytes, this.#known!.size, turn?.length ?? 0)
  }

  /** Gives bytes to the parser, as node:http does with what it did not read by itself. */
  #parse(bytes: Buffer, size: number, isFresh: boolean): undefined {
    this.#told = null
    this.#hasTold = false
    // Nobody keeps what is not copied.
    this.socket.emit('data', bytes.subarray(0, size))
    if (isFresh && this.#told !== null) this.#known!.learn(bytes, size, this.#told)
    this.#parsed()
  }

  #onHead(args: Parameters<OnHead>): number {
    const parser = this.#parser
    const [major, minor, list, number, path, , , isUpgrade, keepsAlive] = args
    this.#endsClean = keepsAlive && !isUpgrade
    this.#isHeadDue = false
    this.#hasTold = true
    const headers = list ?? parser._headers
    const target = path ?? parser._url
    if (list === undefined || path === undefined) this.#forget()
    if (this.#isEnding) return 0
    const method = this.#options.shape.methods[number]
    if (method === undefined || (isUpgrade && wantsWebSocket(method, headers))) {
      args[2] = headers
      args[4] = target
      return this.#handOver(args)
    }
    const isModern = major === 1 && minor === 1
    const memory = this.#lastHead.memoryOf(headers)
    const head = readRequest({ method, target, headers, memory, isModern, keepsAlive })
    if (this.#endsClean) this.#told ??= head
    this.#begin(head)
    return 0
  }

  #begin(head: RequestHead): void {
    const turn = new Turn(this, head)
    this.#reading = turn
    this.#line.push(turn)
    if (this.#line.length > MAX_LINE) this.steer()
  }

  /** Gives the connection back to node:http, which takes the socket out of HTTP. */
  #handOver(args: Parameters<OnHead>): number {
    if (this.#current !== null || this.#line.length > 0) {
      // Another protocol can't begin before the responses that are due.
      this.socket.destroy()
      return 0
    }
    this.#release()
    this.#giveBack?.()
    const own = this.#parser[this.#options.shape.slots.head] as OnHead
    return own.apply(this.#parser, args)
  }

  #forget(): void {
    this.#parser._headers = []
    this.#parser._url = ''
  }

  #onComplete(): void {
    // Trailers: nobody asked for them.
    if (this.#parser._headers.length > 0) this.#forget()
    this.#hasTold = true
    const turn = this.#reading
    this.#reading = null
    turn?.complete()
    if (!this.#isEnding) this.#next()
    else if (turn !== null) this.socket.destroySoon()
  }

  /** Serves the next request of the line, unless one is being served. */
  #next(): void {
    if (this.#isServing) return
    // A loop, for a response may be out before its handler returns.
    this.#isServing = true
    while (this.#current === null && !this.#isEnding && this.#line.length > 0 && this.socket.writable) {
      // Mostly it is the only one, and taking the last is cheaper.
      const turn = this.#line.length === 1 ? this.#line.pop()! : this.#line.shift()!
      this.#current = turn
      this.#hasServed = true
      if (turn.asked.wrong === 0) this.#options.serve(turn)
      else this.#refuse(turn)
    }
    this.#isServing = false
    if (this.socket.isPaused()) this.steer()
  }

  #refuse(turn: Turn): void {
    turn.linger()
    turn.refuse({ status: turn.asked.wrong, statusText: '', headers: [] }, '')
  }

  steer(): void {
    const isFull = this.#reading?.isFull === true || this.#line.length > MAX_LINE
    if (isFull === this.socket.isPaused()) return
    if (isFull) this.socket.pause()
    else this.socket.resume()
  }

  done(isLast: boolean, lingers: boolean): void {
    this.#current = null
    this.#isEnding ||= isLast
    if (!isLast) return this.#next()
    // What it asked behind the last one is not answered.
    if (!lingers && this.#line.length === 0) return this.socket.destroySoon()
    this.#line.length = 0
    linger(this.socket)
    this.steer()
  }

  #onClose(): void {
    this.#release()
    this.#landing.close()
    const reading = this.#reading
    this.#reading = null
    this.#line.length = 0
    reading?.cut()
    this.#current?.cut()
    this.#current = null
  }

  /** Puts node:http's callbacks back, once: parsers are used again, by other connections. */
  #release(): void {
    for (const [slot, callback] of this.#own ?? []) this.#parser[slot] = callback
    this.#own = null
  }
}

function nothing(): void {}
