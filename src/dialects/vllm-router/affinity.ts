// What keeps calls together in the vLLM router: headers and fields of the body, in its order.
import { furcName } from '../../hashes/murmur.ts'
import type { Call } from '../../openai/call.ts'
import { pathname } from '../../openai/target.ts'
import type { TopLevel } from '../../openai/scan.ts'
import { BodyError } from '../../openai/skip.ts'

const HEADERS = ['x-session-id', 'x-user-id', 'x-tenant-id', 'x-correlation-id', 'x-request-id', 'x-trace-id']

type Options = Readonly<Record<string, unknown>>

/** Longer texts are hashed by a hash of theirs. Bytes. */
const LONG = 100
const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: false })
/** Texts of a JSON document, and the blanks between its values. */
const TOKENS = /"(?:[^"\\]|\\.)*"|\s+/g

/** Where the text of a call is that the original reads field by field. Chats have none but their session. */
const TEXTS: Readonly<Record<string, string>> = {
  '/v1/completions': 'prompt',
  '/generate': 'text',
  '/v1/embeddings': 'input',
  '/inference/v1/generate': 'token_ids',
  '/v1/rerank': 'query',
}

/**
 * The call with its session: for consistent_hash the whole key that is hashed (`header:NAME:VALUE`, `session:V`, `user:V`,
 * `request:TEXT`), else the bare value. A request id is no session, unless `isStrict`: each call has another one. Chats that have
 * no session go by load; the original sends all of them to one worker. On paths that are passed on, all of the body is the text.
 */
export function affine(call: Call, headers: Headers, options: Options, isStrict: boolean): Call {
  const isHashed = ['policy', 'prefillPolicy', 'decodePolicy'].some(
    (key) => options[key] === 'consistent_hash',
  )
  for (const name of HEADERS) {
    if (name === 'x-request-id' && !isStrict) continue
    const value = headers.get(name)
    if (value) return { ...call, session: isHashed ? `header:${name}:${value}` : value }
  }
  const path = pathname(call.path)
  const isWhole = isHashed && options['isPaired'] !== true && !TYPED.has(path)
  if (call.body.kind !== 'json')
    return { ...call, session: isWhole && call.body.kind === 'none' ? textKey('null') : null }
  const { top } = call.body
  const found = bodyKey(top)
  if (!isHashed) return { ...call, session: found?.value ?? null }
  if (isWhole && !found) return { ...call, session: wholeKey(top) }
  if (isWhole || options['isPaired'] === true)
    return { ...call, session: found && `${found.kind}:${found.value}` }
  // Without pairs the session of a chat is all of its text that the original looks at.
  if (found?.isText) return { ...call, session: textKey(found.value) }
  if (found) return { ...call, session: `${found.kind}:${found.value}` }
  const text = textOf(top, TEXTS[path])
  return { ...call, session: text ? textKey(text) : null }
}

const TYPED: ReadonlySet<string> = new Set(['/v1/chat/completions', ...Object.keys(TEXTS)])

const textKey = (text: string): string =>
  encoder.encode(text).length > LONG ? `request_hash:${furcName(text)}` : `request:${text}`

/** A body as the original writes it anew: no blanks, and no escapes but those that must be. Null: it is no JSON inside. */
function wholeKey({ bytes, object }: TopLevel): string | null {
  try {
    const text = decoder.decode(bytes.subarray(object.start, object.end))
    return textKey(text.replace(TOKENS, (token) => (token[0] === '"' ? rewritten(token) : '')))
  } catch {
    // The engine refuses it.
    return null
  }
}

const rewritten = (text: string): string => (text.includes('\\') ? JSON.stringify(JSON.parse(text)) : text)

function textOf(top: TopLevel, field: string | undefined): string | null {
  if (field === undefined) return null
  if (top.kind(field) === 'string') return top.string(field)
  const items = top.kind(field) === 'array' ? jsonOf(top, field) : null
  const kind = field === 'token_ids' ? 'number' : 'string'
  return Array.isArray(items) && items.every((item) => typeof item === kind) ? items.join(' ') : null
}

interface Found {
  readonly kind: string
  readonly value: string
  /** It is the session of `session_params`. */
  readonly isText: boolean
}

function bodyKey(top: TopLevel): Found | null {
  const kinds = [
    ['session', paramsId(top)],
    ['user', top.string('user')],
    ['session', top.string('session_id')],
    ['user', top.string('user_id')],
  ] as const
  for (const [at, [kind, value]] of kinds.entries()) if (value) return { kind, value, isText: at === 0 }
  return null
}

function paramsId(top: TopLevel): string | null {
  if (top.kind('session_params') !== 'object') return null
  const id = (jsonOf(top, 'session_params') as { session_id?: unknown } | null)?.session_id
  return typeof id === 'string' ? id : null
}

/** A field's value; null: what is inside is no JSON, and the engine refuses it. */
function jsonOf(top: TopLevel, field: string): unknown {
  try {
    return top.json(field)
  } catch (error) {
    if (error instanceof BodyError) return null
    throw error
  }
}
