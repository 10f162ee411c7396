// Reads a trace of any format that we know, line by line; the first line says which it is.
import { mooncakeReader, parseObject } from './mooncake.ts'
import { recordedReader } from './recorded.ts'
import { tableReader } from './csv.ts'
import { shown, TraceError, type Trace, type TraceReader } from './trace.ts'

/**
 * Reads lines into a trace in the order of arrival. Empty lines are passed over.
 * @param lines without line breaks
 * @param file how it is called in errors
 * @throws TraceError with file, line and problem
 */
export async function readTrace(
  lines: AsyncIterable<string> | Iterable<string>,
  file: string,
): Promise<Trace> {
  let reader: TraceReader | null = null
  let number = 0
  for await (const line of lines) {
    number++
    const text = number === 1 ? line.replace(/^\uFEFF/, '') : line
    if (text.trim() === '') continue
    try {
      reader ??= readerFor(text)
      reader.read(text)
    } catch (error) {
      throw new TraceError(file, number, error instanceof Error ? error.message : String(error))
    }
  }
  if (!reader) throw new TraceError(file, 1, 'is empty: there is no request in it')
  const trace = reader.end()
  if (trace.requests.length === 0) throw new TraceError(file, number, 'there is no served request in it')
  const requests = trace.requests.toSorted((a, b) => a.at - b.at)
  const start = requests[0]?.at ?? 0
  return { ...trace, requests: requests.map((request) => ({ ...request, at: request.at - start })) }
}

function readerFor(first: string): TraceReader {
  if (!first.trimStart().startsWith('{')) {
    const reader = tableReader(first)
    if (reader) return reader
    throw new Error(
      `is no heading of a known trace: ${shown(first)}. Known are Mooncake (JSON lines with hash_ids), Azure (TIMESTAMP,ContextTokens,GeneratedTokens), BurstGPT (Timestamp,Model,Request tokens,Response tokens,…) and what fetchway serve --record writes`,
    )
  }
  const object = parseObject(first)
  if ('fetchway_trace' in object) return recordedReader()
  if ('hash_ids' in object || 'input_length' in object) return mooncakeReader()
  throw new Error(
    `has none of the keys of a known trace: hash_ids (Mooncake) or fetchway_trace (recorded by fetchway serve --record)`,
  )
}
