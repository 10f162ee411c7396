// What the stream of each API looks like: which events carry a token, which end it, and how an error is told in it.
import { anthropicType, isRetryable, openaiType } from './errors.ts'
import { fieldsOf } from './usage.ts'

/** The APIs whose streams are understood; `other` passes through. */
export type Shape = 'chat' | 'completions' | 'responses' | 'messages' | 'generate' | 'other'

const PATHS: Readonly<Record<string, Shape>> = {
  '/v1/chat/completions': 'chat',
  '/v1/completions': 'completions',
  '/v1/responses': 'responses',
  '/v1/messages': 'messages',
  '/generate': 'generate',
}

/** The API shape of a path; its query and a trailing slash do not matter. */
export function shapeOf(path: string): Shape {
  const query = path.indexOf('?')
  const bare = query < 0 ? path : path.slice(0, query)
  return PATHS[bare.length > 1 && bare.endsWith('/') ? bare.slice(0, -1) : bare] ?? 'other'
}

/** The event's type: its name, or the `type` inside its data where the engine sent no `event:` line. */
export function typeOf(name: string, data: string): string {
  if (name !== '') return name
  const type = readFields(data)?.['type']
  return typeof type === 'string' ? type : ''
}

/**
 * Whether an event brings the first token. Comments, deltas with only a role, `response.created`, `content_block_start`, pings
 * and the like do not: they are sent before the model has computed anything.
 */
export function isFirstToken(shape: Shape, name: string, data: string): boolean {
  if (data === '' || data === '[DONE]') return false
  if (shape === 'other') return true
  if (shape === 'responses' || shape === 'messages') return isNamedToken(shape, typeOf(name, data), data)
  const fields = readFields(data)
  // What has the form of no such event is output all the same: the answer has begun.
  if (fields === null || isStrange(shape, fields)) return fields === null || !('error' in fields)
  if (shape === 'generate')
    return (
      hasText(fields, ['text', 'output_ids']) ||
      Number(fieldsOf(fields['meta_info'])?.['completion_tokens']) > 0
    )
  const choices = fields['choices'] as unknown[]
  if (shape === 'completions') return choices.some((choice) => hasText(choice, ['text', 'token_ids']))
  return choices.some((choice) => {
    const delta = fieldsOf(choice)?.['delta']
    return delta === undefined || hasText(delta, DELTA_KEYS)
  })
}

function isNamedToken(shape: 'responses' | 'messages', type: string, data: string): boolean {
  if (type === 'error') return false
  if (shape === 'responses') return !type.startsWith('response.') || type.endsWith('.delta')
  if (type === 'content_block_delta')
    return hasText(readFields(data)?.['delta'], ['text', 'thinking', 'partial_json'])
  return !/^(?:message_|content_block_|ping$)/.test(type)
}

function isStrange(shape: Shape, fields: Readonly<Record<string, unknown>>): boolean {
  if (shape !== 'generate') return !Array.isArray(fields['choices'])
  return !('text' in fields || 'output_ids' in fields || 'meta_info' in fields)
}

const DELTA_KEYS = [
  'content',
  'reasoning_content',
  'reasoning',
  'tool_calls',
  'refusal',
  'audio',
  'function_call',
  'token_ids',
]

/** Whether an event says that the stream ended as it should. */
export function isLastEvent(shape: Shape, name: string, data: string): boolean {
  if (data === '[DONE]') return true
  if (shape === 'messages') return typeOf(name, data) === 'message_stop'
  return (
    shape === 'responses' && /^response\.(?:completed|incomplete|failed|cancelled)$/.test(typeOf(name, data))
  )
}

/** Whether a chat or completions event tells why the text ended: all of the answer is there even if `[DONE]` never comes. */
export function hasFinishReason(data: string): boolean {
  const choices = readFields(data)?.['choices']
  return (
    Array.isArray(choices) &&
    choices.some((choice) => typeof fieldsOf(choice)?.['finish_reason'] === 'string')
  )
}

/** Whether an engine tells an error in place of an answer. */
export function isError(shape: Shape, name: string, data: string): boolean {
  if (name === 'error') return true
  if (shape === 'responses' || shape === 'messages')
    return /^(?:error|response\.failed)$/.test(typeOf(name, data))
  return data.startsWith('{') && data.includes('"error"') && fieldsOf(readFields(data)?.['error']) !== null
}

export interface StreamFailure {
  readonly message: string
  /** Of the set that `error.code` has, e.g. `upstream_reset`. */
  readonly code: string
  /** What the status would have been; picks the error's type. 502 when left out. */
  readonly status?: number
}

/** What a stream has told so far; a Responses error event repeats it. */
export interface StreamPlace {
  /** The client has part of an event: a blank line must come first. */
  readonly isInsideEvent: boolean
  readonly responseId?: string | null
  readonly model?: string | null
  readonly createdAt?: number | null
  /** `sequence_number` of the last event. */
  readonly sequence?: number | null
}

/** The text that ends a broken stream so that no client takes it for a whole one. Never `[DONE]`. */
export function errorEvent(
  shape: Shape,
  failure: StreamFailure,
  place: StreamPlace = { isInsideEvent: false },
): string {
  const lead = place.isInsideEvent ? '\n\n' : ''
  const { message, code, status = 502 } = failure
  if (shape === 'messages') {
    return `${lead}event: error\ndata: ${JSON.stringify({ type: 'error', error: { type: anthropicType(status), message, code, retryable: isRetryable(status) } })}\n\n`
  }
  if (shape === 'responses') return `${lead}${responsesError(failure, place)}`
  return `${lead}data: ${JSON.stringify({ error: { message, type: openaiType(status), param: null, code, retryable: isRetryable(status) } })}\n\n`
}

function responsesError(failure: StreamFailure, place: StreamPlace): string {
  const { message, code } = failure
  const sequence_number = (place.sequence ?? -1) + 1
  const response = {
    id: place.responseId ?? 'resp_unknown',
    object: 'response',
    created_at: place.createdAt ?? 0,
    status: 'failed',
    error: { code, message },
    incomplete_details: null,
    model: place.model ?? '',
    output: [],
    usage: null,
  }
  return `event: response.failed\ndata: ${JSON.stringify({ type: 'response.failed', sequence_number, response })}\n\n`
}

/** The members of an event's data when it is a JSON object, else null. */
export function readFields(data: string): Readonly<Record<string, unknown>> | null {
  try {
    return fieldsOf(JSON.parse(data))
  } catch {
    // Not JSON: passes through, and tells us nothing.
    return null
  }
}

/** Whether one of the keys holds something that is not empty. */
function hasText(value: unknown, keys: readonly string[]): boolean {
  const fields = fieldsOf(value)
  if (fields === null) return false
  return keys.some((key) => {
    const part = fields[key]
    if (typeof part === 'string' || Array.isArray(part)) return part.length > 0
    return typeof part === 'object' && part !== null && Object.keys(part).length > 0
  })
}
