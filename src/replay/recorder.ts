// Records calls as they end, for `fetchway replay`: lengths, times and salted hashes, never any text.
import type { Ask } from '../actors/ask.ts'
import type { Ending, Passing } from '../forward/closing.ts'
import type { Recording } from '../host.ts'
import type { RecordedCall } from './recorded.ts'

/** The first line of a recorded trace, and again wherever a router began anew with another salt. */
export const HEADING = { fetchway_trace: 1 } as const

/** Calls that are under way at once and remembered; further ones are not recorded. */
const MAX_LIVE = 100_000

interface Live {
  readonly ask: Ask
  firstAt: number | null
}

/**
 * Writes one line for each call that a worker answered. Equal beginnings of prompts have equal hashes as long as the salt is the
 * same, which keeps known prompts from being looked up.
 */
export class Recorder {
  /** Where it writes. */
  readonly recording: Recording
  readonly #live = new Map<string, Live>()

  constructor(recording: Recording) {
    this.recording = recording
  }

  /** A worker's answer has begun. */
  began(ask: Ask): void {
    if (this.#live.size < MAX_LIVE) this.#live.set(ask.id, { ask, firstAt: null })
  }

  /** Its first token came, at epoch ms. */
  first(id: string, at: number): void {
    const live = this.#live.get(id)
    if (live) live.firstAt = at
  }

  /** The call is over, at epoch ms. */
  ended(passing: Passing, { outcome, usage }: Ending, at: number): void {
    const live = this.#live.get(passing.id)
    if (!live) return
    this.#live.delete(passing.id)
    const { ask, firstAt } = live
    const call: RecordedCall = {
      at: Math.round(passing.startedAt),
      model: passing.model,
      endpoint: passing.endpoint,
      prefix: this.#salted(ask.prefix),
      prompt_bytes: ask.promptBytes,
      prompt_tokens: usage?.promptTokens ?? passing.tokens,
      cached_tokens: usage?.cachedTokens ?? 0,
      output_tokens: usage?.completionTokens ?? 0,
      estimated: usage?.estimated ?? true,
      session: ask.session === null ? null : saltedText(ask.session, this.recording.salt),
      worker: passing.worker,
      status: passing.status,
      outcome,
      ttft_ms: firstAt === null ? null : tenths(firstAt - passing.startedAt),
      total_ms: tenths(at - passing.startedAt),
    }
    this.recording.write(JSON.stringify(call))
  }

  #salted(prefix: Float64Array | null): string {
    if (prefix === null) return ''
    return Array.from(prefix, (hash) => salted(hash, this.recording.salt).toString(36)).join(' ')
  }
}

const tenths = (ms: number): number => Math.round(ms * 10) / 10

/** 52 bits of a hash and the salt: four rounds, each with a word of the salt, of what cyrb53 (bryc, public domain) ends with. */
function salted(hash: number, salt: Uint32Array): number {
  let high = Math.floor(hash / 4294967296)
  let low = hash | 0
  for (const word of salt) {
    const before = high
    high = Math.imul(high ^ (high >>> 16) ^ word, 2246822507) ^ Math.imul(low ^ (low >>> 13), 3266489909)
    low = Math.imul(low ^ (low >>> 16) ^ word, 2246822507) ^ Math.imul(before ^ (before >>> 13), 3266489909)
  }
  return (high >>> 12) * 4294967296 + (low >>> 0)
}

function saltedText(text: string, salt: Uint32Array): string {
  let hash = text.length
  for (let i = 0; i < text.length; i++) hash = salted(hash + text.charCodeAt(i), salt)
  return hash.toString(36)
}
