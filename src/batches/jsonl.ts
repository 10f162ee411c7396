// The lines of a batch's input: cut out of its pieces, checked, and the body of each as it came.
import { scanTop } from '../openai/scan.ts'

/** A line in a file: bytes without its line break. */
export interface Cut {
  /** From 1. */
  readonly line: number
  readonly start: number
  /** Null: longer than `MAX_LINE`. */
  readonly bytes: Uint8Array | null
}

/** What is wrong with a line, in the API's words. */
export interface LineError {
  readonly code: string
  readonly message: string
  readonly param: string | null
  readonly line: number | null
}

/** A line is read in one piece. Bytes. */
export const MAX_LINE = 16 * 1024 * 1024

const LF = 0x0a
const EMPTY = new Uint8Array(0)

/** Cuts lines out of the pieces of a file, which come in order. Blank lines count, and are left out. */
export class Cutter {
  #rest: Uint8Array = EMPTY
  #start = 0
  #line = 0
  #skipped = 0;

  *cut(piece: Uint8Array): Generator<Cut> {
    let from = 0
    for (let end = piece.indexOf(LF); end >= 0; end = piece.indexOf(LF, from)) {
      yield* this.#take(piece.subarray(from, end))
      from = end + 1
    }
    this.#keep(piece.subarray(from))
  }

  /** The last line may lack its break. */
  *end(): Generator<Cut> {
    yield* this.#take(EMPTY)
  }

  *#take(end: Uint8Array): Generator<Cut> {
    this.#keep(end)
    const bytes = this.#rest
    const start = this.#start
    const isLong = this.#skipped > 0
    this.#line++
    this.#start += bytes.length + this.#skipped + 1
    this.#rest = EMPTY
    this.#skipped = 0
    if (isLong) yield { line: this.#line, start, bytes: null }
    else if (!isBlank(bytes)) yield { line: this.#line, start, bytes }
  }

  #keep(more: Uint8Array): void {
    if (this.#skipped > 0 || this.#rest.length + more.length > MAX_LINE) {
      this.#skipped += this.#rest.length + more.length
      this.#rest = EMPTY
      return
    }
    if (this.#rest.length === 0) this.#rest = more
    else if (more.length > 0) {
      const whole = new Uint8Array(this.#rest.length + more.length)
      whole.set(this.#rest)
      whole.set(more, this.#rest.length)
      this.#rest = whole
    }
  }
}

const isBlank = (bytes: Uint8Array): boolean =>
  bytes.every((byte) => byte === 0x20 || byte === 0x09 || byte === 0x0d)

/**
 * The `custom_id` of a line, or what is wrong with it: it must be an object with a custom_id of its own (`known` has those
 * before it), the method POST, the batch's endpoint as url, and a body that does not stream.
 */
export function checkLine(
  { line, bytes }: Cut,
  endpoint: string,
  known: ReadonlySet<string>,
): string | LineError {
  const wrong = (code: string, message: string, param: string | null = null) => ({
    code,
    message,
    param,
    line,
  })
  if (bytes === null) return wrong('line_too_long', `This line is longer than ${MAX_LINE} bytes.`)
  const request = parse(bytes)
  if (!isObject(request)) return wrong('invalid_json_line', 'This line is not parseable as a JSON object.')
  const { custom_id: id, method, url, body } = request
  if (typeof id !== 'string' || id === '')
    return wrong('missing_required_parameter', 'custom_id must be a text that is not empty.', 'custom_id')
  if (id.length > 512)
    return wrong('invalid_custom_id', 'custom_id is longer than 512 characters.', 'custom_id')
  if (known.has(id))
    return wrong(
      'duplicate_custom_id',
      `The custom_id ${JSON.stringify(id)} stands in a line before.`,
      'custom_id',
    )
  if (method !== 'POST') return wrong('invalid_method', 'method must be POST.', 'method')
  if (url !== endpoint)
    return wrong('invalid_url', `url must be the endpoint of the batch, ${endpoint}.`, 'url')
  if (!isObject(body)) return wrong('missing_required_parameter', 'body must be an object.', 'body')
  if (body['stream'] === true)
    return wrong('stream_not_supported', 'A line of a batch cannot stream.', 'body.stream')
  return id
}

/** The body of a line that was checked, as it stands there. */
export function bodyOf(line: Uint8Array): Uint8Array {
  const body = scanTop(line).span('body')
  return body === null ? EMPTY : line.subarray(body.start, body.end)
}

/** Undefined for what is no JSON. */
export function parse(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(bytes))
  } catch {
    return undefined // told of by the caller, who knows the line
  }
}

export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
