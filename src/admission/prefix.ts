// The prompt of a call as the pool gets it: hashes of its blocks and its length, made only where a policy asks for them.
import type { Config } from '../config/schema.ts'
import type { Call } from '../openai/call.ts'
import { needsPrefix } from '../policies/policy.ts'
import { hashBlocks } from '../prefix/blocks.ts'
import { conversationOf } from '../prefix/conversation.ts'
import { readPrompt } from '../prefix/prompt.ts'

export interface PromptKey {
  /** Null: nobody asks, or the prompt fills no block. */
  readonly prefix: Float64Array | null
  /** Canonical bytes; 0: not looked at. */
  readonly promptBytes: number
  /** What the turns of its conversation have in common; absent: nobody asks, or it can't be told. */
  readonly conversation?: number
}

const NONE: PromptKey = { prefix: null, promptBytes: 0 }

/** `model`: as the workers know it. Only what generates leaves something in a KV cache that is worth coming back for. */
export function promptKeyOf(
  config: Config,
  { body, shape, session }: Pick<Call, 'body' | 'shape' | 'session'>,
  model: string | null,
): PromptKey {
  if (body.kind !== 'json' || shape === 'other' || !needsPrefix(config)) return NONE
  const prompt = readPrompt(body.top, model)
  const hashes = hashBlocks(prompt)
  const conversation = config.poolShards > 1 && session === null ? conversationOf(body.top) : null
  const prefix = hashes.length > 0 ? hashes : null
  return conversation === null
    ? { prefix, promptBytes: prompt.length }
    : { prefix, promptBytes: prompt.length, conversation }
}
