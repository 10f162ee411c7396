// Made-up but repeatable log probabilities, in the shapes of chat and completions.
import { spread } from './text.ts'
import { decode, tokenBytes } from './tokenizer.ts'

/** A token's own log probability, in (-3, 0). */
export const logprobOf = (id: number): number => -(spread(id) % 3000) / 1000 - 0.001

/** Tokens that could have come in its place, itself first. */
function rivals(id: number, count: number): number[] {
  return Array.from({ length: Math.max(1, count) }, (_, rank) =>
    rank === 0 ? id : 128 + 33 + (spread(id + rank) % 90),
  )
}

/** `choices[].logprobs` of chat for some tokens; `top` null: none were asked for. */
export function chatLogprobs(ids: ArrayLike<number>, top: number | null): unknown {
  if (top === null) return null
  const entry = (id: number, rank: number) => ({
    token: decode([id]),
    logprob: logprobOf(id) - rank,
    bytes: tokenBytes(id),
  })
  const content = Array.from(ids, (id) => ({
    ...entry(id, 0),
    top_logprobs: top === 0 ? [] : rivals(id, top).map((rival, rank) => entry(rival, rank)),
  }))
  return { content }
}

/** `choices[].logprobs` of completions; `offset` is the character at which the first token starts. */
export function textLogprobs(ids: ArrayLike<number>, top: number | null, offset = 0): unknown {
  if (top === null) return null
  const tokens = Array.from(ids, (id) => decode([id]))
  let at = offset
  const offsets = tokens.map((token) => {
    at += token.length
    return at - token.length
  })
  return {
    text_offset: offsets,
    token_logprobs: Array.from(ids, (id) => logprobOf(id)),
    tokens,
    top_logprobs: Array.from(ids, (id) =>
      Object.fromEntries(rivals(id, top).map((rival, rank) => [decode([rival]), logprobOf(id) - rank])),
    ),
  }
}
