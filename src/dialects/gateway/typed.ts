// What the Rust routers check of a body before they pass it on: that it says it is JSON, and the fields that must be there.
import type { RefusalValue } from '../../actors/ask.ts'
import type { Call } from '../../openai/call.ts'
import { pathname } from '../../openai/target.ts'
import { Refusal } from '../../openai/errors.ts'
import type { TopLevel } from '../../openai/scan.ts'
import type { RefusedAt } from '../dialect.ts'
import { isJsonType, isJsonWord, missingField, misfit, NO_BODY, NO_JSON_TYPE, placeAt } from './answers.ts'

/** Fields without which a body is none of that path. */
const FIELDS: Readonly<Record<string, string>> = {
  '/v1/chat/completions': 'messages',
  '/v1/completions': 'prompt',
  '/v1/embeddings': 'input',
  '/v1/classify': 'input',
  '/inference/v1/generate': 'token_ids',
}

/** Codes of what is wrong with a body; how they are answered is each router's own. */
export type BodyCode = 'unsupported_media_type' | 'missing_field' | 'empty_field' | 'empty_body'

/** What a field must be; `?`: or null. All of them may be absent. */
type Want = 'boolean' | 'boolean?' | 'u32?' | 'string'
export type Wants = Readonly<Record<string, Readonly<Record<string, Want>>>>

/** Fields that both routers read, with the types that they have there. */
export const WANTS: Wants = {
  '/v1/chat/completions': { stream: 'boolean', max_tokens: 'u32?', max_completion_tokens: 'u32?' },
  '/v1/completions': { stream: 'boolean', max_tokens: 'u32?' },
  '/generate': { stream: 'boolean' },
}

/** What a router checks of the bodies of its paths. */
export interface BodyRules {
  /** Paths that are checked. */
  readonly typed: ReadonlySet<string>
  readonly wants: Wants
  /** Paths whose calls must name a model. */
  readonly modelled?: ReadonlySet<string>
}

/** Throws 400, 415 or 422 with one of those codes. */
export function checkBody({ path, method, body }: Call, headers: Headers, rules: BodyRules): void {
  const name = pathname(path)
  if (method !== 'POST' || !rules.typed.has(name)) return
  if (!isJsonType(headers)) throw wrong(415, 'unsupported_media_type', NO_JSON_TYPE)
  if (body.kind === 'none') throw wrong(400, 'empty_body', NO_BODY)
  const { wants, modelled } = rules
  if (body.kind === 'json' && Object.hasOwn(wants, name)) checkTypes(body.top, wants[name] ?? {})
  if (modelled?.has(name) && body.kind === 'json' && !body.top.has('model')) throw lacks('model', body.top)
  const field = Object.hasOwn(FIELDS, name) ? (FIELDS[name] as string) : undefined
  if (field === undefined) return
  const top = body.kind === 'json' ? body.top : null
  const kind = top?.kind(field) ?? null
  if (top === null || kind === null) throw lacks(field, top)
  if (field === 'messages' && kind !== 'array') throw misfits(field, kind, top, 'a sequence')
}

/** A field is not there: their parser has read the whole object by then. */
function lacks(field: string, top: TopLevel | null): Refusal {
  const place = top === null ? '' : placeAt(top.bytes, top.bytes.lastIndexOf(CLOSING) + 1)
  return wrong(422, 'missing_field', missingField(field) + place)
}

const CLOSING = 0x7d

/** A field is none of what it should be: their parser has read its value by then. */
function misfits(field: string, kind: string, top: TopLevel, want: string): Refusal {
  const place = placeAt(top.bytes, top.span(field)?.end ?? 0)
  return wrong(422, 'missing_field', misfit(field, kind, top.raw(field) ?? '', want) + place)
}

function checkTypes(top: TopLevel, wants: Readonly<Record<string, Want>>): void {
  for (const [name, want] of Object.entries(wants)) {
    const kind = top.kind(name)
    if (kind === null || (kind === 'null' && want.endsWith('?'))) continue
    const is = want.replace('?', '')
    if (is === 'u32' ? kind === 'number' && isU32(top.raw(name) ?? '') : kind === is) continue
    throw misfits(name, kind, top, is)
  }
}

/** Whole, not negative, and of 32 bits; `5.0` is none, as there. */
const isU32 = (raw: string): boolean => /^\d+$/.test(raw) && Number(raw) < 2 ** 32

/**
 * What is wrong with a body before what the native reader found: its type comes first there, and a model that is no text is a
 * field of a wrong type. `typed`: whether its model is read on that path.
 */
export function foundFirst(
  refusal: RefusalValue,
  at: RefusedAt,
  isTyped: boolean,
  isModelled: boolean,
): RefusalValue {
  const { code, message } = refusal
  if (at.method !== 'POST' || !isTyped || !READER.has(code)) return refusal
  if (at.type !== undefined && !isJsonWord(at.type ?? ''))
    return { ...refusal, status: 415, code: 'unsupported_media_type', message: NO_JSON_TYPE }
  if (code === 'empty_body') return { ...refusal, message: NO_BODY }
  if (code !== 'invalid_model' || !isModelled) return refusal
  const kind = / (\w+)\.$/.exec(message)?.[1] ?? ''
  return { ...refusal, status: 422, code: 'missing_field', message: misfit('model', kind, '', 'string') }
}

const READER: ReadonlySet<string> = new Set(['empty_body', 'invalid_json', 'invalid_model'])

/** Throws 422 for a response to nothing. */
export function checkInput({ path, method, body }: Call): void {
  if (method !== 'POST' || pathname(path) !== '/v1/responses' || body.kind !== 'json') return
  if (body.top.kind('input') === null) throw lacks('input', body.top)
}

/** Throws 400 for a chat without messages. */
export function checkMessages({ body }: Call): void {
  if (body.kind !== 'json' || body.top.kind('messages') !== 'array') return
  const messages = body.top.json('messages')
  if (Array.isArray(messages) && messages.length === 0)
    throw wrong(400, 'empty_field', 'messages: messages cannot be empty')
}

const wrong = (status: number, code: BodyCode, message: string) => new Refusal(status, code, message)
