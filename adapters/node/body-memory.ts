// The memory that request bodies lie in, used again once nobody reads a body any more. It is outside of V8's heap, which collects
// all the sooner the more of it waits to be collected (the figure: bench/README.md, "Long bodies").
import { Slab } from './slab.ts'
// The global is a getter, and asked for each body.
import { Buffer } from 'node:buffer'

/** On buffers that may be freed: where the body begins, if they are of a shelf and nobody has the bytes before it; or one of these. */
const ORIGIN = Symbol('origin')
const USED = 0
const ELSEWHERE = -1

/** Bytes before each body of a shelf: there the head is put that a worker gets with it. */
const FRONT = 2048

/** Bodies below this are left to the collector, bytes. */
const LEAST = 4096
/** Larger buffers are not kept, bytes. */
const MOST = 1_048_576
/** Bytes of buffers that are kept at once. */
const LIMIT = 16 * 1024 * 1024
/** Bytes of buffers that bodies are waited for in. */
const WAITING_LIMIT = 8 * 1024 * 1024
/** Buffers that nobody needed for so long are given up, ms. */
const IDLE = 10_000

interface Marked extends ArrayBuffer {
  [ORIGIN]?: number
}

/** Free buffers of one size. */
interface Shelf {
  readonly buffers: ArrayBuffer[]
  /** So many of them, from the first on, have lain there since the last sweep. */
  untouched: number
}

export class BodyMemory {
  /** By size. */
  readonly #shelves = new Map<number, Shelf>()
  #kept = 0
  #waiting = 0
  readonly #small = new Slab()
  #sweeper: ReturnType<typeof setTimeout> | null = null

  /** Bytes of free buffers. */
  get kept(): number {
    return this.#kept
  }

  /** Room for a body of `size` bytes, which are any until they are written. */
  room(size: number): Uint8Array {
    if (size < LEAST || size > MOST - FRONT) return this.mark(fresh(size))
    return bodyIn(this.#take(capacityOf(FRONT + size)), FRONT, size)
  }

  /**
   * Where a head of so many bytes and a body behind it may be read to, in one go, so that the body can stay there; it is for `keep` or
   * `giveUp`. It begins at a multiple of four, and may be longer. Null: this can't be, or too much waits so already.
   */
  ahead(head: number, size: number): Buffer | null {
    const capacity = capacityOf(FRONT + size)
    if (head > FRONT || this.#waiting + capacity > WAITING_LIMIT) return null
    this.#waiting += capacity
    return Buffer.from(this.#take(capacity), (FRONT - head) & ~3)
  }

  /** The body that came to such a place, from `from` to `to`. */
  keep({ buffer, byteOffset }: Buffer, from: number, to: number): Uint8Array {
    this.#waiting -= buffer.byteLength
    return bodyIn(buffer as ArrayBuffer, byteOffset + from, to - from)
  }

  /** Takes such a place back: nothing is read to it any more. */
  giveUp({ buffer }: Buffer): void {
    this.#waiting -= buffer.byteLength
    this.#put(buffer as ArrayBuffer)
  }

  #take(capacity: number): ArrayBuffer {
    const shelf = this.#shelfOf(capacity)
    const kept = shelf.buffers.pop()
    if (kept === undefined) return fresh(capacity).buffer as ArrayBuffer
    this.#kept -= capacity
    if (shelf.buffers.length < shelf.untouched) shelf.untouched = shelf.buffers.length
    return kept
  }

  /**
   * A body with so many bytes before it, for a head to be put there: the copy of a long body behind its head would cost more than
   * the rest of sending it. Null where there is no room, or somebody had it already, whose write may still be under way.
   */
  withFront(body: Uint8Array, size: number): Uint8Array | null {
    const start = body.byteOffset
    if (body.byteLength < LEAST || start < size) return null
    const buffer: Marked = body.buffer as ArrayBuffer
    if (buffer[ORIGIN] !== start) return null
    buffer[ORIGIN] = USED
    return new Uint8Array(buffer, start - size, size + body.byteLength)
  }

  /** A body of these bytes. */
  copyOf(bytes: Uint8Array): Uint8Array {
    const size = bytes.byteLength
    if (size < LEAST) return this.#small.copyOf(bytes)
    const copy = this.room(size)
    copy.set(bytes)
    return copy
  }

  /** Lets the memory of a body be freed that fills a buffer of its own. Returns the body. */
  mark(body: Uint8Array): Uint8Array {
    const isAlone = body.byteLength >= LEAST && body.byteLength === body.buffer.byteLength
    return isAlone && (body.buffer as Marked)[ORIGIN] === undefined ? marked(body, ELSEWHERE) : body
  }

  /**
   * Takes a body's memory back, where it came from here: at once, so its bytes must have left the process. Whoever looks at the
   * body after that sees none of it, and nothing of the next one: its buffer is detached.
   */
  free(body: Uint8Array): void {
    // To ask for its buffer is a call into V8.
    if (body.byteLength < LEAST) return
    const { buffer } = body
    if (!(buffer instanceof ArrayBuffer)) return
    const origin = (buffer as Marked)[ORIGIN]
    if (origin === undefined || buffer.detached) return
    if (origin === ELSEWHERE) buffer.transfer(0)
    else this.#put(buffer)
  }

  #put(buffer: ArrayBuffer): void {
    const capacity = buffer.byteLength
    if (this.#kept + capacity > LIMIT) return void buffer.transfer(0)
    this.#shelfOf(capacity).buffers.push(buffer.transfer())
    this.#kept += capacity
    this.#sweeper ??= setTimeout(() => this.sweep(), IDLE).unref()
  }

  /** Gives up what nobody needed since the last time. */
  sweep(): void {
    for (const [capacity, shelf] of this.#shelves) {
      for (const buffer of shelf.buffers.splice(0, shelf.untouched)) {
        this.#kept -= capacity
        buffer.transfer(0)
      }
      shelf.untouched = shelf.buffers.length
      if (shelf.untouched === 0) this.#shelves.delete(capacity)
    }
    if (this.#sweeper !== null) clearTimeout(this.#sweeper)
    this.#sweeper = this.#kept > 0 ? setTimeout(() => this.sweep(), IDLE).unref() : null
  }

  #shelfOf(capacity: number): Shelf {
    const known = this.#shelves.get(capacity)
    if (known !== undefined) return known
    const shelf = { buffers: [], untouched: 0 }
    this.#shelves.set(capacity, shelf)
    return shelf
  }
}

/** That of this thread. */
export const bodies = new BodyMemory()

/** Four sizes between a power of two and the next: at most a quarter of a buffer is more than was asked for. */
function capacityOf(size: number): number {
  const unit = 1 << (29 - Math.clz32(size - 1))
  return Math.ceil(size / unit) * unit
}

/** Not zeroed. Large ones take up memory only as they fill. */
function fresh(size: number): Uint8Array {
  return new Uint8Array(Buffer.allocUnsafeSlow(size).buffer)
}

function bodyIn(buffer: ArrayBuffer, start: number, size: number): Uint8Array {
  return marked(new Uint8Array(buffer, start, size), start)
}

/** The mark is the buffer's: a property of the array would make two kinds of arrays of all that is read byte by byte. */
function marked(body: Uint8Array, origin: number): Uint8Array {
  ;(body.buffer as Marked)[ORIGIN] = origin
  return body
}
