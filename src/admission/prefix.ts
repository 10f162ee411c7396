// The prompt of a call as the pool gets it: hashes of its blocks and its length, made only where a policy asks for them.
import type { Config } from '../config/schema.ts'
import type { Call } from '../openai/call.ts'
import { needsPrefix } from '../policies/policy.ts'
import { hashBlocks } from '../prefix/blocks.ts'
import { readPrompt } from '../prefix/prompt.ts'

export interface PromptKey {
  /** Null: nobody asks, or the prompt fills no block. */
  readonly prefix: Float64Array | null
  /** Canonical bytes; 0: not looked at. */
  readonly promptBytes: number
}

const NONE: PromptKey = { prefix: null, promptBytes: 0 }

/** `model`: as the workers know it. Only what generates leaves something in a KV cache that is worth coming back for. */
export function promptKeyOf(
  config: Config,
  { body, shape }: Pick<Call, 'body' | 'shape'>,
  model: string | null,
): PromptKey {
  if (body.kind !== 'json' || shape === 'other' || !needsPrefix(config)) return NONE
  const prompt = readPrompt(body.top, model)
  const hashes = hashBlocks(prompt)
  return { prefix: hashes.length > 0 ? hashes : null, promptBytes: prompt.length }
}
