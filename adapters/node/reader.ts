// Reads sockets past node:stream into one buffer that all of a thread share: its bookkeeping, and a buffer of its own for each
// read, would cost 1.5 µs a read. A socket's own timeout (`setTimeout`) does not hear of these reads.
import type { Socket } from 'node:net'
import { readPushed } from './pushed.ts'
import { streamState, type StreamState } from './stream-state.ts'

/** Who takes what is read: an object in place of a function, for each thing that a read has to look up costs 0.5 % of a paced stream. */
export interface Taker {
  /**
   * What was read lies at the start of `bytes`, `size` of it, and only during the call. May return where the next bytes are read to;
   * that buffer must stay what it is until another one is returned.
   */
  arrive(bytes: Buffer, size: number): Buffer | undefined
}

/** What a socket reads from. Not documented: `readPast` looks before it relies on it. */
interface Handle {
  onread: OnRead
  useUserBuffer(bytes: Uint8Array): void
}

/** One that is read past its stream. What a read needs lies in it, which each read looks up anyway, and one function reads all. */
interface Read extends Handle {
  [takes]: Taker
  [goesTo]: Buffer
  [ofSocket]: Socket
}

type OnRead = (this: Read, bytes?: ArrayBuffer) => Uint8Array | undefined

const takes = Symbol('taker')
const goesTo = Symbol('into')
const ofSocket = Symbol('socket')

/** node:net's way of reading into a buffer of the user's (its option `onread`), on each of its sockets under symbols. */
interface Inner {
  _handle?: Partial<Handle> | null
  [key: symbol]: unknown
}

/** What is known of them once one was looked at. */
interface Known {
  readonly buffer: symbol
  readonly callback: symbol
  /** What node:net's handles call, and what those call that are read past their streams. */
  readonly own: OnRead
  readonly past: OnRead
}

/** Where sockets are read into, one at a time. */
export const arrivals: Buffer = Buffer.allocUnsafeSlow(65_536)
const memory = arrivals.buffer

/** A part of what was read to there. `subarray` would make a Buffer, and ask V8 for its memory: twice as dear. */
export function partOf(bytes: Buffer, from: number, to: number): Uint8Array {
  return bytes === arrivals ? new Uint8Array(memory, from, to - from) : bytes.subarray(from, to)
}

const isBun = 'bun' in process.versions
/** Undefined: nobody has looked. Other runtimes lend other things under these names. */
let known: Known | null | undefined = 'deno' in process.versions || isBun ? null : undefined

/**
 * From now on `taker` gets what arrives; ends, errors and holding back (`pause`) are the socket's, as ever. Call it where the socket is
 * connected and nothing was read yet. Returns what gives the socket back: its bytes are 'data' again from the next read on. Null where
 * this runtime's sockets can't be read so: nothing was done.
 */
export function readPast(socket: Socket, taker: Taker): (() => void) | null {
  if (socket.readableLength > 0) return null
  if (isBun) return 'encrypted' in socket ? null : readPushed(socket, taker, arrivals)
  const inner = socket as unknown as Inner
  const handle = inner._handle
  if (!isAsKnown(handle)) return null
  if (known === undefined) known = look(inner, handle.onread)
  if (known === null || handle.onread !== known.own || inner[known.buffer] !== null) return null
  const { buffer, callback, own, past } = known
  handle.useUserBuffer(arrivals)
  const read = Object.assign(handle, { [takes]: taker, [goesTo]: arrivals, [ofSocket]: socket })
  read.onread = past
  // By these node:net holds the socket back, and reads it once it is given back.
  inner[buffer] = arrivals
  inner[callback] = (size: number, bytes: Buffer) => socket.push(Buffer.from(bytes.subarray(0, size)))
  return () => {
    inner[buffer] = read[goesTo]
    read.onread = own
  }
}

/** What all handles call that are read past their streams; `own`: what node:net's do. */
function reading({ numbers, readAt }: StreamState, own: OnRead): OnRead {
  return function (bytes) {
    const size = numbers[readAt]!
    // An end or an error is node:net's.
    if (size <= 0) return own.call(this, bytes)
    let next: Buffer | undefined
    try {
      next = this[takes].arrive(this[goesTo], size)
    } catch (error) {
      // Nothing more may come to where it goes now: nobody said that it still may.
      this[ofSocket].destroy()
      throw error
    }
    if (next !== undefined) this[goesTo] = next
    return next
  }
}

function look(inner: Inner, own: OnRead): Known | null {
  const [buffer, callback] = [symbolOf(inner, 'kBuffer'), symbolOf(inner, 'kBufferCb')]
  if (buffer === undefined || callback === undefined) return null
  const state = streamState()
  return state && { buffer, callback, own, past: reading(state, own) }
}

function isAsKnown(handle: Partial<Handle> | null | undefined): handle is Handle {
  return typeof handle?.useUserBuffer === 'function' && handle.onread?.name === 'onStreamRead'
}

function symbolOf(inner: Inner, name: string): symbol | undefined {
  return Object.getOwnPropertySymbols(inner).find(({ description }) => description === name)
}
