// Watches a whole (not streamed) answer go by, to read its token counts and id without holding it.
import type { Usage } from '../actors/ask.ts'
import { scanTop } from './scan.ts'
import { append, join } from './bytes.ts'
import { usageAtEnd } from './usage-end.ts'
import { findUsage, usageIn, usageOf } from './usage.ts'

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
const EMPTY: Uint8Array = new Uint8Array(0)
const decoder = new TextDecoder()

/** Watches one answer. A body up to 64 KiB is read exactly; of a larger one the first and the last 64 KiB are searched. */
export function createJsonWatch(): JsonWatch {
  return new Windows()
}

class Windows implements JsonWatch {
  length = 0
  /** The first chunk: most answers have no other. */
  #first = EMPTY
  /** The windows of a body in several chunks. */
  #head: Uint8Array[] | null = null
  #tail: Uint8Array[] = []
  #tailBytes = 0

  chunk(bytes: Uint8Array): void {
    if (this.length === 0) this.#first = bytes
    else {
      if (this.#head === null) {
        this.#head = []
        this.#keep(this.#head, this.#first, 0)
      }
      this.#keep(this.#head, bytes, this.length)
    }
    this.length += bytes.length
  }

  usage(): Usage | null {
    const body = this.#whole()
    if (body !== null) return usageAtEnd(body) ?? usageOfBody(body)
    const end = decoder.decode(this.#end().subarray(-WINDOW))
    return findUsage(end) ?? findUsage(decoder.decode(this.#begin()))
  }

  id(): string | null {
    const body = this.#whole()
    if (body !== null) return idOfBody(body)
    const start = decoder.decode(this.#begin())
    return /^[\ufeff\s]*\{(?:[^{}[\]]*,)?\s*"id"\s*:\s*"([^"\\]+)"/.exec(start)?.[1] ?? null
  }

  #keep(head: Uint8Array[], bytes: Uint8Array, before: number): void {
    if (before < WINDOW) append(head, bytes.length > WINDOW ? bytes.subarray(0, WINDOW) : bytes)
    append(this.#tail, bytes)
    this.#tailBytes += bytes.length
    let drop = 0
    while (this.#tailBytes - this.#tail[drop]!.length >= WINDOW) this.#tailBytes -= this.#tail[drop++]!.length
    if (drop > 0) this.#tail = this.#tail.slice(drop)
  }

  #begin(): Uint8Array {
    return this.#head === null ? this.#first.subarray(0, WINDOW) : join(this.#head)
  }

  #end(): Uint8Array {
    return this.#head === null ? this.#first : join(this.#tail)
  }

  #whole(): Uint8Array | null {
    if (this.length > WINDOW) return null
    return this.#head === null ? this.#first : join(this.#head)
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
