// What DLRouter and LMDeploy's proxy ask of the body of a chat or completion, in pydantic's words.
import type { Call } from '../../openai/call.ts'
import { checkInteger, Unprocessable, type Finding } from './fastapi.ts'

/** The field without which there is nothing to compute, by path. */
const NEEDED: Readonly<Record<string, 'messages' | 'prompt'>> = {
  '/v1/chat/completions': 'messages',
  '/v1/completions': 'prompt',
}

const FLOATS = ['temperature', 'top_p', 'presence_penalty', 'frequency_penalty'] as const
const INTEGERS = ['max_tokens', 'n', 'top_k'] as const

/** Both have routes for POST alone at these paths. */
export const isInferencePath = (path: string): boolean => NEEDED[path] !== undefined

/** Throws `Unprocessable` with all that the program would not have taken; fields that it does not know pass. */
export function checkRequest(call: Call): void {
  const needed = NEEDED[call.endpoint.name]
  const { body } = call
  if (needed === undefined || body.kind !== 'json') return
  const findings = [
    ...(body.top.has('model') ? [] : [missing('model')]),
    ...checkPrompt(call, needed),
    ...FLOATS.flatMap((key) => checkFloat(call, key)),
    ...INTEGERS.flatMap((key) => checkInteger(call, key, -Infinity)),
  ]
  if (findings.length > 0) throw new Unprocessable(findings)
}

/** The whole body is the input there; here nothing of it: prompts are long, and errors are logged. */
const missing = (key: string): Finding => ({
  type: 'missing',
  loc: ['body', key],
  msg: 'Field required',
  input: {},
})

/** A text or a list. */
function checkPrompt({ body }: Call, key: string): Finding[] {
  if (body.kind !== 'json') return []
  const kind = body.top.kind(key)
  if (kind === null) return [missing(key)]
  if (kind === 'string' || kind === 'array') return []
  const input = kind === 'object' ? {} : body.top.json(key)
  return [
    { type: 'string_type', loc: ['body', key, 'str'], msg: 'Input should be a valid string', input },
    { type: 'list_type', loc: ['body', key, 'list'], msg: 'Input should be a valid list', input },
  ]
}

/** A number, or a text that is one; null is fine. */
function checkFloat({ body }: Call, key: string): Finding[] {
  if (body.kind !== 'json') return []
  const kind = body.top.kind(key)
  if (kind === null || kind === 'null' || kind === 'number' || kind === 'boolean') return []
  const loc = ['body', key]
  const input = body.top.json(key)
  const msg = 'Input should be a valid number'
  if (typeof input !== 'string') return [{ type: 'float_type', loc, msg, input }]
  if (input.trim() !== '' && !Number.isNaN(Number(input))) return []
  return [{ type: 'float_parsing', loc, msg: `${msg}, unable to parse string as a number`, input }]
}
