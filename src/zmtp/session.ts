// One ZMTP connection that stands: handshake, whole messages in and out, and heartbeats.
import { encodeCommand, encodeMessage, FrameReader, readCommand, ZmtpError, type Frame } from './frames.ts'
import { greeting, GREETING_BYTES, readGreeting, readReady, readyData, type SocketType } from './handshake.ts'
import type { Clock, Wire } from './wire.ts'

/** A message may have so many parts, and bytes in all. */
const MAX_PARTS = 64
const MAX_BYTES = 64 * 1024 * 1024
/** A handshake takes at most this, ms. */
const HANDSHAKE_TIME = 10_000
/** A peer that was silent for so long is asked, and given up after three such times, ms. */
const HEARTBEAT = 10_000
const NOTHING = new Uint8Array(0)

export interface SessionOptions {
  readonly type: SocketType
  readonly clock: Clock
  /** What a ROUTER knows us by; none: it makes one up. */
  readonly identity?: Uint8Array
  /** Bytes of the longest message taken. Default: 64 MiB. */
  readonly limit?: number
}

/** What came: a message, or a subscription of a SUB peer (told the same way in both versions of the protocol). */
export type Incoming =
  | { readonly kind: 'message'; readonly parts: readonly Uint8Array[] }
  | { readonly kind: 'subscribe' | 'cancel'; readonly topic: Uint8Array }

export class Session {
  /** What the other side said of itself. Empty: no identity. */
  readonly identity: Uint8Array
  readonly #wire: Wire
  readonly #options: SessionOptions
  readonly #reader: FrameReader
  /** ZMTP 3.0 has no commands for subscriptions and no heartbeats. */
  readonly #isNew: boolean
  #parts: Uint8Array[] = []
  #size = 0
  #heardAt: number
  #cancelBeat = () => {}
  #isClosed = false

  private constructor(wire: Wire, options: SessionOptions, met: Met) {
    this.#wire = wire
    this.#options = options
    this.#reader = met.reader
    this.#isNew = met.minor >= 1
    this.identity = met.identity
    this.#heardAt = options.clock.now()
    if (this.#isNew) this.#beat()
  }

  /** Shakes hands. Rejects with a `ZmtpError`, or with the wire's own error; the wire is closed then. */
  static async open(wire: Wire, options: SessionOptions): Promise<Session> {
    const cancel = options.clock.timer(HANDSHAKE_TIME, () => wire.close())
    try {
      return new Session(wire, options, await meet(wire, options))
    } catch (error) {
      wire.close()
      throw error
    } finally {
      cancel()
    }
  }

  /** The next that came; null at the end. Rejects when the connection or the protocol broke. */
  async receive(): Promise<Incoming | null> {
    for (;;) {
      const frame = this.#reader.next()
      if (frame === null) {
        const bytes = await this.#wire.read()
        if (bytes === null) return null
        this.#heardAt = this.#options.clock.now()
        this.#reader.push(bytes)
        continue
      }
      const incoming = frame.isCommand ? await this.#command(frame) : this.#message(frame)
      if (incoming !== null) return incoming
    }
  }

  /** Resolves when more may be sent. */
  send(parts: readonly Uint8Array[]): Promise<void> {
    return this.#wire.write(encodeMessage(parts))
  }

  /** Asks a PUB for all messages whose first part begins so. */
  subscribe(topic: Uint8Array): Promise<void> {
    if (this.#isNew) return this.#wire.write(encodeCommand('SUBSCRIBE', topic))
    const body = new Uint8Array(1 + topic.length)
    body[0] = 1
    body.set(topic, 1)
    return this.send([body])
  }

  close(): void {
    this.#isClosed = true
    this.#cancelBeat()
    this.#wire.close()
  }

  #message({ body, isMore }: Frame): Incoming | null {
    this.#size += body.length
    if (this.#parts.length === MAX_PARTS) throw new ZmtpError(`a message of more than ${MAX_PARTS} parts`)
    if (this.#size > (this.#options.limit ?? MAX_BYTES))
      throw new ZmtpError(`a message of ${this.#size} bytes`)
    this.#parts.push(body)
    if (isMore) return null
    const parts = this.#parts
    this.#parts = []
    this.#size = 0
    // How subscriptions come in ZMTP 3.0.
    const first = parts[0]![0]
    if (this.#options.type === 'PUB' && (first === 0 || first === 1))
      return { kind: first === 1 ? 'subscribe' : 'cancel', topic: parts[0]!.subarray(1) }
    return { kind: 'message', parts }
  }

  async #command({ body }: Frame): Promise<Incoming | null> {
    const { name, data } = readCommand(body)
    if (name === 'SUBSCRIBE') return { kind: 'subscribe', topic: data }
    if (name === 'CANCEL') return { kind: 'cancel', topic: data }
    if (name === 'ERROR') throw refused(data)
    // Two bytes of time to live, then what the answer has to repeat.
    if (name === 'PING') await this.#wire.write(encodeCommand('PONG', data.subarray(2)))
    return null
  }

  /** A peer whose machine is gone ends no connection by itself. */
  #beat(): void {
    const { clock } = this.#options
    this.#cancelBeat = clock.timer(HEARTBEAT, () => {
      if (this.#isClosed) return
      const silence = clock.now() - this.#heardAt
      if (silence > 3 * HEARTBEAT) return this.close()
      // Reading will tell of a connection that broke.
      if (silence >= HEARTBEAT * 0.9) this.#wire.write(encodeCommand('PING', PING)).catch(() => {})
      this.#beat()
    })
  }
}

/** No time to live, no context. */
const PING = new Uint8Array(2)

interface Met {
  readonly reader: FrameReader
  readonly minor: number
  readonly identity: Uint8Array
}

async function meet(wire: Wire, options: SessionOptions): Promise<Met> {
  const reader = new FrameReader(options.limit ?? MAX_BYTES)
  await wire.write(greeting())
  const minor = readGreeting(await until(wire, reader, () => reader.take(GREETING_BYTES)))
  await wire.write(encodeCommand('READY', readyData(options.type, options.identity ?? NOTHING)))
  const frame = await until(wire, reader, () => reader.next())
  if (!frame.isCommand) throw new ZmtpError('a message before READY')
  const { name, data } = readCommand(frame.body)
  if (name === 'ERROR') throw refused(data)
  if (name !== 'READY') throw new ZmtpError(`${name} in place of READY`)
  return { reader, minor, identity: readReady(data, options.type).identity }
}

async function until<T>(wire: Wire, reader: FrameReader, take: () => T | null): Promise<T> {
  for (;;) {
    const taken = take()
    if (taken !== null) return taken
    const bytes = await wire.read()
    if (bytes === null) throw new ZmtpError('the other side ended the connection in the handshake')
    reader.push(bytes)
  }
}

function refused(data: Uint8Array): ZmtpError {
  const reason = String.fromCharCode(...data.subarray(1, 1 + (data[0] ?? 0)))
  return new ZmtpError(`the other side refuses: ${reason}`)
}
