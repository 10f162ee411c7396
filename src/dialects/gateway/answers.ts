// Replies as the Rust routers' framework (axum) and their own code write them.
import type { RefusalValue } from '../../actors/ask.ts'
import { json, text } from '../../routes/reply.ts'

/** No body at all. */
export const empty = (status: number, headers: Record<string, string> = {}): Response =>
  new Response(null, { status, headers: { 'content-length': '0', ...headers } })

export const plain = (status: number, words: string): Response => text(words, status)

export const missingQuery = (name: string): Response =>
  plain(400, `Failed to deserialize query string: missing field \`${name}\``)

export const wrongMethod = (allowed: string): Response => empty(405, { allow: allowed })

const PHRASES: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  408: 'Request Timeout',
  409: 'Conflict',
  413: 'Payload Too Large',
  415: 'Unsupported Media Type',
  422: 'Unprocessable Entity',
  429: 'Too Many Requests',
  500: 'Internal Server Error',
  501: 'Not Implemented',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
}

/** A status in words, where it is a common one. */
export const phraseOf = (status: number): string | undefined => PHRASES[status]

/** `404 Not Found` */
export const phrased = (status: number): string => `${status} ${PHRASES[status] ?? ''}`.trim()

/** Methods that a path has in tables of handlers by `METHOD PATH`, as Allow names them; none: it is in none of them. */
export function methodsOf(path: string, tables: readonly ReadonlyMap<string, unknown>[]): string[] {
  const found = METHODS.filter((method) => tables.some((table) => table.has(`${method} ${path}`)))
  return found.flatMap((method) => (method === 'GET' ? ['GET', 'HEAD'] : [method]))
}

const METHODS = ['POST', 'GET', 'PUT', 'PATCH', 'DELETE']

/** A list of texts as Rust writes one: `["a", "b"]`. */
export const listed = (items: readonly string[]): string =>
  `[${items.map((item) => JSON.stringify(item)).join(', ')}]`

/** Their error of a control-plane request. */
export const coded = (status: number, error: string, code: string): Response => json({ error, code }, status)

const PARSE_ERROR = 'Failed to parse the request body as JSON'
export const NO_JSON_TYPE = 'Expected request with `Content-Type: application/json`'
export const missingField = (name: string): string =>
  `Failed to deserialize the JSON body into the target type: missing field \`${name}\``

export const NO_BODY = `${PARSE_ERROR}: EOF while parsing a value at line 1 column 0`

/** A field of a wrong type. `raw`: its JSON where it is known. */
export function misfit(name: string, kind: string, raw: string, want: string): string {
  const expected = { boolean: 'a boolean', string: 'a string' }[want] ?? want
  const isWhole = /^-?\d+$/.test(raw)
  const what = kind === 'number' && isWhole && want === 'u32' ? 'value' : 'type'
  return `Failed to deserialize the JSON body into the target type: ${name}: invalid ${what}: ${named(kind, raw)}, expected ${expected}`
}

/** Why the value of a field that must be a text is none. */
export function noText(name: string, value: unknown): string {
  if (value === undefined) return missingField(name)
  const kind = value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value
  return misfit(name, kind, JSON.stringify(value), 'string')
}

/** Where their parser stands when it has read so many bytes: ` at line 1 column 30`; columns are bytes. */
export function placeAt(bytes: Uint8Array, read: number): string {
  const before = bytes.subarray(0, read)
  const line = before.reduce((lines, byte) => lines + (byte === NEWLINE ? 1 : 0), 1)
  return ` at line ${line} column ${read - before.lastIndexOf(NEWLINE) - 1}`
}

const NEWLINE = 10

/** Most of a value that is shown. */
const SHOWN = 100

/** A value as Rust's parser names it. */
function named(kind: string, raw: string): string {
  if (kind === 'array') return 'sequence'
  if (kind === 'object') return 'map'
  if (kind === 'null') return 'null'
  const word = kind === 'number' ? (/[.eE]/.test(raw) ? 'floating point' : 'integer') : kind
  if (raw === '' || raw.length > SHOWN) return word
  return kind === 'string' ? `string ${raw}` : `${word} \`${raw}\``
}

/** What is wrong with a body, as their parser begins to say it. */
export const parseMessage = ({ code, message }: RefusalValue): string =>
  code === 'invalid_json' ? message.replace('The request body is not valid JSON', PARSE_ERROR) : message

/** The JSON object of a request's body, or the reply that refuses it. */
export async function objectOf(request: Request): Promise<Record<string, unknown> | Response> {
  if (!isJsonType(request.headers)) return plain(415, NO_JSON_TYPE)
  let value: unknown
  try {
    value = await request.json()
  } catch {
    return plain(400, PARSE_ERROR)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return plain(422, 'Failed to deserialize the JSON body into the target type: expected a map')
  return value as Record<string, unknown>
}

export const isJsonType = (headers: Headers): boolean => isJsonWord(headers.get('content-type') ?? '')

/** Whether a Content-Type is that of JSON. */
export const isJsonWord = (type: string): boolean => /^application\/(?:[\w.+-]+\+)?json\b/i.test(type)
