// Watches a stream of server-sent events go by: first token, token counts, how it ended. Its bytes stay as they are.
import type { Usage } from '../actors/ask.ts'
import type { Pieces } from '../host.ts'
import {
  errorEvent,
  hasFinishReason,
  isError,
  isFirstToken,
  isLastEvent,
  readFields,
  typeOf,
} from './shapes.ts'
import type { StreamFailure } from './shapes.ts'
import { append, join, without } from './bytes.ts'
import { EventMemory } from './event-memory.ts'
import { behindName, EventFinder, readEvent } from './sse.ts'
import type { StreamOptions, StreamWatch } from './stream-watch.ts'
import { fieldsOf, findUsage, mergeUsage, usageIn, usageOf } from './usage.ts'
import { behindFirstObject, isDone, isNoError, opensWithRole, opensWithText, usageOfEvent } from './usual.ts'

/** A torn event is held back up to this size to see whether it is the usage event; those are small. */
const HOLD_BYTES = 16 * 1024
/** A torn event is put together for reading up to this size; of a larger one its head and its end are. */
const READ_BYTES = 256 * 1024

/** Watches one stream. Costs a look at each word of it, for the ends of events and for those that open otherwise than the last. */
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
  /** The next byte is the first one of an event, and it is known what one with a token opens with. */
  #mayPass = false
  #isDone = false
  #usage: Usage | null = null
  #model: string | null = null
  #createdAt: number | null = null
  /** The event that is torn by the chunk's end, in pieces; `#isHeld` while the client has none of them. */
  #pieces: Uint8Array[] = []
  #pieceBytes = 0
  #isHeld = false
  /** What opens like the last event with a token carries one too, and nothing else that matters. */
  readonly #memory = new EventMemory()

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
    return this.#hasChoices && (hasFinishReason(this.#memory.newer) || hasFinishReason(this.#memory.older))
  }

  chunk(bytes: Uint8Array): Uint8Array | null {
    let rest = bytes
    let released: readonly Uint8Array[] | null = null
    let from = 0
    for (;;) {
      if (this.#finder.isBetween) from = this.#countUsual(rest, from)
      const end = this.#finder.findEnd(rest, from)
      if (end < 0) break
      const held = this.#isHeld ? this.#pieces : null
      const isStripped = this.#take(rest, from, end)
      this.#isHeld = false
      if (!isStripped) {
        released ??= held
        from = end
      } else rest = without(rest, from, end)
    }
    this.#mayPass = from === rest.length && this.#memory.length > 0 && this.#finder.isBetween
    if (from < rest.length) released = this.#keep(rest.subarray(from)) ?? released // never both
    const shown = this.#isHeld ? rest.subarray(0, from) : rest
    if (released !== null) return join([...released, shown])
    return shown.length > 0 ? shown : null
  }

  pass({ bytes, places, count }: Pieces): boolean {
    if (!this.#mayPass) return false
    const memory = this.#memory
    // The last piece is the one that most often is something else.
    for (let piece = count - 1; piece >= 0; piece--)
      if (!memory.fits(bytes, places[2 * piece]!, places[2 * piece + 1]!)) return false
    this.tokens += count
    if (count > 1) memory.copy(bytes, places[2 * count - 4]!, places[2 * count - 3]!)
    memory.copy(bytes, places[2 * count - 2]!, places[2 * count - 1]!)
    return true
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

  close(): void {
    this.#mayPass = false
    this.#memory.close()
  }

  usage(): Usage | null {
    if (this.#usage !== null || this.#options.shape === 'messages' || this.#options.shape === 'responses')
      return this.#usage
    return usageOf(this.#memory.newer) ?? usageOf(this.#memory.older)
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
    const sequence = /"sequence_number"\s*:\s*(\d+)/.exec(this.#memory.newer)?.[1]
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
      return earlier.length > 0 ? earlier : null
    }
    append(earlier, piece)
    this.#pieceBytes += piece.length
    while (this.#pieceBytes > READ_BYTES && earlier.length > 2)
      this.#pieceBytes -= earlier.splice(1, 1)[0]!.length
    return null
  }

  /** Takes note of the event that ends there, and of what came of it before. Returns true when it is not for the client. */
  #take(bytes: Uint8Array, start: number, end: number): boolean {
    if (this.#pieceBytes === 0) return this.#look(bytes, start, end)
    const event = join([...this.#pieces, bytes.subarray(0, end)])
    this.#pieces = []
    this.#pieceBytes = 0
    return this.#look(event, 0, event.length)
  }

  #look(bytes: Uint8Array, start: number, end: number): boolean {
    // The second half of a torn CRLF belongs to the event before.
    if (bytes[start] === 0x0a) start++
    if (this.#isToken(bytes, start, end)) return this.#count(bytes, start, end)
    if (isDone(bytes, start, end)) {
      this.#isDone = true
      return false
    }
    return this.#read(bytes, start, end)
  }

  /** Whether the event surely carries a token and nothing else that matters: the fast way, without decoding. */
  #isToken(bytes: Uint8Array, start: number, end: number): boolean {
    const memory = this.#memory
    if (end - start > memory.length && memory.standsAt(bytes, start)) return true
    const isFirst = this.firstTokenAt === null
    if (!this.#hasChoices) return !isFirst && !this.#isNamed && isNoError(bytes, start)
    if (isFirst && !opensWithText(bytes, start, end, this.#options.shape === 'chat')) return false
    const behind = behindFirstObject(bytes, start, end)
    if (behind > 0) memory.keep(bytes, start, behind)
    return behind > 0
  }

  /** Counts the events that open like the last one with a token, which are the client's; returns where they end. */
  #countUsual(bytes: Uint8Array, from: number): number {
    let older = from
    let newer = from
    let at = from
    for (let end = this.#memory.endOfEvent(bytes, at); end >= 0; end = this.#memory.endOfEvent(bytes, at)) {
      this.tokens++
      older = newer
      newer = at
      at = end
    }
    // Only the last two are ever asked for.
    if (older < newer) this.#memory.remember(bytes, older, newer)
    if (newer < at) this.#memory.remember(bytes, newer, at)
    return at
  }

  /** Counts an event with a token, which is the client's. */
  #count(bytes: Uint8Array, start: number, end: number): false {
    this.tokens++
    if (this.firstTokenAt === null) {
      this.firstTokenAt = this.#options.now()
      this.#options.onFirstToken(this.firstTokenAt)
    }
    this.#memory.remember(bytes, start, end)
    return false
  }

  #read(bytes: Uint8Array, start: number, end: number): boolean {
    const { shape } = this.#options
    const counts = this.#hasChoices ? usageOfEvent(bytes, start, end) : null
    if (counts !== null) {
      this.#usage = counts
      return this.#isStripping
    }
    if (shape === 'chat' && opensWithRole(bytes, start, end)) {
      this.#memory.remember(bytes, start, end)
      return false
    }
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
      if (this.#isNamed) this.#memory.keep(bytes, start, behindName(bytes, start, end))
      return this.#count(bytes, start, end)
    }
    this.#memory.remember(bytes, start, end)
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
}
