// What DLRouter's consistent_hash and prefix_cache go by: the key that a request names, and the beginning of its prompt.
import { md5 } from '../../hashes/md5.ts'
import type { Call } from '../../openai/call.ts'
import type { TopLevel } from '../../openai/scan.ts'
import { Float, pythonJson } from '../python/text.ts'

const HEADERS = ['x-session-id', 'x-user-id', 'x-tenant-id', 'x-request-id', 'x-correlation-id', 'x-trace-id']

/** Characters of a prompt that prefix_cache looks at. */
const BEGINNING = 100

/** The key of a call: of the first header or field that has one, else the digest of its body. Null: it has no JSON body. */
export function requestKey({ body, shape }: Call, headers: Headers): string | null {
  for (const name of HEADERS) {
    const value = headers.get(name)
    if (value) return value
  }
  if (body.kind !== 'json') return null
  return fieldKey(body.top) ?? (shape === 'chat' || shape === 'completions' ? digest(body.top, shape) : null)
}

function fieldKey(top: TopLevel): string | null {
  if (top.kind('session_params') === 'object') {
    const { session_id: id } = top.json('session_params') as { session_id?: unknown }
    if (typeof id === 'string' && id !== '') return id
  }
  return top.string('user') || legacySession(top) || top.string('user_id') || null
}

/** Completions number their sessions; -1 stands for none. */
function legacySession(top: TopLevel): string | null {
  const number = top.kind('session_id') === 'number' ? top.number('session_id') : null
  return number === null || number < 0 ? top.string('session_id') : String(number)
}

const FLOATS = [
  'temperature',
  'top_p',
  'presence_penalty',
  'frequency_penalty',
  'repetition_penalty',
  'min_p',
]

const SHARED: Readonly<Record<string, unknown>> = {
  temperature: 0.7,
  top_p: 1,
  top_k: 40,
  n: 1,
  stream: false,
  presence_penalty: 0,
  frequency_penalty: 0,
  repetition_penalty: 1,
  ignore_eos: false,
  skip_special_tokens: true,
  spaces_between_special_tokens: true,
  return_token_ids: false,
}
const DEFAULTS: Readonly<Record<'chat' | 'completions', Readonly<Record<string, unknown>>>> = {
  chat: { ...SHARED, logprobs: false },
  completions: { ...SHARED, max_tokens: 16, echo: false, session_id: -1, min_p: 0 },
}

/** Fields that it knows; others are not in its digest. */
const KNOWN = new Set(
  `${Object.keys(SHARED).join(' ')} model messages prompt suffix echo max_tokens max_completion_tokens stop
  stream_options tools tool_choice logprobs top_logprobs logit_bias response_format seed extra_body
  session_params session_id min_p`.split(/\s+/),
)

/** MD5 of the body as `json.dumps` writes it: known fields without nulls, with its defaults, keys in order. */
function digest(top: TopLevel, shape: 'chat' | 'completions'): string {
  const body: Record<string, unknown> = { ...DEFAULTS[shape] }
  for (const key of top.keys()) {
    const kind = top.kind(key)
    if (KNOWN.has(key) && kind !== 'null') body[key] = top.json(key)
  }
  for (const key of FLOATS) if (typeof body[key] === 'number') body[key] = new Float(body[key])
  return hex(md5(pythonJson(body, 'sorted')))
}

function hex(words: Int32Array): string {
  const view = new DataView(new ArrayBuffer(16))
  for (const [i, word] of words.entries()) view.setInt32(4 * i, word, true)
  return Array.from({ length: 16 }, (_, i) => view.getUint8(i).toString(16).padStart(2, '0')).join('')
}

/** As Python's `split()`, but for four control characters. */
const BLANK = /\p{White_Space}+/u

/** The first characters of a prompt, blanks made one; null: there is no prompt. */
export function beginning({ body, shape }: Call): string | null {
  if (body.kind !== 'json') return null
  const text = shape === 'chat' ? chatText(body.top) : shape === 'completions' ? promptText(body.top) : ''
  const words = text.split(BLANK).filter((word) => word !== '')
  return Array.from(words.join(' ')).slice(0, BEGINNING).join('') || null
}

function chatText(top: TopLevel): string {
  const messages: unknown = top.has('messages') ? top.json('messages') : []
  if (typeof messages === 'string') return messages
  return (Array.isArray(messages) ? messages : [])
    .map((message: { content?: unknown } | null) => textOf(message?.content))
    .join('\n')
}

function promptText(top: TopLevel): string {
  const prompt: unknown = top.has('prompt') ? top.json('prompt') : ''
  return Array.isArray(prompt) ? prompt.map(textOf).join('\n') : textOf(prompt)
}

const textOf = (value: unknown): string =>
  typeof value === 'string' ? value : value === undefined || value === null ? '' : JSON.stringify(value)
