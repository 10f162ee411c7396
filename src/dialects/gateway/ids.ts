// Ids of requests as the Rust routers make them: a prefix by path and 24 letters and digits.
import type { Core } from '../../core.ts'
import type { Call } from '../../openai/call.ts'

const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'
const LENGTH = 24

/** Where each id travels, whatever header it came in. */
export const ID_NAME = 'x-request-id'

/** The first part of a path that is known, and its prefix. */
export type Prefixes = readonly (readonly [part: string, prefix: string])[]

export const PREFIXES: Prefixes = [
  ['/chat/completions', 'chatcmpl-'],
  ['/completions', 'cmpl-'],
  ['/generate', 'gnt-'],
]

/** The client's own id, or a new one. */
export function requestIdFor(core: Core, headers: Headers, path: string, prefixes: Prefixes): string {
  for (const name of core.config.requestIdHeaders) {
    const value = headers.get(name)
    if (value && value.length <= 256) return value
  }
  const prefix = prefixes.find(([part]) => path.includes(part))?.[1] ?? 'req-'
  let id = prefix
  for (let i = 0; i < LENGTH; i++) id += LETTERS[Math.floor(core.host.random() * LETTERS.length)]
  return id
}

/** The call with that id, for its worker and its answer. */
export const withId = (call: Call, requestId: string): Call => ({
  ...call,
  requestId,
  ids: [ID_NAME, requestId],
})
