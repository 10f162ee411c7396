// The block hashes that the router would have made of a prompt of which only the trace's block numbers are known.
import { blocksIn, bytesAt } from '../prefix/sizes.ts'
import { BLOCK_TOKENS } from './engine.ts'
import type { Prompt, TraceRequest } from './trace.ts'

/** Canonical bytes that a token of a trace counts as: about what English text has. */
export const TOKEN_BYTES = 4
const BLOCK_BYTES = BLOCK_TOKENS * TOKEN_BYTES

/**
 * The prompt of a request: each of its 512-token blocks counts as 2 KiB, which the router cuts into eight blocks (or, from 16 KiB
 * on, two) and hashes, as far as it looks. With 4 bytes a token the ends of both kinds of blocks meet.
 */
export function promptOf({ prompt, input, blocks }: TraceRequest): Prompt {
  if (prompt) return prompt
  const bytes = input * TOKEN_BYTES
  const path = new Float64Array(blocksIn(bytes))
  for (let i = 0; i < path.length; i++)
    path[i] = hashOf(blocks[Math.ceil(bytesAt(i + 1) / BLOCK_BYTES) - 1] as number, i)
  return { path, bytes }
}

/** 52 bits of a block's number and a place: the last steps of cyrb53 (bryc, public domain). */
function hashOf(block: number, place: number): number {
  let high = Math.imul(block ^ 0xdeadbeef, 2654435761)
  let low = Math.imul(place ^ 0x41c6ce57, 1597334677) ^ block
  high = Math.imul(high ^ (high >>> 16), 2246822507) ^ Math.imul(low ^ (low >>> 13), 3266489909)
  low = Math.imul(low ^ (low >>> 16), 2246822507) ^ Math.imul(high ^ (high >>> 13), 3266489909)
  return (high >>> 12) * 4294967296 + (low >>> 0)
}
