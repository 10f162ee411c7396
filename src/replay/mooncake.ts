// Reads traces of the Mooncake release: one JSON object a line with timestamp (ms), lengths and block numbers.
import { BLOCK_TOKENS } from './engine.ts'
import { finite, Numbering, shown, wholeNumber, type TraceReader, type TraceRequest } from './trace.ts'

/** Answers a reader; one id of `hash_ids` stands for 512 tokens and all before them. */
export function mooncakeReader(): TraceReader {
  const requests: TraceRequest[] = []
  const numbers = new Numbering<number>()
  return {
    format: 'mooncake',
    read(line) {
      const { timestamp, input_length, output_length, hash_ids } = parseObject(line)
      const at = finite(timestamp, 'timestamp') / 1000
      const input = Math.max(2, wholeNumber(input_length, 'input_length', 0))
      const output = Math.max(1, wholeNumber(output_length, 'output_length', 0))
      if (!Array.isArray(hash_ids)) throw new Error(`hash_ids must be a list, not ${shown(hash_ids)}`)
      const count = Math.ceil(input / BLOCK_TOKENS)
      const blocks = new Int32Array(count)
      for (let i = 0; i < count; i++)
        blocks[i] =
          i < hash_ids.length ? numbers.of(wholeNumber(hash_ids[i], 'each of hash_ids', 0)) : numbers.fresh()
      requests.push({ at, input, output, blocks, session: null, prompt: null })
    },
    end: () => ({ format: 'mooncake', requests, skipped: 0 }),
  }
}

/** The object on a line of JSON, or an error. */
export function parseObject(line: string): Readonly<Record<string, unknown>> {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch {
    throw new Error(`is no JSON: ${shown(line)}`)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Error(`is no JSON object: ${shown(line)}`)
  return value as Readonly<Record<string, unknown>>
}
