// How LMCache names the chunks of a prompt: by hashes of their tokens, each with that of the chunk before it.
import { hashInteger, hashNumbers, hashTuple, NONE } from '../../hashes/python.ts'

/** Tokens of a chunk, where nobody says otherwise. */
const CHUNK = 256
/**
 * What stands before the first chunk: 0 where LMCache runs without vLLM; with it, Python's hash of the text of PYTHONHASHSEED, which
 * LMCache's documents ask to be `0`. A random one can't be known.
 */
const ROOTS = [0n, 5313149338359954478n] as const

export interface Chunk {
  /** One for each of the roots. */
  readonly keys: readonly bigint[]
  /** Tokens up to its end. */
  readonly end: number
}

/** The chunks of a prompt, one by one: most often only the first few are asked for. */
export function* chunksOf(tokens: readonly number[], size = CHUNK): Generator<Chunk> {
  let before: readonly bigint[] = ROOTS
  for (let start = 0; start < tokens.length; start += size) {
    const part = tokens.slice(start, start + size)
    const inner = hashNumbers(part)
    before = before.map((hash) => hashTuple([hashInteger(hash), inner, NONE]))
    yield { keys: before, end: start + part.length }
  }
}
