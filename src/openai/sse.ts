// Cuts a stream of server-sent events into events without changing a byte of it.
import { codes, join, startsWith } from './bytes.ts'
import { findLow } from './lines.ts'

/** One event as a client reads it: `data` lines are joined with a line feed; null when there was none (a comment). */
export interface SseEvent {
  readonly name: string
  readonly data: string | null
}

const LF = 0x0a
const CR = 0x0d
/** What nearly every event of most APIs begins with. */
const DATA = codes('data: ')
const decoder = new TextDecoder()

/**
 * Finds where events end, over any tearing into chunks. Lines end in LF, CRLF or CR (WHATWG HTML, "Parsing an event stream").
 * A CR that ends an event at the very end of a chunk ends it at once; the LF that may follow then leads the next event.
 */
export class EventFinder {
  #lineIsEmpty = true
  #isAfterCr = false
  /** Whether bytes of an event have come whose end has not. */
  isInside = false

  /** The next byte is the first one of an event. */
  get isBetween(): boolean {
    return !this.isInside && !this.#isAfterCr
  }

  /**
   * Position behind the next event's last byte, or -1 when it does not end in this chunk. Call it again from there, then with the
   * next chunk from 0. Between events, whole ones may be left out.
   */
  findEnd(chunk: Uint8Array, from: number): number {
    const length = chunk.length
    let at = from
    if (this.#isAfterCr && at < length) {
      this.#isAfterCr = false
      if (chunk[at] === LF) at++
    }
    if (at < length) this.isInside = true
    let isEmpty = this.#lineIsEmpty
    for (; at < length; at++) {
      if (chunk[at]! > CR) {
        isEmpty = false
        at = findLow(chunk, at + 1)
        if (at === length) break
      }
      const byte = chunk[at]!
      if (byte !== LF && byte !== CR) {
        isEmpty = false
        continue
      }
      if (byte === CR) {
        if (at + 1 === length) this.#isAfterCr = true
        else if (chunk[at + 1] === LF) at++
      }
      if (isEmpty) {
        this.#lineIsEmpty = true
        this.isInside = false
        return at + 1
      }
      isEmpty = true
    }
    this.#lineIsEmpty = isEmpty
    return -1
  }
}

/** Cuts chunks into whole events; what is left of an event at a chunk's end waits for the rest, up to `limit` bytes. */
export class SseSplitter {
  readonly #finder = new EventFinder()
  readonly #limit: number
  #held: Uint8Array[] = []
  #heldBytes = 0

  constructor(limit = 8 * 1024 * 1024) {
    this.#limit = limit
  }

  /** Part of an event waits for its rest. */
  get isHolding(): boolean {
    return this.#heldBytes > 0
  }

  /** The events that this chunk completes, bytes as they came. An event above the limit comes out in pieces. */
  push(chunk: Uint8Array): Uint8Array[] {
    const events: Uint8Array[] = []
    let from = 0
    for (let end = this.#finder.findEnd(chunk, 0); end >= 0; end = this.#finder.findEnd(chunk, from)) {
      events.push(this.#take(chunk.subarray(from, end)))
      from = end
    }
    if (from < chunk.length) {
      this.#held.push(chunk.subarray(from))
      this.#heldBytes += chunk.length - from
      if (this.#heldBytes > this.#limit) events.push(this.#take(chunk.subarray(chunk.length)))
    }
    return events
  }

  /** What came of a last event that never ended, or null. */
  end(): Uint8Array | null {
    return this.#heldBytes === 0 ? null : this.#take(new Uint8Array(0))
  }

  #take(last: Uint8Array): Uint8Array {
    if (this.#heldBytes === 0) return last
    const event = join([...this.#held, last])
    this.#held = []
    this.#heldBytes = 0
    return event
  }
}

/** Reads one event's bytes. An event without a `data` line is dispatched to nobody: its data is null. */
export function readEvent(bytes: Uint8Array): SseEvent {
  const last = bytes.length - 2
  if (last >= DATA.length && bytes[last] === LF && startsWith(bytes, 0, DATA) && findLow(bytes, 0) === last)
    return { name: '', data: decoder.decode(bytes.subarray(0, last)).slice(DATA.length) }
  let name = ''
  let data: string | null = null
  for (const line of decoder.decode(bytes).split(/\r\n|\r|\n/)) {
    const colon = line.indexOf(':')
    const field = colon < 0 ? line : line.slice(0, colon)
    const value = colon < 0 ? '' : line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1)
    if (field === 'event') name = value
    else if (field === 'data') data = data === null ? value : `${data}\n${value}`
  }
  return { name, data }
}

/** Behind the line feed of the event's first line, when it is an `event:` line and not all of the event; else `start`. */
export function behindName(bytes: Uint8Array, start: number, end: number): number {
  if (bytes[start] !== 0x65) return start
  const feed = bytes.indexOf(LF, start)
  return feed < 0 || feed + 1 >= end ? start : feed + 1
}
