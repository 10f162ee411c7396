// The last two events of a stream that had data, where they lie: they are read only when the stream is over, and seldom then.
import { readEvent } from './sse.ts'

export class LastEvents {
  #chunk: Uint8Array | null = null
  #start = 0
  #end = 0
  #olderChunk: Uint8Array | null = null
  #olderStart = 0
  #olderEnd = 0

  remember(chunk: Uint8Array, start: number, end: number): void {
    this.#olderChunk = this.#chunk
    this.#olderStart = this.#start
    this.#olderEnd = this.#end
    this.#chunk = chunk
    this.#start = start
    this.#end = end
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
