// One memory for what open streams keep of their events: arrays of their own cost each stream more to make, and each event more to
// reach (a paced stream finds nothing of its own in the processor's cache: 0.5 % of its CPU for each thing that it looks up).
import { behindBlankLine, lowIn, viewOf } from './lines.ts'

/** Bytes that each gets. */
export const SLOT = 1024
const FIRST = 64 * SLOT

let bytes = new Uint8Array(FIRST)
let words = new DataView(bytes.buffer)
/** Where slots begin that were given back, and how many bytes of the memory were ever handed out. */
let free: number[] = []
let used = 0

/** Where a slot begins. It must be given back. */
export function takeSlot(): number {
  const again = free.pop()
  if (again !== undefined) return again
  const slot = used
  used += SLOT
  if (used > bytes.length) useMemory(bytes.length * 2)
  return slot
}

/** Takes a slot back; where none is out, the memory shrinks to what it was at first. */
export function giveSlot(slot: number): void {
  free.push(slot)
  if (free.length * SLOT < used || used <= FIRST) return
  // None is out: the memory of busier days goes.
  free = []
  used = 0
  useMemory(FIRST)
}

function useMemory(size: number): void {
  const before = bytes
  bytes = new Uint8Array(size)
  words = new DataView(bytes.buffer)
  if (size > before.length) bytes.set(before)
}

/** Copies `size` bytes to a place of this memory. At least four. */
export function copyTo(place: number, from: Uint8Array, start: number, size: number): void {
  const read = viewOf(from)
  const base = from.byteOffset + start
  const last = size - 4
  for (let at = 0; at < last; at += 4) words.setInt32(place + at, read.getInt32(base + at, true), true)
  words.setInt32(place + last, read.getInt32(base + last, true), true)
}

/** Whether those at a place are the same. At least four. */
export function standsAt(place: number, from: Uint8Array, start: number, size: number): boolean {
  return isSame(place, viewOf(from), from.byteOffset + start, size)
}

/**
 * Behind the event of one line that begins at `start` with the `size` bytes at a place (at least four), ended by two LF or two CRLF;
 * -1: it is another one, or not whole. One function for all of it, for each event asks this: 80 in place of 100 ns of a burst's.
 */
export function behindAlike(place: number, size: number, from: Uint8Array, start: number): number {
  if (from.length - start < size) return -1
  const read = viewOf(from)
  const base = from.byteOffset
  return isSame(place, read, base + start, size)
    ? behindBlankLine(from, lowIn(read, base, from, start + size))
    : -1
}

function isSame(place: number, read: DataView, from: number, size: number): boolean {
  const last = size - 4
  for (let at = 0; at < last; at += 4)
    if (words.getInt32(place + at, true) !== read.getInt32(from + at, true)) return false
  return words.getInt32(place + last, true) === read.getInt32(from + last, true)
}

/** What lies there, until it is written over. */
export function lyingAt(place: number, size: number): Uint8Array {
  return bytes.subarray(place, place + size)
}
