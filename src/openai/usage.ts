// Reads token counts from answers, in the words of every API that the engines speak.
import type { Usage } from '../actors/ask.ts'

type Fields = Readonly<Record<string, unknown>>

/** Token counts of an answer or of one stream event, given as JSON text; null when it tells none or is no JSON. */
export function usageOf(text: string): Usage | null {
  try {
    return usageIn(JSON.parse(text))
  } catch {
    // Whatever an engine sends passes through; what we cannot read we do not count.
    return null
  }
}

/**
 * Token counts of a parsed answer or event: OpenAI's `usage` (chat, completions, embeddings), that of Responses (also inside
 * `response`), Anthropic's (also inside `message`), and SGLang's `meta_info`; of a list of answers, their sum.
 */
export function usageIn(answer: unknown): Usage | null {
  if (Array.isArray(answer)) return sum(answer.map(usageIn))
  const fields = fieldsOf(answer)
  if (fields === null) return null
  const nested =
    fieldsOf(fields['usage']) ??
    fieldsOf(fieldsOf(fields['response'])?.['usage']) ??
    fieldsOf(fieldsOf(fields['message'])?.['usage'])
  return usageFrom(nested ?? fieldsOf(fields['meta_info']))
}

/** Token counts of a `usage` or `meta_info` object; null when it names neither prompt nor completion tokens. */
function usageFrom(fields: Fields | null): Usage | null {
  if (fields === null) return null
  const prompt = count(fields['prompt_tokens']) ?? anthropicPrompt(fields)
  const completion = count(fields['completion_tokens']) ?? count(fields['output_tokens'])
  if (prompt === null && completion === null) return null
  return {
    promptTokens: prompt ?? 0,
    cachedTokens: cachedOf(fields),
    completionTokens: completion ?? 0,
    estimated: false,
  }
}

/**
 * Searches text that is no whole JSON (the end of a long answer) for the last `usage` object. Inside a JSON string the quotes of
 * `"usage"` would be escaped, so a match is a key; one of another meaning has no token counts and is passed over.
 */
export function findUsage(text: string): Usage | null {
  for (const key of ['"usage"', '"meta_info"']) {
    let at = text.lastIndexOf(key)
    for (let tries = 0; at >= 0 && tries < 16; tries++) {
      const usage = usageAt(text, at + key.length)
      if (usage !== null) return usage
      at = at === 0 ? -1 : text.lastIndexOf(key, at - 1)
    }
  }
  return null
}

/** `later` with what only `earlier` knew: Anthropic tells prompt tokens at the start of a stream and the others at its end. */
export function mergeUsage(earlier: Usage | null, later: Usage | null): Usage | null {
  if (earlier === null || later === null) return later ?? earlier
  return {
    promptTokens: later.promptTokens || earlier.promptTokens,
    cachedTokens: later.cachedTokens || (earlier.cachedTokens ?? later.cachedTokens),
    completionTokens: later.completionTokens || earlier.completionTokens,
    estimated: false,
  }
}

function usageAt(text: string, at: number): Usage | null {
  const object = objectAt(text, at)
  return object === null ? null : usageOfObject(object.json)
}

/** Token counts of a `usage` object given as JSON text; null when it is none. */
export function usageOfObject(json: string): Usage | null {
  try {
    return usageFrom(fieldsOf(JSON.parse(json)))
  } catch {
    // Cut out of a longer text: not JSON after all.
    return null
  }
}

/** The object behind a key that ends at `at`, and where it ends. */
function objectAt(text: string, at: number): { json: string; end: number } | null {
  const opening = /\s*:\s*\{/y
  opening.lastIndex = at
  if (!opening.test(text)) return null
  const start = opening.lastIndex - 1
  const end = endOfObject(text, start)
  return end < 0 ? null : { json: text.slice(start, end), end }
}

/** Behind the brace that closes the one at `start`, within 64 KiB, or -1. */
function endOfObject(text: string, start: number): number {
  // A string that never ends is taken to the end of the text: else each quote in it would begin another search.
  const token = /"(?:[^"\\]|\\.|\\$)*(?:"|$)|[{}]/gs
  const near = text.slice(start, start + 65_536)
  let depth = 0
  for (let match = token.exec(near); match !== null; match = token.exec(near)) {
    if (match[0] === '{') depth++
    else if (match[0] === '}' && --depth === 0) return start + match.index + 1
  }
  return -1
}

/**
 * Cached prompt tokens; null where nobody told. Responses and Anthropic want a number in every answer, so that a 0 there may mean
 * that nobody looked; where the member is left out when unknown, a 0 is one.
 */
function cachedOf(fields: Fields): number | null {
  const told =
    count(fieldsOf(fields['prompt_tokens_details'])?.['cached_tokens']) ?? count(fields['cached_tokens'])
  if (told !== null) return told
  const details = fieldsOf(fields['input_tokens_details'])
  return count(details?.['cached_tokens']) || count(fields['cache_read_input_tokens']) || null
}

/** Anthropic counts cached prompt tokens apart, OpenAI's Responses within `input_tokens`. */
function anthropicPrompt(fields: Fields): number | null {
  const input = count(fields['input_tokens'])
  if (input === null) return null
  return (
    input +
    (count(fields['cache_read_input_tokens']) ?? 0) +
    (count(fields['cache_creation_input_tokens']) ?? 0)
  )
}

function sum(usages: readonly (Usage | null)[]): Usage | null {
  const known = usages.filter((usage) => usage !== null)
  if (known.length === 0) return null
  return known.reduce((total, usage) => ({
    promptTokens: total.promptTokens + usage.promptTokens,
    cachedTokens:
      total.cachedTokens === null ? usage.cachedTokens : total.cachedTokens + (usage.cachedTokens ?? 0),
    completionTokens: total.completionTokens + usage.completionTokens,
    estimated: false,
  }))
}

function count(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : null
}

/** The value's members when it is a JSON object, else null. */
export function fieldsOf(value: unknown): Fields | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : null
}
