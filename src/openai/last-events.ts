// The last two events of a stream that had data, where they lie: they are read only when the stream is over, and seldom then.
import { copyWords } from './opening.ts'
import { readEvent } from './sse.ts'

/** Where copies lie, one in each half: it is made of one piece, for that is what costs. */
interface Room {
  readonly bytes: Uint8Array
  /** The same. */
  readonly words: DataView
  readonly half: number
  /** Where the last copy lies; the other half has the one before, which falls out next. */
  place: number
}

export class LastEvents {
  #chunk: Uint8Array | null = null
  #start = 0
  #end = 0
  #olderChunk: Uint8Array | null = null
  #olderStart = 0
  #olderEnd = 0
  #room: Room | null = null

  remember(chunk: Uint8Array, start: number, end: number): void {
    this.#olderChunk = this.#chunk
    this.#olderStart = this.#start
    this.#olderEnd = this.#end
    this.#chunk = chunk
    this.#start = start
    this.#end = end
  }

  /** As `remember`, of memory that is used again, up to three bytes behind the event included. */
  copy(chunk: Uint8Array, start: number, end: number): void {
    const size = end - start
    const room = this.#room !== null && this.#room.half >= size ? this.#room : roomFor(size)
    this.#room = room
    room.place = room.half - room.place
    copyWords(chunk, start, size, room)
    this.remember(room.bytes, room.place, room.place + size)
  }

  /** Data of the last one; '' when there is none. */
  get newer(): string {
    return dataAt(this.#chunk, this.#start, this.#end)
  }

  /** Data of the one before. */
  get older(): string {
    return dataAt(this.#olderChunk, this.#olderStart, this.#olderEnd)
  }
}

function dataAt(chunk: Uint8Array | null, start: number, end: number): string {
  return chunk === null ? '' : (readEvent(chunk.subarray(start, end)).data ?? '')
}

/** With some more: the events of a stream are about as long as one another. */
function roomFor(size: number): Room {
  const half = Math.ceil((size + 32) / 4) * 4
  const bytes = new Uint8Array(2 * half)
  return { bytes, words: new DataView(bytes.buffer), half, place: 0 }
}
