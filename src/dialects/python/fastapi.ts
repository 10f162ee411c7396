// FastAPI's own answers: `{"detail": …}`, and what pydantic says of a body that it does not accept.
import type { Core } from '../../core.ts'
import type { Call } from '../../openai/call.ts'
import { Refusal } from '../../openai/errors.ts'
import { pythonJson } from './text.ts'

/** One finding of pydantic. */
export interface Finding {
  readonly type: string
  readonly loc: readonly (string | number)[]
  readonly msg: string
  readonly input: unknown
  readonly ctx?: Readonly<Record<string, unknown>>
}

/** A body that the program would not have taken. */
export class Unprocessable extends Refusal {
  readonly findings: readonly Finding[]
  constructor(findings: readonly Finding[]) {
    super(422, 'unprocessable', findings.map(({ loc, msg }) => `${loc.join('.')}: ${msg}`).join('; '))
    this.findings = findings
  }
}

/** A JSON answer in which `Float` marks the floats. */
export function answer(
  value: unknown,
  status = 200,
  headers: Readonly<Record<string, string>> = {},
): Response {
  return new Response(pythonJson(value), {
    status,
    headers: { 'content-type': 'application/json', ...headers },
  })
}

/** `{"detail": …}`. `code`: ours, in the header that tells who failed. */
export function detail(
  value: unknown,
  status: number,
  headers: Readonly<Record<string, string>> = {},
): Response {
  return answer({ detail: value }, status, headers)
}

export const notFound = (): Response => detail('Not Found', 404)
/** What no route knows: a page on which the program describes itself, or nothing. */
export async function unknownTo(
  { config: { dialect }, host }: Core,
  request: Request,
  path: string,
): Promise<Response> {
  const page = dialect === undefined ? undefined : await host.parts?.pages?.(dialect, request, path)
  return page ?? notFound()
}

export const methodNotAllowed = (allow: string): Response => detail('Method Not Allowed', 405, { allow })

/** The 422 of a refusal about the body; undefined: it is about something else. */
export function unprocessable(refusal: {
  readonly code: string
  readonly message: string
}): Response | undefined {
  const headers = { 'x-fetchway-error': refusal.code }
  if (refusal instanceof Unprocessable) return detail(refusal.findings, 422, headers)
  if (refusal.code === 'empty_body')
    return detail([{ type: 'missing', loc: ['body'], msg: 'Field required', input: null }], 422, headers)
  if (refusal.code === 'invalid_model') {
    const msg = 'Input should be a valid string'
    return detail([{ type: 'string_type', loc: ['body', 'model'], msg, input: null }], 422, headers)
  }
  if (refusal.code !== 'invalid_json') return undefined
  const finding = { type: 'json_invalid', loc: ['body', 0], msg: 'JSON decode error', input: {} }
  return detail([{ ...finding, ctx: { error: refusal.message } }], 422, headers)
}

/** What pydantic finds in a field that must be a whole number of at least `least`; absent and null are fine. */
export function checkInteger({ body }: Call, key: string, least: number): Finding[] {
  if (body.kind !== 'json') return []
  const kind = body.top.kind(key)
  if (kind === null || kind === 'null') return []
  const loc = ['body', key]
  const input = body.top.json(key)
  const number = typeof input === 'string' && /^\s*[+-]?\d+\s*$/.test(input) ? Number(input) : input
  if (typeof number !== 'number')
    return [
      kind === 'string'
        ? {
            type: 'int_parsing',
            loc,
            msg: 'Input should be a valid integer, unable to parse string as an integer',
            input,
          }
        : { type: 'int_type', loc, msg: 'Input should be a valid integer', input },
    ]
  if (!Number.isInteger(number)) {
    const msg = 'Input should be a valid integer, got a number with a fractional part'
    return [{ type: 'int_from_float', loc, msg, input }]
  }
  if (number >= least) return []
  const msg = `Input should be greater than or equal to ${least}`
  return [{ type: 'greater_than_equal', loc, msg, input, ctx: { ge: least } }]
}

/** The same of a field that must be true or false. */
export function checkBoolean({ body }: Call, key: string): Finding[] {
  if (body.kind !== 'json') return []
  const kind = body.top.kind(key)
  if (kind === null || kind === 'null' || kind === 'boolean') return []
  const loc = ['body', key]
  const input = body.top.json(key)
  return [{ type: 'bool_type', loc, msg: 'Input should be a valid boolean', input }]
}
