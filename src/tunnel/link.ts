// One link between a router and a dialled-in worker: many streams over one connection at a time, resumed on the next one.
import { UpstreamFailure, type Host } from '../host.ts'
import {
  decodeFrame,
  encodeFrame,
  encodeJson,
  isNumbered,
  readJson,
  TunnelProtocolError,
  type Frame,
} from './frames.ts'
import { TunnelStream, type StreamLink } from './stream.ts'

/** One connection that carries frames: a WebSocket. */
export interface Wire {
  /** One binary message. Never throws; on a broken wire nothing happens. */
  send(frame: Uint8Array): void
  /** Closes; the other side hears code and reason where it can still be reached. */
  close(code: number, reason: string): void
}

/** Milliseconds. */
export interface LinkTimes {
  /** A ping is sent this often. */
  readonly beat: number
  /** A wire that brought nothing for so long is taken for dead. */
  readonly silence: number
  /** Streams wait so long for another wire. */
  readonly resume: number
}

export const LINK_TIMES: LinkTimes = { beat: 10_000, silence: 25_000, resume: 30_000 }

/** Close codes of our own; 4401 to 4409 are for good: who dialled does not come again. */
export const CLOSE = {
  done: 1000,
  unauthorized: 4401,
  removed: 4403,
  silent: 4408,
  replaced: 4409,
  protocol: 4400,
  stopping: 1001,
} as const

export interface LinkEar {
  /** The other side opened a stream; its ear is set in this call. */
  opened(stream: TunnelStream, head: Record<string, unknown>): void
  /** The wire is gone, or proved to be dead; streams wait for another one. */
  lost(): void
  /** No wire came in time, or the link was closed: all streams have failed. */
  closed(): void
}

/** Bytes sent and not acknowledged, over all streams, above which bodies wait. */
const LINK_WINDOW = 8 * 1_048_576
/** The other side is told what came at least this often, bytes and frames. */
const ACK_BYTES = 262_144
const ACK_FRAMES = 64

type Clock = Pick<Host, 'now' | 'timer'>

export class Link implements StreamLink {
  readonly #ear: LinkEar
  readonly #clock: Clock
  readonly #times: LinkTimes
  #wire: Wire | null = null
  #streams = new Map<number, TunnelStream>()
  /** Streams that found no room in the link, longest waiting first. */
  readonly #stalled = new Set<TunnelStream>()
  #lastId = 0
  /** Numbered frames that were sent and not acknowledged, oldest first, and how many were acknowledged before them. */
  #unacked: Uint8Array[] = []
  #acked = 0
  #unackedBytes = 0
  /** Numbered frames that came; `told`: that the other side knows of. */
  #received = 0
  #told = 0
  #untoldBytes = 0
  #heardAt = 0
  #isClosed = false
  #cancelTimer = () => {}

  constructor(ear: LinkEar, clock: Clock, times: LinkTimes = LINK_TIMES) {
    this.#ear = ear
    this.#clock = clock
    this.#times = times
  }

  /** Numbered frames that came so far: the other side continues behind them. */
  get received(): number {
    return this.#received
  }

