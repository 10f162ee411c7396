// One socket to a worker: writes a request, reads the response, and says whether it may be used again.
import type { Socket } from 'node:net'
import { UpstreamFailure } from '../../../src/host.ts'
import type { Outgoing } from '../../../src/host.ts'
import { partOf, type Taker } from '../reader.ts'
import { Slab } from '../slab.ts'
import { SocketWriter } from '../writer.ts'
import { ChunkDecoder } from './chunks.ts'
import type { ResponseHead } from './head.ts'
import { Passing, type Passer } from './passing.ts'
import type { Workbench } from './workbench.ts'

/** Who is told about the response of one request. Exactly one of `end` and `fail` is called, unless the connection is destroyed by us. */
export interface Receiver {
  /** `isMoreHere`: what came with it is told at once; then comes `arrived`, also where that was nothing. */
  head(head: ResponseHead, isMoreHere?: true): void
  arrived(): void
  /** `isLast`: the end follows at once. */
  data(bytes: Uint8Array, isLast: boolean): void
  end(): void
  fail(failure: UpstreamFailure): void
}

const MAX_HEAD = 262_144
const NOTHING = Buffer.alloc(0)
/** Where pieces of responses lie, of all connections of a thread. */
const slab = new Slab()

const NO_SLICES: readonly Uint8Array[] = []

export class Connection implements Taker {
  readonly socket: Socket
  readonly #writer: SocketWriter
  readonly #workbench: Workbench
  /** What the socket's bytes come to first. */
  readonly passing: Passing
  /** Requests sent so far. */
  served = 0
  /** A byte of the current response came. */
  heard = false
  /** `performance.now()` since when it is idle, and for how long it may be as the worker says; Infinity: it does not. */
  idleSince = 0
  idleLimit = 0
  /** Called when a response ended and the connection can serve another request. */
  onIdle: (connection: Connection) => void
  #receiver: Receiver | null = null
  #method = ''
  #partial: Buffer = NOTHING
  #head: ResponseHead | null = null
  #left = 0
  #chunks: ChunkDecoder | null = null
  #sent = false
  /** The worker has: nothing can be read any more, and node:net ends what is written. */
  #hasEnded = false

