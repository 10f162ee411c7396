// Watches a whole (not streamed) answer go by, to read its token counts and id without holding it.
import type { Usage } from '../actors/ask.ts'
import { scanTop } from './scan.ts'
import { join } from './bytes.ts'
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
const decoder = new TextDecoder()

/** Watches one answer. A body up to 64 KiB is read exactly; of a larger one the first and the last 64 KiB are searched. */
export function createJsonWatch(): JsonWatch {
  const head: Uint8Array[] = []
  let tail: Uint8Array[] = []
  let tailBytes = 0
  let length = 0
  const whole = () => (length <= WINDOW ? join(head) : null)
  return {
    get length() {
      return length
    },
    chunk(bytes) {
      if (length < WINDOW) head.push(bytes.length > WINDOW ? bytes.subarray(0, WINDOW) : bytes)
      length += bytes.length
      tail.push(bytes)
      tailBytes += bytes.length
      let drop = 0
      while (tailBytes - tail[drop]!.length >= WINDOW) tailBytes -= tail[drop++]!.length
      if (drop > 0) tail = tail.slice(drop)
    },
    usage() {
      const body = whole()
      if (body !== null) return usageOfBody(body)
      return findUsage(decoder.decode(join(tail).subarray(-WINDOW))) ?? findUsage(decoder.decode(join(head)))
    },
    id() {
      const body = whole()
      if (body !== null) return idOfBody(body)
      return (
        /^[\ufeff\s]*\{(?:[^{}[\]]*,)?\s*"id"\s*:\s*"([^"\\]+)"/.exec(decoder.decode(join(head)))?.[1] ?? null
      )
    },
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
