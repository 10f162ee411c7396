// How an engine words its replies: the shapes in which the three differ, over one generation that they share.
import type { Exchange } from './exchange.ts'
import type { Generation } from './generation.ts'
import type { Plan } from './plan.ts'
import type { EngineRefusal } from './refusal.ts'
import type { Sampling } from './sampling.ts'

/** What all parts of one reply share. */
export interface Reply {
  readonly exchange: Exchange
  readonly id: string
  /** Seconds since the epoch. */
  readonly created: number
  readonly model: string
  readonly sampling: Sampling
  /** Fields of the top level that only some calls get (hand-overs of KV). */
  readonly extra: Readonly<Record<string, unknown>>
}

export interface UsageCounts {
  readonly prompt: number
  readonly cached: number
  readonly completion: number
}

export const countsOf = (generation: Generation): UsageCounts => ({
  prompt: generation.promptTokens,
  cached: generation.cachedTokens,
  completion: generation.completionTokens,
})

/** How a choice ended. */
export interface Ending {
  readonly finish: Plan['finish']
  readonly stopReason: Plan['stopReason']
}

/** One token of a stream. `delta` is the endpoint's: an object for chat, a string for completions. */
export interface Step<Delta> {
  readonly index: number
  readonly delta: Delta
  readonly logprobs: unknown
  readonly tokenIds: readonly number[] | null
  /** Set on the last token. */
  readonly ending: Ending | null
  /** Counts so far. */
  readonly counts: UsageCounts
}

export interface ChatDelta {
  readonly content?: string
  readonly tool_calls?: readonly unknown[]
}

export interface Choice {
  readonly index: number
  readonly plan: Plan
  /** The text told: the plan's, with the echoed prompt where that is asked for. */
  readonly text: string
  readonly logprobs: unknown
  readonly toolId: string
  readonly promptIds: readonly number[] | null
}

export interface Wording {
  readonly refusal: (refusal: EngineRefusal) => unknown
  readonly unauthorized: () => Response
  /** Whether a path may be used without the key. */
  readonly isOpen: (path: string) => boolean
  readonly chatReply: (reply: Reply, choices: readonly Choice[], counts: UsageCounts) => unknown
  /** Chunks before a choice's first token. */
  readonly chatOpening: (reply: Reply, index: number, counts: UsageCounts) => unknown[]
  readonly chatStep: (reply: Reply, step: Step<ChatDelta>) => unknown[]
  readonly chatUsage: (reply: Reply, counts: UsageCounts) => unknown
  readonly textReply: (reply: Reply, choices: readonly Choice[], counts: UsageCounts) => unknown
  readonly textStep: (reply: Reply, step: Step<string>) => unknown[]
  readonly textUsage: (reply: Reply, counts: UsageCounts) => unknown
  readonly chatId: (exchange: Exchange) => string
  readonly textId: (exchange: Exchange) => string
}

/** A tool call as the non-streamed reply has it. */
export function toolCallOf(choice: Choice): {
  id: string
  type: string
  function: { name: string; arguments: string }
} {
  const { name = '', arguments: args = '' } = choice.plan.tool ?? {}
  return { id: choice.toolId, type: 'function', function: { name, arguments: args } }
}
