// Writes to plain sockets past node:stream: where the kernel takes all bytes at once, as it mostly does, its bookkeeping would
// cost 1.5 µs and 400 bytes a write.
import type { Socket } from 'node:net'
import { util } from './builtins.ts'
import { streamState, type StreamState } from './stream-state.ts'
import { writeThrough } from './write-through.ts'

/** What a socket writes to. Not documented: nothing relies on it before node:net was seen to use it so. */
interface Handle {
  writeLatin1String(ticket: Ticket | null, text: string): Written
  writeBuffer(ticket: Ticket | null, bytes: Uint8Array): Written
}

/** 0, what went wrong, or the ticket of a write that goes on, from Node 26, which makes one only then and wants none. */
type Written = number | Ticket

/** What a write that does not end at once is known by. Any number of writes that do may share one. */
interface Ticket {
  oncomplete?: (status: number) => void
  /** Held until then. */
  buffer?: Uint8Array
  /** −1: no write goes by it. */
  getAsyncId(): number
}

const isBun = 'bun' in process.versions

/** Node writes longer texts behind our back, whatever room there is. */
const MAX_TEXT = 16_384

/** node:net's own class of tickets. The first write of the process shows it; null: Node makes them itself. */
let Issued: (new () => Ticket) | null = null
/** What the next write goes by. Undefined: nobody knows how, and node:net is used. */
let ticket: Ticket | null | undefined
/** Tells whether a write goes on; null: then its ticket does, by a call out of compiled code. */
let state: StreamState | null = null
/** On other runtimes there is nothing to look for: what they lend under these names is made otherwise. */
let hasLooked = 'deno' in process.versions || isBun

/** The writing side of a socket. It may be written to by itself, too: the order stays. */
export class SocketWriter {
  readonly #socket: Socket
  /** It does not encrypt. */
  readonly isPlain: boolean
  /** Bytes are left that the kernel had no room for. */
  #isBusy = false
  /** Where the last bytes went by `pass`, all of them at once; null: the next ones ask the socket. */
  #way: Handle | null = null

  constructor(socket: Socket) {
    this.#socket = socket
    this.isPlain = !('encrypted' in socket)
  }

  /** It may be written to. */
  get isOpen(): boolean {
    return this.#socket.writable
  }

  /** The kernel has all that was written. */
  get isEmpty(): boolean {
    return this.#way !== null || (!this.#isBusy && this.#socket.writableLength === 0)
  }

  /** What it gets now is with the kernel when the call returns, unless that has no room. */
  get isDirect(): boolean {
    return this.#way !== null || (this.isPlain && this.isEmpty)
  }

  /** Writes latin1 text. As all of `write`: false means full, until the socket's 'drain'. */
  text(text: string): boolean {
    this.#way = null
    const handle = text.length > MAX_TEXT ? null : this.#handle()
    if (handle === null || ticket === undefined) return this.#socket.write(text, 'latin1')
    return this.#written(handle.writeLatin1String(ticket, text), null)
  }

  /** Writes bytes. Unless it `isEmpty` then, they must stay as they are. */
  bytes(bytes: Uint8Array): boolean {
    this.#way = null
    const handle = this.#handle()
    if (handle !== null && isBun) return writeThrough(this.#socket, handle, bytes)
    if (handle === null || ticket === undefined) return this.#socket.write(bytes)
    return this.#written(handle.writeBuffer(ticket, bytes), bytes)
  }

  /**
   * As `bytes`, for one piece after another: the socket is not looked at again while nobody else writes to it, for that costs 1 % of a
   * paced stream. Who does, or ends it, calls `look` first. A socket that was destroyed takes nothing.
   */
  pass(bytes: Uint8Array): boolean {
    if (this.#way !== null) return this.#written(this.#way.writeBuffer(ticket!, bytes), bytes)
    if (!this.isOpen) return true
    const hasRoom = this.bytes(bytes)
    if (!isBun && ticket !== undefined) this.#way = this.#handle()
    return hasRoom
  }

  /** The next write has a look at the socket. */
  look(): void {
    this.#way = null
  }

  /** Where to write at once, or null: then the socket does it. */
  #handle(): Handle | null {
    const socket = this.#socket as Socket & { _handle?: Handle | null }
    if (!this.isPlain || !this.isEmpty || socket.connecting || !socket.writable) return null
    const handle = socket._handle ?? null
    if (handle !== null && !hasLooked) look(handle)
    return handle
  }

  #written(written: Written, bytes: Uint8Array | null): boolean {
    if (typeof written !== 'number') return this.#wait(written, bytes)
    if (written !== 0) this.#fail(written)
    else if (ticket && goesOn(ticket)) return this.#wait(ticket, bytes)
    return true
  }

  /** The kernel took some of it at most. */
  #wait(used: Ticket, bytes: Uint8Array | null): boolean {
    if (Issued !== null) ticket = new Issued()
    this.#isBusy = true
    this.#way = null
    if (bytes !== null) used.buffer = bytes
    used.oncomplete = (status) => {
      this.#isBusy = false
      if (status < 0) this.#fail(status)
      else this.#socket.emit('drain')
    }
    return false
  }

  #fail(status: number): void {
    this.#way = null
    const code = util.getSystemErrorName(status)
    this.#socket.destroy(Object.assign(new Error(`write ${code}`), { code, errno: status, syscall: 'write' }))
  }
}

/** Whether the last write does, which went by that ticket. */
function goesOn(used: Ticket): boolean {
  return state === null ? used.getAsyncId() !== -1 : state.numbers[state.goesOnAt] !== 0
}

/** Has a look at the ticket that node:net writes with, when it does so next. */
function look(handle: Handle): void {
  hasLooked = true
  const { writeLatin1String, writeBuffer } = handle
  if (typeof writeLatin1String !== 'function' || typeof writeBuffer !== 'function') return
  const see = (seen: Ticket | null, written: Written) => {
    Object.assign(handle, { writeLatin1String, writeBuffer })
    if (seen === null && written === 0) ticket = null
    if (seen?.constructor.name !== 'WriteWrap' || typeof seen.getAsyncId !== 'function') return
    Issued = seen.constructor as new () => Ticket
    const fresh = new Issued()
    if (fresh.getAsyncId() === -1) ticket = fresh
    const lent = streamState()
    // Both tell the same of the write that was seen.
    if (lent !== null && (lent.numbers[lent.goesOnAt] !== 0) === (seen.getAsyncId() !== -1)) state = lent
  }
  handle.writeLatin1String = (seen, text) => {
    const written = writeLatin1String.call(handle, seen, text)
    see(seen, written)
    return written
  }
  handle.writeBuffer = (seen, bytes) => {
    const written = writeBuffer.call(handle, seen, bytes)
    see(seen, written)
    return written
  }
}

/** A reset can be told of it. */
export function isTcp(socket: object): boolean {
  return !('encrypted' in socket) && 'remoteFamily' in socket && socket.remoteFamily !== undefined
}
