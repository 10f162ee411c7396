// The last two events of a stream that had data, where they lie: they are read only when the stream is over, and seldom then.
import { join } from './bytes.ts'
import { behindBlankLine, findLow, type Opening } from './opening.ts'
import { copyTo, giveSlot, lyingAt, SLOT, standsAt, takeSlot } from './slots.ts'
import { readEvent } from './sse.ts'

const NONE = -1

/**
 * Of events in memory that is used again, what stands behind their opening is copied to a slot, the last one and the one before in
 * turn. In front of both lies the opening, with which the next ones are compared there.
 */
export class LastEvents {
  /** Null: it lies in the slot, or there is none. */
  #chunk: Uint8Array | null = null
  #start = 0
  #end = 0
  #olderChunk: Uint8Array | null = null
  #olderStart = 0
  #olderEnd = 0
  #slot = NONE
  /** Of the opening in the slot. */
  #length = 0
  /** Room for each copy, and where the last one lies. */
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

  /** Takes this opening from an event to the slot, where it is that of the ones which are `copied` next; false: it opens otherwise. */
  open(opening: Opening, bytes: Uint8Array, start: number): boolean {
    const { length } = opening
    if (!opening.standsAt(bytes, start)) return false
    if (this.#slot === NONE) this.#slot = takeSlot()
    else if (length === this.#length && standsAt(this.#slot, bytes, start, length)) return true
    this.#leaveSlot()
    this.#length = length
    const behind = this.#slot + Math.ceil(length / 4) * 4
    this.#half = ((this.#slot + SLOT - behind) >> 3) << 2
    this.#place = behind
    copyTo(this.#slot, bytes, start, length)
    return true
  }

  /** Whether that is one event of one line, opens so, and is short enough to be copied. */
  fits(bytes: Uint8Array, start: number, end: number): boolean {
    const behind = start + this.#length
    if (end - behind < 4 || end - behind > this.#half || !standsAt(this.#slot, bytes, start, this.#length))
      return false
    return behindBlankLine(bytes, findLow(bytes, behind)) === end
  }

  /** As `remember`, of one that `fits`. */
  copy(bytes: Uint8Array, start: number, end: number): void {
    const from = start + this.#length
    const first = this.#slot + Math.ceil(this.#length / 4) * 4
    const place = this.#place === first ? first + this.#half : first
    this.#place = place
    copyTo(place, bytes, from, end - from)
    this.remember(null, place, place + end - from)
  }

  /** Both are forgotten. */
  close(): void {
    if (this.#slot === NONE) return
    giveSlot(this.#slot)
    this.#slot = NONE
    this.#length = 0
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
    return end === 0 ? null : join([lyingAt(this.#slot, this.#length), lyingAt(start, end - start)])
  }

  /** What lies in the slot goes to memory of its own. */
  #leaveSlot(): void {
    const newer = this.#event(this.#chunk, this.#start, this.#end)
    const older = this.#event(this.#olderChunk, this.#olderStart, this.#olderEnd)
    this.remember(older, 0, older?.length ?? 0)
    this.remember(newer, 0, newer?.length ?? 0)
  }
}

function dataOf(event: Uint8Array | null): string {
  return event === null ? '' : (readEvent(event).data ?? '')
}
