// What is kept of a stream's events: with which bytes those with a token open, and the last two that had data, where they lie.
import { join } from './bytes.ts'
import { behindAlike, copyTo, giveSlot, lyingAt, SLOT, standsAt, takeSlot } from './slots.ts'
import { readEvent } from './sse.ts'

const NONE = -1
/** Longer openings are not kept. Bytes. */
const MOST = 512

/**
 * The opening lies in a slot: an event that opens like one before needs no look at its inside. Of events in memory that is used
 * again, what stands behind the opening is copied behind it there, the last one and the one before in turn.
 */
export class EventMemory {
  /** Null: it lies in the slot, or there is none. */
  #chunk: Uint8Array | null = null
  #start = 0
  #end = 0
  #olderChunk: Uint8Array | null = null
  #olderStart = 0
  #olderEnd = 0
  #slot = NONE
  /** Of the opening; 0: none is known. */
  length = 0
  /** Where the two copies lie, how much room each has, and where the last one is (0: none does). */
  #first = 0
  #half = 0
  #place = 0

  remember(chunk: Uint8Array | null, start: number, end: number): void {
    this.#olderChunk = this.#chunk
    this.#olderStart = this.#start
    this.#olderEnd = this.#end
    this.#chunk = chunk
    this.#start = start
    this.#end = end
  }

  /** Takes another opening; none where it is long, or hardly anything. */
  keep(bytes: Uint8Array, start: number, end: number): void {
    const length = end - start
    this.#leaveSlot()
    this.length = length >= 4 && length <= MOST ? length : 0
    if (this.length === 0) return
    if (this.#slot === NONE) this.#slot = takeSlot()
    const room = Math.ceil(length / 4) * 4
    this.#first = this.#slot + room
    this.#half = (SLOT - room) >> 1
    copyTo(this.#slot, bytes, start, length)
  }

  /** Whether the opening stands there, to its last byte. */
  standsAt(bytes: Uint8Array, start: number): boolean {
    const { length } = this
    return length > 0 && bytes.length - start >= length && standsAt(this.#slot, bytes, start, length)
  }

  /** Behind the event of one line that opens so there, ended by two LF or two CRLF; -1: it is another one, or not whole. */
  endOfEvent(bytes: Uint8Array, start: number): number {
    const { length } = this
    return length > 0 ? behindAlike(this.#slot, length, bytes, start) : -1
  }

  /** Whether that is such an event, and short enough to be copied. */
  fits(bytes: Uint8Array, start: number, end: number): boolean {
    const size = end - start - this.length
    return size >= 4 && size <= this.#half && this.endOfEvent(bytes, start) === end
  }

  /** As `remember`, of one that `fits`. */
  copy(bytes: Uint8Array, start: number, end: number): void {
    const size = end - start - this.length
    const place = this.#place === this.#first ? this.#first + this.#half : this.#first
    this.#place = place
    copyTo(place, bytes, start + this.length, size)
    this.remember(null, place, place + size)
  }

  /** All is forgotten. */
  close(): void {
    if (this.#slot === NONE) return
    giveSlot(this.#slot)
    this.#slot = NONE
    this.length = 0
    this.#chunk = this.#olderChunk = null
    this.#end = this.#olderEnd = 0
  }

  /** Data of the last one; '' when there is none. */
  get newer(): string {
    return dataOf(this.#event(this.#chunk, this.#start, this.#end))
  }

  /** Data of the one before. */
  get older(): string {
    return dataOf(this.#event(this.#olderChunk, this.#olderStart, this.#olderEnd))
  }

  #event(chunk: Uint8Array | null, start: number, end: number): Uint8Array | null {
    if (chunk !== null) return chunk.subarray(start, end)
    return end === 0 ? null : join([lyingAt(this.#slot, this.length), lyingAt(start, end - start)])
  }

  /** What lies in the slot goes to memory of its own. */
  #leaveSlot(): void {
    if (this.#place === 0) return
    this.#place = 0
    const newer = this.#event(this.#chunk, this.#start, this.#end)
    const older = this.#event(this.#olderChunk, this.#olderStart, this.#olderEnd)
    this.remember(older, 0, older?.length ?? 0)
    this.remember(newer, 0, newer?.length ?? 0)
  }
}

function dataOf(event: Uint8Array | null): string {
  return event === null ? '' : (readEvent(event).data ?? '')
}
