// One request with what its handler needs, and the plain replies that handlers make.
import { isFields, type Fields } from './fields.ts'
import { EngineRefusal } from './refusal.ts'
import type { Simulation } from './simulation.ts'

export interface Exchange {
  readonly sim: Simulation
  readonly method: string
  readonly url: URL
  readonly headers: Headers
  readonly bytes: Uint8Array<ArrayBuffer>
  readonly signal: AbortSignal
  /** Parts of the path that the route left open. */
  readonly params: Readonly<Record<string, string>>
  /** The data-parallel rank that it asks for; null: any. */
  readonly rank: number | null
}

export type Handler = (exchange: Exchange) => Response | Promise<Response>

export const sizeOf = (text: string): number => new TextEncoder().encode(text).length

/** An answer in JSON, of known length. */
export function json(value: unknown, status = 200, headers: Record<string, string> = {}): Response {
  return text(JSON.stringify(value), status, { 'content-type': 'application/json', ...headers })
}

/** An answer of text, of known length. */
export function text(body: string, status = 200, headers: Record<string, string> = {}): Response {
  const length = { 'content-length': String(sizeOf(body)) }
  return new Response(body, {
    status,
    headers: { 'content-type': 'text/plain; charset=utf-8', ...length, ...headers },
  })
}

/** An empty answer. */
export function empty(status = 200): Response {
  return new Response('', { status, headers: { 'content-length': '0' } })
}

/** The JSON object in a request's body; refuses other content types, broken JSON and other values. */
export function readBody(exchange: Exchange): Fields {
  const type = exchange.headers.get('content-type') ?? 'application/json'
  if (!/^application\/(.*\+)?json/i.test(type)) {
    const message = "1 validation error:\n  Unsupported Media Type: Only 'application/json' is allowed"
    throw new EngineRefusal('invalid', message)
  }
  if (exchange.bytes.length === 0) {
    const message =
      "1 validation error:\n  {'type': 'missing', 'loc': 'body', 'msg': 'Field required', 'input': 'None'}"
    throw new EngineRefusal('invalid', message, { param: 'body' })
  }
  const value = parse(new TextDecoder().decode(exchange.bytes))
  if (isFields(value)) return value
  throw new EngineRefusal('invalid', "1 validation error:\n  {'type': 'dict_type', 'loc': 'body'}", {
    param: 'body',
  })
}

/** The body's fields, or none when there is no body. */
export function readOptionalBody(exchange: Exchange): Fields {
  return exchange.bytes.length === 0 ? {} : readBody(exchange)
}

function parse(source: string): unknown {
  try {
    return JSON.parse(source)
  } catch (error) {
    const at =
      /position (\d+)/.exec(error instanceof Error ? error.message : '')?.[1] ?? String(source.length)
    const message = `1 validation error:\n  {'type': 'json_invalid', 'loc': 'body.${at}', 'msg': 'JSON decode error'}`
    throw new EngineRefusal('bad_json', message, { param: `body.${at}` })
  }
}

/** The length asked for by the test header `x-sim-output-tokens`, or null. */
export function askedLength(exchange: Exchange): number | null {
  const length = Number(exchange.headers.get('x-sim-output-tokens') ?? Number.NaN)
  return Number.isInteger(length) && length > 0 ? length : null
}

/** The call's own id as the engines use it in their reply's id. */
export function requestId(exchange: Exchange): string {
  return exchange.headers.get('x-request-id') ?? exchange.sim.hex()
}