  constructor(socket: Socket, workbench: Workbench, onIdle: (connection: Connection) => void) {
    this.socket = socket
    this.#writer = new SocketWriter(socket)
    this.#workbench = workbench
    this.passing = new Passing(this, workbench.frames)
    this.onIdle = onIdle
    // Of plain sockets `read` hears without this event; it must be asked for all the same, or their end would not come.
    socket.on('data', (bytes: Buffer) => this.read(bytes))
    socket.on('end', () => this.#ended())
    socket.on('error', (error) =>
      this.#fail(new UpstreamFailure('reset', `connection broke: ${codeOf(error)}`)),
    )
    socket.on('close', () => this.#fail(new UpstreamFailure('reset', 'connection closed by the worker')))
  }

  get usable(): boolean {
    return !this.#hasEnded && !this.socket.destroyed
  }

  /** The kernel has the whole request: its bytes are looked at no more. */
  get hasSent(): boolean {
    return this.#sent && this.#writer.isEmpty
  }

  /** Sends one request, whose head the workbench has. The connection must be idle. */
  send({ method, body }: Outgoing, receiver: Receiver): void {
    this.#receiver = receiver
    this.#method = method
    this.#head = null
    this.#chunks = null
    this.passing.isBetween = false
    this.passing.by(null)
    this.#partial = NOTHING
    this.#sent = true
    this.heard = false
    this.served++
    if (body !== null && isStream(body)) void this.#stream(body, receiver)
    else this.#slices(body ?? NO_SLICES)
  }

  pause(): void {
    this.socket.pause()
  }

  resume(): void {
    this.socket.resume()
  }

  /** Closes at once; the receiver hears nothing more. */
  destroy(): void {
    this.#receiver = null
    this.passing.by(null)
    this.socket.destroy()
  }

  /** From here on whole chunks of the response are offered to that one first. */
  passTo(passer: Passer): void {
    this.passing.by(passer)
  }

  #slices(slices: readonly Uint8Array[]): void {
    if (this.#workbench.send(this.#writer, slices)) return
    this.socket.cork()
    this.socket.write(this.#workbench.head)
    for (const slice of slices) if (slice.byteLength > 0) this.socket.write(slice)
    this.socket.uncork()
  }

  async #stream(body: ReadableStream<Uint8Array>, receiver: Receiver): Promise<void> {
    this.#sent = false
    const { socket } = this
    socket.write(this.#workbench.head)
    const reader = body.getReader()
    try {
      for (let next = await reader.read(); !next.done; next = await reader.read()) {
        if (this.#receiver !== receiver) break
        if (next.value.byteLength === 0) continue
        socket.cork()
        socket.write(`${next.value.byteLength.toString(16)}\r\n`, 'latin1')
        socket.write(next.value)
        const room = socket.write('\r\n', 'latin1')
        socket.uncork()
        if (!room) await drained(socket)
      }
      if (this.#receiver === receiver) {
        socket.write('0\r\n\r\n', 'latin1')
        this.#sent = true
      } else await reader.cancel()
    } catch {
      // The source of the body broke: the worker must not take what came for the whole.
      if (this.#receiver !== receiver) return
      this.destroy()
      receiver.fail(new UpstreamFailure('aborted', 'the request body broke off'))
    }
  }

  /** Takes the next bytes of the socket, `size` of them, from memory that the next read uses again. */
  arrive(bytes: Buffer, size: number): undefined {
    const { heads } = this.#workbench
    const isHeadDue = this.#head === null
    // A head that came before is not copied.
    const known = isHeadDue && this.#partial === NOTHING ? heads.again(bytes, size, this.#method) : null
    if (isHeadDue && known === null) this.read(Buffer.from(bytes.subarray(0, size)))
    else this.read(slab.copyOf(partOf(bytes, known === null ? 0 : known.size, size)), known)
  }

  /** Takes the next bytes of the socket, which are ours alone; `known`: the head before them. */
  read(bytes: Uint8Array, known: ResponseHead | null = null): void {
    // Bytes that nobody asked for: a late answer must never be taken for the next one's.
    if (this.#receiver === null) return void this.socket.destroy()
    this.heard = true
    try {
      if (known !== null) this.#start(known, bytes)
      else if (this.#head === null) this.#readHead(bytes as Buffer)
      else this.#readBody(bytes)
    } catch (error) {
      const failure =
        error instanceof UpstreamFailure
          ? error
          : new UpstreamFailure('protocol', `reading failed: ${String(error)}`)
      this.#fail(failure)
      this.socket.destroy()
    }
  }

  #readHead(bytes: Buffer): void {
    let rest = this.#partial.length === 0 ? bytes : Buffer.concat([this.#partial, bytes])
    for (;;) {
      const head = this.#workbench.heads.read(rest, this.#method)
      if (head === null) return this.#wait(rest)
      rest = rest.subarray(head.size)
      if (head.status >= 200) return this.#start(head, rest)
      if (head.status === 101) throw new UpstreamFailure('protocol', 'the worker switched protocols unasked')
    }
  }

  /** Keeps what is here of a head. */
  #wait(part: Buffer): void {
    if (part.length > MAX_HEAD) throw new UpstreamFailure('protocol', 'the head of the response is too large')
    // Fails early on something that is not HTTP, and never waits for its end. Lines may not end by LF alone.
    if ((part.length >= 7 && part.toString('latin1', 0, 7) !== 'HTTP/1.') || part.includes('\n\n'))
      throw new UpstreamFailure('protocol', 'not HTTP/1.1')
    this.#partial = part
  }

  #start(head: ResponseHead, rest: Uint8Array): void {
    this.#head = head
    this.#partial = NOTHING
    const { framing } = head
    if (framing.kind === 'chunked') this.#chunks = new ChunkDecoder()
    this.#left = framing.kind === 'length' ? framing.length : 0
    const receiver = this.#receiver
    receiver?.head(head, true)
    if (framing.kind === 'none' || (framing.kind === 'length' && framing.length === 0))
      this.#complete(rest.length)
    else if (rest.length > 0) this.#readBody(rest)
    receiver?.arrived()
  }

  #readBody(bytes: Uint8Array): void {
    const receiver = this.#receiver!
    if (this.#chunks !== null) {
      const payload = this.#chunks.decode(bytes)
      this.passing.isBetween = this.#chunks.isBetween
      if (payload.length > 0) receiver.data(payload, this.#chunks.done)
      if (this.#chunks.done && this.#receiver === receiver)
        this.#complete(bytes.length - this.#chunks.consumed)
      return
    }
    if (this.#head!.framing.kind === 'eof') return receiver.data(bytes, false)
    const body = bytes.length > this.#left ? bytes.subarray(0, this.#left) : bytes
    this.#left -= body.length
    receiver.data(body, this.#left === 0)
    if (this.#left === 0 && this.#receiver === receiver) this.#complete(bytes.length - body.length)
  }

  /** The response is whole; `extra` bytes behind it mean that the worker's framing can't be trusted any further. */
  #complete(extra: number): void {
    const receiver = this.#receiver!
    this.#receiver = null
    this.passing.by(null)
    const head = this.#head!
    if (head.reusable && extra === 0 && this.#sent && this.#writer.isEmpty && this.usable) {
      this.idleLimit =
        head.keepAlive === null ? Infinity : Math.max(head.keepAlive - 1000, head.keepAlive / 2)
      if (this.socket.isPaused()) this.socket.resume()
      this.onIdle(this)
    } else {
      this.socket.destroy()
    }
    receiver.end()
  }

  #ended(): void {
    this.#hasEnded = true
    if (this.#receiver !== null && this.#head?.framing.kind === 'eof') this.#complete(0)
    else
      this.#fail(new UpstreamFailure('reset', 'the worker closed the connection before its answer was whole'))
  }

  #fail(failure: UpstreamFailure): void {
    const receiver = this.#receiver
    if (receiver === null) return
    this.#receiver = null
    this.passing.by(null)
    receiver.fail(failure)
  }
}

function isStream(
  body: readonly Uint8Array[] | ReadableStream<Uint8Array>,
): body is ReadableStream<Uint8Array> {
  return 'getReader' in body
}

function drained(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      socket.off('drain', done)
      socket.off('close', done)
      resolve()
    }
    socket.on('drain', done)
    socket.on('close', done)
  })
}

function codeOf(error: Error): string {
  return 'code' in error ? String(error.code) : error.message
}
