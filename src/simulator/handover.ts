// What a call hands over to another engine or takes over from one, whatever the engine's words for it.
import type { Part } from './generation.ts'
import type { Prompt } from './plan.ts'

/** What a call hands over or takes over. */
export interface Handover {
  /** The reply's id where the hand-over needs one of its own. */
  readonly id: string | null
  /** Tokens that this engine makes at most: a prefill engine makes one. */
  readonly cap: number
  /** Prompt tokens that need not be computed. */
  transferred(prompt: Prompt): number
  /** Gets the KV before anything is computed; refuses when it can't be had. */
  take(parts: readonly Part[]): Promise<void> | void
  /** The KV is computed: waits until it was taken, where the engine does. The reply follows. */
  give(parts: readonly Part[]): Promise<void> | void
  /** Fields for the top level of the reply. */
  reply(parts: readonly Part[]): Record<string, unknown>
}

/** No hand-over: the engine computes everything itself. */
export const NONE: Handover = {
  id: null,
  cap: Infinity,
  transferred: () => 0,
  take() {},
  give() {},
  reply: () => ({}),
}

/** The KV comes from elsewhere. */
export function taken(take: Handover['take']): Handover {
  return { ...NONE, transferred: (prompt) => prompt.tokens.length, take }
}

/** Each prompt once, however many choices it has. */
export function promptsOf(parts: readonly Part[]): Prompt[] {
  return [...new Set(parts.map(({ prompt }) => prompt))]
}
