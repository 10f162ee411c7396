// The last two events of a stream that had data, where they lie: they are read only when the stream is over, and seldom then.
import { copyWords } from './opening.ts'
import { readEvent } from './sse.ts'

/** Room for an event: its bytes, and the same as words. */
interface Room {
  readonly bytes: Uint8Array
  readonly words: DataView
}

export class LastEvents {
  #chunk: Uint8Array | null = null
  #start = 0
  #end = 0
  #olderChunk: Uint8Array | null = null
  #olderStart = 0
  #olderEnd = 0
  /** Where the last two copies lie; the spare one is written next. */
  #kept: Room | null = null
  #spare: Room | null = null

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
    const spare = this.#spare
    const room = spare !== null && spare.bytes.length >= size ? spare : roomFor(size)
    this.#spare = this.#kept
    this.#kept = room
    copyWords(chunk, start, end, room.words)
    this.remember(room.bytes, 0, size)
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
  const bytes = new Uint8Array(Math.ceil((size + 32) / 4) * 4)
  return { bytes, words: new DataView(bytes.buffer) }
}
