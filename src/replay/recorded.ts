// Reads and writes Fetchway's own traces: JSON lines without any text of a prompt.
import { blocksIn } from '../prefix/sizes.ts'
import { BLOCK_TOKENS } from './engine.ts'
import { TOKEN_BYTES } from './prompt-path.ts'
import { parseObject } from './mooncake.ts'
import { HEADING } from './recorder.ts'
import { finite, Numbering, shown, wholeNumber, type TraceReader, type TraceRequest } from './trace.ts'

/** One call, as it is written. */
export interface RecordedCall {
  /** When it came, ms since the epoch. */
  readonly at: number
  readonly model: string
  readonly endpoint: string
  /** The hashes of the prompt's blocks, salted, in base 36, with spaces between. */
  readonly prefix: string
  /** Canonical bytes of the prompt that the hashes were made of; 0: none were made. */
  readonly prompt_bytes: number
  /** Prompt tokens; `estimated`: the engine did not tell. */
  readonly prompt_tokens: number
  readonly cached_tokens: number
  readonly output_tokens: number
  readonly estimated: boolean
  /** Salted. */
  readonly session: string | null
  readonly worker: string
  readonly status: number
  readonly outcome: string
  /** Milliseconds from the call's arrival to its first token; null: it had none to notice. */
  readonly ttft_ms: number | null
  readonly total_ms: number
}

interface Read {
  readonly at: number
  readonly input: number
  readonly output: number
  readonly session: string | null
  readonly path: Float64Array
  readonly bytes: number
}

/**
 * Answers a reader. The engine model has blocks of 512 tokens and the recording has blocks of bytes: the mean of bytes per token
 * over the whole trace says which block of bytes a block of tokens ends in. Calls that failed are left out.
 */
export function recordedReader(): TraceReader {
  const calls: Read[] = []
  let salt = 0
  let skipped = 0
  return {
    format: 'fetchway',
    read(line) {
      const object = parseObject(line)
      if ('fetchway_trace' in object) {
        if (object['fetchway_trace'] !== HEADING.fetchway_trace)
          throw new Error(`is of version ${shown(object['fetchway_trace'])}; this program reads version 1`)
        salt++
        return
      }
      const call = readCall(object, salt)
      if (call) calls.push(call)
      else skipped++
    },
    end: () => ({ format: 'fetchway', requests: requestsOf(calls), skipped }),
  }
}

function readCall(object: Readonly<Record<string, unknown>>, salt: number): Read | null {
  const at = finite(object['at'], 'at') / 1000
  const input = wholeNumber(object['prompt_tokens'], 'prompt_tokens', 0)
  const output = wholeNumber(object['output_tokens'], 'output_tokens', 0)
  const { prefix, session, status } = object
  if (typeof prefix !== 'string') throw new Error(`prefix must be a text, not ${shown(prefix)}`)
  if (session !== null && typeof session !== 'string')
    throw new Error(`session must be a text or null, not ${shown(session)}`)
  const path = Float64Array.from(prefix === '' ? [] : prefix.split(' '), readHash)
  const isServed = wholeNumber(status, 'status', 0) < 400
  if (!isServed) return null
  return {
    at,
    input: Math.max(2, input),
    output: Math.max(1, output),
    session: session === null ? null : `${salt}.${session}`,
    path,
    bytes: wholeNumber(object['prompt_bytes'], 'prompt_bytes', 0),
  }
}

function readHash(text: string): number {
  const hash = parseInt(text, 36)
  if (Number.isSafeInteger(hash) && hash >= 0) return hash
  throw new Error(`prefix holds ${shown(text)}, which is no hash`)
}

function requestsOf(calls: readonly Read[]): TraceRequest[] {
  const numbers = new Numbering<string>()
  const width = blockBytes(calls)
  return calls.map(({ at, input, output, session, path, bytes }) => {
    const blocks = Int32Array.from({ length: Math.ceil(input / BLOCK_TOKENS) }, (_, i) => {
      const depth = Math.max(1, blocksIn((i + 1) * width))
      // What lies behind the last hash is nobody else's, as far as anyone knows.
      return depth > path.length ? numbers.fresh() : numbers.of(`${path[depth - 1] as number} ${i}`)
    })
    return { at, input, output, blocks, session, prompt: { path, bytes } }
  })
}

/** Canonical bytes in 512 tokens, in the mean. */
function blockBytes(calls: readonly Read[]): number {
  let all = 0
  let tokens = 0
  for (const { input, bytes } of calls) {
    if (bytes === 0) continue
    all += bytes
    tokens += input
  }
  return tokens > 0 ? (BLOCK_TOKENS * all) / tokens : BLOCK_TOKENS * TOKEN_BYTES
}
