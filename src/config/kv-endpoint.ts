// How a worker's stream of KV events is written in the configuration.
import { parseEndpoint } from '../zmtp/address.ts'

/** Before an endpoint: we listen there, and the engine connects. The sign is that of ZeroMQ's own tools. */
export const BOUND = '@'

/** Reads `tcp://HOST:PORT`, `@tcp://*:PORT`, `push` or `off`. Throws an Error that says what to write. */
export function checkKvEndpoint(text: string): string {
  const trimmed = text.trim()
  if (trimmed === 'off' || trimmed === 'push') return trimmed
  parseEndpoint(trimmed.startsWith(BOUND) ? trimmed.slice(1) : trimmed)
  return trimmed
}
