// Watches a stream of server-sent events go by: first token, token counts, how it ended. Its bytes stay as they are.
import type { Usage } from '../actors/ask.ts'
import {
  errorEvent,
  hasFinishReason,
  isError,
  isFirstToken,
  isLastEvent,
  readFields,
  typeOf,
} from './shapes.ts'
import type { Shape, StreamFailure } from './shapes.ts'
import { append, join, startsWith } from './bytes.ts'
import { EventFinder, nameLineOf, readEvent } from './sse.ts'
import { fieldsOf, findUsage, mergeUsage, usageIn, usageOf } from './usage.ts'

export { createJsonWatch } from './json-watch.ts'
export type { JsonWatch } from './json-watch.ts'

export interface StreamOptions {
  readonly shape: Shape
  /** Take the usage event out again: the router asked for it, the client did not. Of chat and completions only. */
  readonly stripUsage: boolean
  now(): number
  /** Called once, with the time of the first event that carries a token. */
  onFirstToken(at: number): void
}

export interface StreamWatch {
  /** The next bytes from the engine. Returns what the client gets: the same object unless something must be held back or taken out. */
  chunk(bytes: Uint8Array): Uint8Array | null
  /** The engine's stream ended cleanly. Returns what was held back and belongs to the client. Look at `isFinished` after it. */
  end(): Uint8Array | null
  /** Time of the first token, or null. */
  readonly firstTokenAt: number | null
  /** Events that carried tokens: about the number of tokens. */
  readonly tokens: number
  /** Whether the stream told that it ended (`[DONE]`, a finish reason, an error, …); without it a clean end is a truncation. */
  readonly isFinished: boolean
  /** Whether the engine told an error inside the stream. */
  readonly isFailed: boolean
  /** Whether the client has part of an event whose rest never came. */
  readonly isInsideEvent: boolean
  /** Id of the stored response that a Responses stream makes, once known. */
  readonly responseId: string | null
  /** What the engine told of tokens so far, or null. */
  usage(): Usage | null
  /** `usage()`, or else an estimate from what came by, given a guess of the prompt's tokens. */
  usageOrEstimate(promptTokens: number): Usage
  /** The event that ends this stream when it broke; led by a blank line where the client has part of an event. */
  errorText(failure: StreamFailure): string
}

/** A torn event is held back up to this size to see whether it is the usage event; those are small. */
const HOLD_BYTES = 16 * 1024
/** A torn event is put together for reading up to this size; of a larger one its head and its end are. */
const READ_BYTES = 256 * 1024
const DATA = [0x64, 0x61, 0x74, 0x61, 0x3a]
const OPEN_ARRAY = 0x5b
const OPEN_OBJECT = 0x7b

/** Watches one stream. Costs a look at each byte for the ends of events, and about half of them again to tell usage from text. */
export function createStreamWatch(options: StreamOptions): StreamWatch {
  return new SseWatch(options)
}

