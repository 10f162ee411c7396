// What the Rust routers check of a body before they pass it on: that it says it is JSON, and the fields that must be there.
import type { Call } from '../../openai/call.ts'
import { pathname } from '../../openai/call.ts'
import { Refusal } from '../../openai/errors.ts'
import { isJsonType, missingField, NO_JSON_TYPE, noList } from './answers.ts'

/** Fields without which a body is none of that path. */
const FIELDS: Readonly<Record<string, string>> = {
  '/v1/chat/completions': 'messages',
  '/v1/completions': 'prompt',
  '/v1/embeddings': 'input',
  '/v1/classify': 'input',
  '/inference/v1/generate': 'token_ids',
}

/** Codes of what is wrong with a body; how they are answered is each router's own. */
export type BodyCode = 'unsupported_media_type' | 'missing_field' | 'empty_field'

/** Throws 415 or 422 with one of those codes. `typed`: paths that are checked. */
export function checkBody({ path, method, body }: Call, headers: Headers, typed: ReadonlySet<string>): void {
  const name = pathname(path)
  if (method !== 'POST' || !typed.has(name)) return
  if (!isJsonType(headers)) throw wrong(415, 'unsupported_media_type', NO_JSON_TYPE)
  const field = Object.hasOwn(FIELDS, name) ? (FIELDS[name] as string) : undefined
  if (field === undefined) return
  const kind = body.kind === 'json' ? body.top.kind(field) : null
  if (kind === null) throw wrong(422, 'missing_field', missingField(field))
  if (field === 'messages' && kind !== 'array') throw wrong(422, 'missing_field', noList(field, kind))
}

/** Throws 422 for a response to nothing. */
export function checkInput({ path, method, body }: Call): void {
  if (method !== 'POST' || pathname(path) !== '/v1/responses' || body.kind !== 'json') return
  if (body.top.kind('input') === null) throw wrong(422, 'missing_field', missingField('input'))
}

/** Throws 400 for a chat without messages. */
export function checkMessages({ body }: Call): void {
  if (body.kind !== 'json' || body.top.kind('messages') !== 'array') return
  const messages = body.top.json('messages')
  if (Array.isArray(messages) && messages.length === 0)
    throw wrong(400, 'empty_field', 'messages: messages cannot be empty')
}

const wrong = (status: number, code: BodyCode, message: string) => new Refusal(status, code, message)
