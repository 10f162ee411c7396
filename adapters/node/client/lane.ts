// A client's connection without node:http's messages: the parser is node:http's, but what it tells goes straight to our own requests
// (the figure: bench/README.md, "Lanes"). It counts how long it waits; `Lanes` ends it.
// On a plain one what begins with a head that came before needs no parser.
import type { Socket } from 'node:net'
import { partOf, readPast, type Taker } from '../reader.ts'
import { SocketWriter } from '../writer.ts'
import type { DateLine } from './head.ts'
import { linger } from './ending.ts'
import { KnownHeads } from './known-heads.ts'
import { Landing } from './landing.ts'
import type { LaneOptions, LaneSide } from './lane-side.ts'
import { LastHead } from './last-head.ts'
import { OUT, type HeadArgs, type LentParser, type Listener } from './parsers.ts'
import { headOf, readRequest, wantsWebSocket, type RequestHead } from './request.ts'
import { Turn } from './turn.ts'
import { endedEarly, isInText, tooEarly } from './client-errors.ts'

/** Requests that may wait behind the one that is being answered before the client is held back. */
const MAX_LINE = 16

export class Lane implements LaneSide, Taker, Listener {
  readonly socket: Socket
  readonly writer: SocketWriter
  readonly date: DateLine
  readonly kept: string
  readonly #options: LaneOptions
  /** Reads a message; none where it is between two. */
  #parser: LentParser | null = null
  /** It has closed or broken, or left HTTP; and what is wrong with what the client sent, to be told behind what is due. */
  #isOver = false
  #late: Error | null = null
  /** The head that takes it out of HTTP. */
  #handedOver: Buffer | null = null
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
  /** What the client sent before; null where node:net reads the connection. */
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

  constructor(socket: Socket, options: LaneOptions) {
    this.socket = socket
    this.writer = new SocketWriter(socket)
    this.date = options.date
    this.kept = options.kept
    this.#options = options
    this.#giveBack = readPast(socket, this)
    this.#known = this.#giveBack === null ? null : new KnownHeads()
    if (this.#giveBack === null) socket.on('data', (bytes: Buffer) => this.arrive(bytes, bytes.length))
    else socket.resume()
    socket.on('drain', () => this.#current?.drained())
    socket.on('end', () => this.#onEnd())
    socket.on('error', (error) => this.fail(error))
    socket.on('close', () => this.#onClose())
  }

  /** A response is on its way, and some of it is out. */
  get isAnswering(): boolean {
    return this.#current?.hasBegun === true
  }

  /** It waits for a request, and not for the first one. */
  get isIdle(): boolean {
    return this.#current === null && this.#reading === null && this.#hasServed && !this.#isOver
  }

  /** Counts a look. */
  look(): void {
    this.idleFor = this.isIdle ? this.idleFor + 1 : 0
    this.headFor = this.#isHeadDue && this.#current === null && !this.#isOver ? this.headFor + 1 : 0
  }

  // From the parser.

  begins(): void {
    this.#isBetween = false
  }

  body(bytes: Uint8Array): void {
    this.#reading?.data(bytes, false)
  }

  ends(): void {
    this.#isBetween = this.#endsClean
    this.#onComplete()
  }

  /** The parser has taken what was read. */
  #parsed(): void {
    if (!this.#hasTold && this.#reading === null && !this.#isBetween) this.#isHeadDue = true
    this.#hasTold = false
    this.#next()
  }

  /** Bytes came. */
  arrive(bytes: Buffer, size: number): Buffer | undefined {
    this.idleFor = 0
    if (this.#isOver) return undefined
    if (this.#left > 0) return this.#readBody(bytes, 0, size)
    const canPass = this.#known !== null && this.#isBetween && !this.#isEnding && this.socket.writable
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

  #parse(bytes: Buffer, size: number, isFresh: boolean): undefined {
    this.#told = null
    this.#hasTold = false
    this.#parser ??= this.#options.parsers.take(this)
    const taken = this.#parser.read(bytes.subarray(0, size))
    if (this.#handedOver !== null)
      return this.#handOver(this.#handedOver, bytes.subarray(Number(taken), size))
    if (taken instanceof Error) this.fail(taken)
    else if (this.#isBetween) this.#giveParser(true)
    if (isFresh && this.#told !== null) this.#known!.learn(bytes, size, this.#told)
    this.#parsed()
  }

  head(args: HeadArgs): number {
    const [major, minor, headers, number, target, , , isUpgrade, keepsAlive] = args
    this.#endsClean = keepsAlive && !isUpgrade
    this.#isHeadDue = false
    const isFirst = !this.#hasTold
    this.#hasTold = true
    if (this.#isEnding) return 0
    const method = this.#options.methods[number]
    if (method === undefined || (isUpgrade && wantsWebSocket(method, headers))) {
      // Another protocol can't begin before the responses that are due.
      if (this.#current !== null || this.#line.length > 0) this.fail(tooEarly())
      else this.#handedOver = headOf(`${method ?? 'CONNECT'} ${target} HTTP/${major}.${minor}`, headers)
      return OUT
    }
    const isModern = major === 1 && minor === 1
    const memory = this.#lastHead.memoryOf(headers)
    const head = readRequest({ method, target, headers, memory, isModern, keepsAlive })
    if (this.#endsClean && isFirst) this.#told = head
    this.#begin(head)
    return 0
  }

  #begin(head: RequestHead): void {
    const turn = new Turn(this, head)
    this.#reading = turn
    this.#line.push(turn)
    if (this.#line.length > MAX_LINE) this.steer()
  }

  /** Gives the connection to node:http, which takes the socket out of HTTP. */
  #handOver(head: Buffer, rest: Buffer): undefined {
    this.#isOver = true
    this.#giveParser(false)
    this.#giveBack?.()
    this.socket.removeAllListeners('data')
    this.#options.handOver(this.socket, Buffer.concat([head, rest]))
  }

  #onComplete(): void {
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
    if (this.#late !== null && this.#current === null) this.#options.broken(this.#late, this.socket)
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

  /** Something is wrong with the client, or what it sends: nothing of it is read any more. */
  fail(error: Error): void {
    if (this.#isOver) return
    this.#isOver = true
    if (this.#current === null || this.#current === this.#reading || !isInText(error))
      return this.#options.broken(error, this.socket)
    // What has not come as a whole is not served.
    if (this.#reading !== null) this.#line.pop()
    this.#reading = null
    this.#late = error
  }

  /** The client sends no more, so it has left. */
  #onEnd(): void {
    this.writer.look()
    if (this.#late !== null) this.socket.end()
    if (this.#isOver) return
    if (this.#left > 0) return this.fail(endedEarly())
    this.#current?.cutOff()
    const wrong = this.#parser?.finish()
    if (wrong instanceof Error) this.fail(wrong)
    else this.socket.end()
  }

  #onClose(): void {
    this.#isOver = true
    this.#giveParser(false)
    this.#options.closed(this.socket)
    this.#landing.close()
    const reading = this.#reading
    this.#reading = null
    this.#line.length = 0
    reading?.cut()
    this.#current?.cut()
    this.#current = null
  }

  #giveParser(isClean: boolean): void {
    if (this.#parser !== null) this.#options.parsers.give(this.#parser, isClean)
    this.#parser = null
  }
}
