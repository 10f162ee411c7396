// How a worker's stream of KV events is written in the configuration.
import { parseEndpoint } from '../zmtp/address.ts'

/** Before an endpoint: we listen there, and the engine connects. The sign is that of ZeroMQ's own tools. */
export const BOUND = '@'

/**
 * Reads `tcp://HOST:PORT`, `@tcp://*:PORT`, several of them with commas between (one for each rank), `push` or `off`. Throws an Error
 * that says what to write.
 */
export function checkKvEndpoint(text: string): string {
  const trimmed = text.trim()
  if (trimmed === 'off' || trimmed === 'push') return trimmed
  const endpoints = endpointsOf(trimmed)
  for (const one of endpoints) parseEndpoint(one.startsWith(BOUND) ? one.slice(1) : one)
  return endpoints.join(',')
}

/** The endpoints of a list with commas. */
export const endpointsOf = (text: string): string[] => text.split(',').map((one) => one.trim())