class SseWatch implements StreamWatch {
  firstTokenAt: number | null = null
  tokens = 0
  isFailed = false
  responseId: string | null = null
  readonly #options: StreamOptions
  readonly #hasChoices: boolean
  /** Events have names that tell what they are. */
  readonly #isNamed: boolean
  readonly #isStripping: boolean
  readonly #finder = new EventFinder()
  #isDone = false
  #usage: Usage | null = null
  #model: string | null = null
  #createdAt: number | null = null
  /** The event that is torn by the chunk's end, in pieces; `#isHeld` while the client has none of them. */
  #pieces: Uint8Array[] = []
  #pieceBytes = 0
  #isHeld = false
  /** First line of the last event that carried a token: one with the same line carries one too. */
  #tokenLine: Uint8Array | null = null
  /** The last two events with data, by reference. */
  readonly #last: [EventPlace, EventPlace] = [
    { chunk: null, start: 0, end: 0 },
    { chunk: null, start: 0, end: 0 },
  ]

  constructor(options: StreamOptions) {
    this.#options = options
    this.#hasChoices = options.shape === 'chat' || options.shape === 'completions'
    this.#isNamed = options.shape === 'messages' || options.shape === 'responses'
    this.#isStripping = options.stripUsage && this.#hasChoices
  }

  get isInsideEvent(): boolean {
    return this.#finder.isInside && !this.#isHeld
  }

  get isFinished(): boolean {
    if (this.#isDone || this.isFailed) return true
    if (this.#options.shape === 'other') return !this.#finder.isInside
    return this.#hasChoices && this.#last.some((place) => hasFinishReason(dataAt(place)))
  }

  chunk(bytes: Uint8Array): Uint8Array | null {
    let out: Uint8Array[] | null = null
    let from = 0
    let kept = 0
    for (let end = this.#finder.findEnd(bytes, 0); end >= 0; end = this.#finder.findEnd(bytes, from)) {
      const held = this.#isHeld ? this.#pieces : null
      const isStripped = this.#pieceBytes > 0 ? this.#lookTorn(bytes, end) : this.#look(bytes, from, end)
      this.#isHeld = false
      if (held !== null && !isStripped) out = [...held]
      if (isStripped) {
        out ??= []
        out.push(bytes.subarray(kept, from))
        kept = end
      }
      from = end
    }
    if (from < bytes.length) {
      const released = this.#keep(bytes.subarray(from))
      if (released !== null) out = [...(out ?? []), ...released]
    }
    const stop = this.#isHeld ? from : bytes.length
    if (out === null && stop === bytes.length) return bytes
    out ??= []
    out.push(bytes.subarray(kept, stop))
    const whole = join(out)
    return whole.length > 0 ? whole : null
  }

  end(): Uint8Array | null {
    if (this.#pieceBytes === 0) return null
    const rest = join(this.#pieces)
    const isStripped = this.#read(rest, 0, rest.length)
    // An event that broke off is not shown to a client that has nothing of it yet.
    if (!this.#isHeld || isStripped || !this.isFinished) return null
    this.#isHeld = false
    return rest
  }

  usage(): Usage | null {
    if (this.#usage !== null || this.#options.shape === 'messages' || this.#options.shape === 'responses')
      return this.#usage
    return usageOf(dataAt(this.#last[1])) ?? usageOf(dataAt(this.#last[0]))
  }

  usageOrEstimate(promptTokens: number): Usage {
    const usage = this.usage()
    if (usage !== null && (this.#isDone || usage.completionTokens >= this.tokens)) return usage
    return {
      promptTokens: usage?.promptTokens || promptTokens,
      cachedTokens: usage?.cachedTokens ?? null,
      completionTokens: Math.max(this.tokens, usage?.completionTokens ?? 0),
      estimated: true,
    }
  }

  errorText(failure: StreamFailure): string {
    const place = {
      isInsideEvent: this.isInsideEvent,
      responseId: this.responseId,
      model: this.#model,
      createdAt: this.#createdAt,
    }
    if (this.#options.shape !== 'responses') return errorEvent(this.#options.shape, failure, place)
    const sequence = /"sequence_number"\s*:\s*(\d+)/.exec(dataAt(this.#last[1]))?.[1]
    return errorEvent('responses', failure, {
      ...place,
      sequence: sequence === undefined ? null : Number(sequence),
    })
  }

  /** Keeps the piece of a torn event. Returns held pieces that the client gets after all, because the event is no usage event. */
  #keep(piece: Uint8Array): Uint8Array[] | null {
    if (this.#pieceBytes === 0) this.#isHeld = this.#isStripping
    const earlier = this.#pieces
    if (this.#isHeld && this.#pieceBytes + piece.length > HOLD_BYTES) {
      this.#isHeld = false
      this.#pieces = [...earlier, piece]
      this.#pieceBytes += piece.length
      return earlier
    }
    append(earlier, piece)
    this.#pieceBytes += piece.length
    while (this.#pieceBytes > READ_BYTES && earlier.length > 2)
      this.#pieceBytes -= earlier.splice(1, 1)[0]!.length
    return null
  }

  #lookTorn(bytes: Uint8Array, end: number): boolean {
    const event = join([...this.#pieces, bytes.subarray(0, end)])
    this.#pieces = []
    this.#pieceBytes = 0
    return this.#look(event, 0, event.length)
  }

  /** Takes note of one whole event. Returns true when it is not for the client. */
  #look(bytes: Uint8Array, start: number, end: number): boolean {
    // The second half of a torn CRLF belongs to the event before.
    if (bytes[start] === 0x0a) start++
    if (this.firstTokenAt === null || !this.#isPlainToken(bytes, start, end))
      return this.#read(bytes, start, end)
    this.tokens++
    this.#remember(bytes, start, end)
    return false
  }

  /** Whether the event surely carries a token and nothing else that matters: the fast way, without decoding. */
  #isPlainToken(bytes: Uint8Array, start: number, end: number): boolean {
    const line = this.#tokenLine
    if (this.#isNamed) return line !== null && end - start > line.length && startsWith(bytes, start, line)
    if (!startsWith(bytes, start, DATA)) return false
    let at = start + DATA.length
    if (bytes[at] === 0x20) at++
    if (bytes[at] === OPEN_ARRAY) return false
    // Errors begin with `{"error"`.
    if (!this.#hasChoices) return bytes[at] !== OPEN_OBJECT || bytes[at + 2] !== 0x65
    for (; at < end; at++) {
      if (bytes[at] !== OPEN_ARRAY) continue
      const before = bytes[at - 1]
      if (before !== 0x3a && before !== 0x20) continue
      return bytes[at + 1] === OPEN_OBJECT
    }
    return false
  }

  #read(bytes: Uint8Array, start: number, end: number): boolean {
    const { shape } = this.#options
    const { name: given, data } = readEvent(bytes.subarray(start, end))
    if (data === null || data === '') return false
    const name = this.#isNamed ? typeOf(given, data) : given
    if (isError(shape, name, data)) this.isFailed = true
    if (isLastEvent(shape, name, data)) {
      this.#isDone = true
      if (shape === 'responses') this.#usage = usageOf(data) ?? findUsage(data) ?? this.#usage
      return false
    }
    if (this.#hasChoices && this.#isUsageEvent(data)) return this.#isStripping
    if (this.#isNamed) this.#readNamed(name, data)
    if (isFirstToken(shape, name, data)) {
      this.tokens++
      this.#tokenLine = this.#isNamed ? nameLineOf(bytes, start, end) : null
      if (this.firstTokenAt === null) {
        this.firstTokenAt = this.#options.now()
        this.#options.onFirstToken(this.firstTokenAt)
      }
    }
    this.#remember(bytes, start, end)
    return false
  }

  #isUsageEvent(data: string): boolean {
    if (!/"choices"\s*:\s*\[\s*\]/.test(data)) return false
    const event = readFields(data)
    const choices = event?.['choices']
    if (!Array.isArray(choices) || choices.length > 0 || fieldsOf(event?.['usage']) === null) return false
    this.#usage = usageIn(event) ?? this.#usage
    return true
  }

  #readNamed(type: string, data: string): void {
    if (type === 'message_start' || type === 'message_delta')
      this.#usage = mergeUsage(this.#usage, usageOf(data))
    if (this.responseId !== null || !/^response\.(?:created|queued|in_progress)$/.test(type)) return
    const response = fieldsOf(readFields(data)?.['response'])
    if (typeof response?.['id'] === 'string') this.responseId = response['id']
    if (typeof response?.['model'] === 'string') this.#model = response['model']
    if (typeof response?.['created_at'] === 'number') this.#createdAt = response['created_at']
  }

  #remember(chunk: Uint8Array, start: number, end: number): void {
    const [older, newer] = this.#last
    older.chunk = newer.chunk
    older.start = newer.start
    older.end = newer.end
    newer.chunk = chunk
    newer.start = start
    newer.end = end
  }
}

interface EventPlace {
  chunk: Uint8Array | null
  start: number
  end: number
}

function dataAt({ chunk, start, end }: EventPlace): string {
  return chunk === null ? '' : (readEvent(chunk.subarray(start, end)).data ?? '')
}
