// Watches a whole (not streamed) answer go by, to read its token counts and id without holding it.
import type { Usage } from '../actors/ask.ts'
import { scanTop } from './scan.ts'
import { append, join } from './bytes.ts'
import { findUsage, usageAtEnd, usageIn, usageOf } from './usage.ts'

export interface JsonWatch {
  /** The next bytes of the body; they pass as they are. */
  chunk(bytes: Uint8Array): void
  /** Bytes so far. */
  readonly length: number
  /** Token counts, or null when the answer told none. To be asked at the end. */
  usage(): Usage | null
  /** The answer's `id`, or null. */
  id(): string | null
}

/** Bytes kept of the body's beginning, and as many of its end, by reference to the chunks. */
const WINDOW = 64 * 1024
/** Engines put `usage` into this many last bytes. */
const USUAL = 1024
const decoder = new TextDecoder()

/** Watches one answer. A body up to 64 KiB is read exactly; of a larger one the first and the last 64 KiB are searched. */
export function createJsonWatch(): JsonWatch {
  return new Windows()
}

class Windows implements JsonWatch {
  length = 0
  readonly #head: Uint8Array[] = []
  #tail: Uint8Array[] = []
  #tailBytes = 0

  chunk(bytes: Uint8Array): void {
    if (this.length < WINDOW) append(this.#head, bytes.length > WINDOW ? bytes.subarray(0, WINDOW) : bytes)
    this.length += bytes.length
    append(this.#tail, bytes)
    this.#tailBytes += bytes.length
    let drop = 0
    while (this.#tailBytes - this.#tail[drop]!.length >= WINDOW) this.#tailBytes -= this.#tail[drop++]!.length
    if (drop > 0) this.#tail = this.#tail.slice(drop)
  }

  usage(): Usage | null {
    const body = this.#whole()
    if (body !== null) return usageAtEnd(decoder.decode(body.subarray(-USUAL))) ?? usageOfBody(body)
    const end = decoder.decode(join(this.#tail).subarray(-WINDOW))
    return findUsage(end) ?? findUsage(decoder.decode(join(this.#head)))
  }

  id(): string | null {
    const body = this.#whole()
    if (body !== null) return idOfBody(body)
    const start = decoder.decode(join(this.#head))
    return /^[\ufeff\s]*\{(?:[^{}[\]]*,)?\s*"id"\s*:\s*"([^"\\]+)"/.exec(start)?.[1] ?? null
  }

  #whole(): Uint8Array | null {
    return this.length <= WINDOW ? join(this.#head) : null
  }
}

function usageOfBody(body: Uint8Array): Usage | null {
  try {
    const top = scanTop(body)
    return usageIn({ usage: top.json('usage'), meta_info: top.json('meta_info') })
  } catch {
    // A list of answers (SGLang's /generate for several prompts), or no JSON at all.
    return usageOf(decoder.decode(body))
  }
}

function idOfBody(body: Uint8Array): string | null {
  try {
    return scanTop(body).string('id')
  } catch {
    // No JSON object: it has no id.
    return null
  }
}