  get isUp(): boolean {
    return this.#wire !== null
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  /** Streams that are not over. */
  get size(): number {
    return this.#streams.size
  }

  /** Bytes kept to be sent again. */
  get keptBytes(): number {
    return this.#unackedBytes
  }

  /** Whether we still have what the other side lacks, given how many numbered frames it received. */
  canResume(received: number): boolean {
    const isKept = received >= this.#acked && received <= this.#acked + this.#unacked.length
    return !this.#isClosed && Number.isInteger(received) && isKept
  }

  /** Goes on over a wire whose other side received that many numbered frames: it gets the ones behind them again. */
  attach(wire: Wire, received: number): void {
    if (!this.canResume(received)) throw new TunnelProtocolError(`cannot go on behind frame ${received}`)
    const old = this.#wire
    this.#wire = null
    old?.close(CLOSE.silent, 'continued on another connection')
    this.#heardAt = this.#clock.now()
    this.#told = this.#received
    this.#untoldBytes = 0
    this.#forgetAcked(received)
    for (const frame of this.#unacked) wire.send(frame)
    this.#wire = wire
    this.#watch()
    this.#flushStalled()
  }

  /** That wire is gone. */
  detach(wire: Wire): void {
    if (wire !== this.#wire || this.#isClosed) return
    this.#wire = null
    this.#cancelTimer()
    this.#cancelTimer = this.#clock.timer(this.#times.resume, () => this.#end('no connection in time'))
    this.#ear.lost()
  }

  /** The other side closed that wire on purpose. */
  hungUp(wire: Wire): void {
    if (wire === this.#wire) this.close(CLOSE.done, 'the other side hung up')
  }

  /** Takes one message of a wire. A side that breaks the rules is cut off for good. */
  receive(wire: Wire, message: Uint8Array): void {
    if (wire !== this.#wire) return
    this.#heardAt = this.#clock.now()
    try {
      this.#take(decodeFrame(message), message.byteLength)
    } catch (error) {
      if (!(error instanceof TunnelProtocolError)) throw error
      this.close(CLOSE.protocol, error.message)
    }
  }

  /** Opens a stream. Throws `RangeError` when the head is larger than a frame. */
  open(head: unknown): TunnelStream {
    const id = this.#lastId + 1
    const frame = encodeJson('open', id, head)
    this.#lastId = id
    const stream = new TunnelStream(id, this)
    this.#streams.set(id, stream)
    this.send(frame)
    return stream
  }

  /** Ends the link for good. */
  close(code: number, reason: string): void {
    const wire = this.#wire
    this.#wire = null
    wire?.close(code, reason.slice(0, 100))
    this.#end(reason)
  }

  send(frame: Uint8Array): void {
    if (this.#isClosed) return
    this.#unacked.push(frame)
    this.#unackedBytes += frame.byteLength
    this.#wire?.send(frame)
  }

  hasRoom(stream: TunnelStream): boolean {
    if (this.#unackedBytes < LINK_WINDOW) return true
    this.#stalled.add(stream)
    return false
  }

  forget(stream: TunnelStream): void {
    this.#streams.delete(stream.id)
    this.#stalled.delete(stream)
  }

  #take(frame: Frame, size: number): void {
    if (!isNumbered(frame.kind)) return this.#takePlain(frame)
    this.#received++
    this.#untoldBytes += size
    if (frame.kind === 'open') this.#takeOpen(frame)
    // One that is over already: its last frames crossed our own.
    else this.#streams.get(frame.stream)?.receive(frame)
    if (this.#untoldBytes >= ACK_BYTES || this.#received - this.#told >= ACK_FRAMES) this.#tell()
  }

  #takePlain({ kind, value }: Frame): void {
    if (kind === 'ping') this.#wire?.send(encodeFrame('pong'))
    else if (kind === 'ack') {
      if (!this.canResume(value)) throw new TunnelProtocolError(`an acknowledgement of frame ${value}`)
      this.#forgetAcked(value)
      this.#flushStalled()
    } else if (kind !== 'pong') throw new TunnelProtocolError(`a ${kind} frame inside a link`)
  }

  #takeOpen(frame: Frame): void {
    if (frame.stream <= this.#lastId)
      throw new TunnelProtocolError(`stream ${frame.stream} was opened before`)
    this.#lastId = frame.stream
    const head = readJson(frame)
    const stream = new TunnelStream(frame.stream, this)
    this.#streams.set(frame.stream, stream)
    this.#ear.opened(stream, head)
  }

  #tell(): void {
    if (this.#told === this.#received) return
    this.#told = this.#received
    this.#untoldBytes = 0
    this.#wire?.send(encodeFrame('ack', 0, this.#received))
  }

  #forgetAcked(received: number): void {
    const count = received - this.#acked
    for (let i = 0; i < count; i++) this.#unackedBytes -= (this.#unacked[i] as Uint8Array).byteLength
    this.#unacked.splice(0, count)
    this.#acked = received
  }

  #flushStalled(): void {
    // One that stalls again comes behind the others, and then there is no room for any.
    for (const stream of this.#stalled) {
      if (this.#unackedBytes >= LINK_WINDOW) return
      this.#stalled.delete(stream)
      stream.flush()
    }
  }

  /** Pings, acknowledges what is due, and notices a wire that died without a word. */
  #watch(): void {
    this.#cancelTimer()
    this.#cancelTimer = this.#clock.timer(this.#times.beat, () => {
      const wire = this.#wire
      if (!wire) return
      if (this.#clock.now() - this.#heardAt >= this.#times.silence) {
        wire.close(CLOSE.silent, 'nothing was heard')
        return this.detach(wire)
      }
      this.#tell()
      wire.send(encodeFrame('ping'))
      this.#watch()
    })
  }

  #end(reason: string): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#cancelTimer()
    this.#stalled.clear()
    this.#unacked = []
    this.#unackedBytes = 0
    const streams = [...this.#streams.values()]
    this.#streams = new Map()
    for (const stream of streams) stream.fail(new UpstreamFailure('reset', `the tunnel broke: ${reason}`))
    this.#ear.closed()
  }
}
