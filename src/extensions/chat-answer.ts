// Chats as the semantic cache takes them: what may be compared, and answers in both of their forms.
import { SseSplitter, readEvent } from '../openai/sse.ts'

type Fields = Readonly<Record<string, unknown>>

/** What of a chat is compared by meaning, and what must be the same. */
export interface Question {
  readonly text: string
  readonly scope: string
}

/** Fields that change nothing of an answer. */
const IDLE = new Set([
  'messages',
  'stream',
  'stream_options',
  'user',
  'session_id',
  'priority',
  'request_id',
  'metadata',
  'skip_cache',
  'cache_similarity_threshold',
])

/** Null: a chat that is not cached, for more than text decides what is right: pictures, tools that were called. */
export function questionOf(chat: Fields, tenant: string): Question | null {
  const { messages } = chat
  if (!Array.isArray(messages) || messages.length === 0) return null
  const lines: string[] = []
  for (const message of messages as readonly unknown[]) {
    const text = lineOf(message)
    if (text === null) return null
    lines.push(text)
  }
  const rest = Object.entries(chat).filter(([key, value]) => !IDLE.has(key) && value !== null)
  rest.sort(([a], [b]) => (a < b ? -1 : 1))
  // Who speaks when must be the same, too.
  const roles = (messages as readonly Fields[]).map(({ role }) => role)
  return { text: lines.join(' '), scope: JSON.stringify([tenant, roles, rest]) }
}

function lineOf(message: unknown): string | null {
  if (typeof message !== 'object' || message === null) return null
  const { role, content, tool_calls, function_call } = message as Fields
  const isPlain = role === 'system' || role === 'developer' || role === 'user' || role === 'assistant'
  if (!isPlain || tool_calls || function_call) return null
  if (typeof content === 'string') return `${role}: ${content}`
  if (!Array.isArray(content)) return null
  const texts = (content as readonly unknown[]).map((part) => {
    const { type, text } = (part ?? {}) as Fields
    return type === 'text' && typeof text === 'string' ? text : null
  })
  return texts.includes(null) ? null : `${role}: ${texts.join(' ')}`
}

/** How an answer of text ends; one that was as long as its chat allows is whole, too. */
const WHOLE: ReadonlySet<unknown> = new Set(['stop', 'length'])

/** A whole answer as it is kept; null: one that is not (an error, one that broke off, one that calls tools). */
export function answerOf(bytes: Uint8Array, isStream: boolean): Fields | null {
  const answer = isStream ? gathered(bytes) : jsonOf(new TextDecoder().decode(bytes))
  const choices = answer?.['choices']
  if (!answer || !Array.isArray(choices) || choices.length === 0 || answer['error']) return null
  const areWhole = (choices as readonly Fields[]).every(({ message, finish_reason }) => {
    const { tool_calls, content } = (message ?? {}) as { tool_calls?: unknown[]; content?: unknown }
    return WHOLE.has(finish_reason) && !tool_calls?.length && typeof content === 'string'
  })
  return areWhole ? answer : null
}

interface Gathered {
  readonly index: number
  content: string
  finish_reason: unknown
  isOther: boolean
}

/** A stream's answer put together; null: it holds more than text. */
function gathered(bytes: Uint8Array): Fields | null {
  const splitter = new SseSplitter()
  const rest = splitter.push(bytes)
  const choices = new Map<number, Gathered>()
  let head: Fields | null = null
  let usage: unknown
  for (const event of rest) {
    const chunk = jsonOf(readEvent(event).data ?? '')
    if (!chunk) continue
    if (chunk['error']) return null
    head ??= chunk
    usage = chunk['usage'] ?? usage
    for (const choice of (chunk['choices'] as readonly Fields[] | undefined) ?? []) take(choices, choice)
  }
  if (head === null || [...choices.values()].some(({ isOther }) => isOther)) return null
  return {
    id: head['id'],
    object: 'chat.completion',
    created: head['created'],
    model: head['model'],
    choices: [...choices.values()].map(({ index, content, finish_reason }) => ({
      index,
      message: { role: 'assistant', content },
      finish_reason,
    })),
    ...(usage ? { usage } : {}),
  }
}

function take(choices: Map<number, Gathered>, { index, delta, finish_reason, logprobs }: Fields): void {
  const at = typeof index === 'number' ? index : 0
  const known = choices.get(at) ?? { index: at, content: '', finish_reason: null, isOther: false }
  choices.set(at, known)
  const { content, role: _, ...other } = (delta ?? {}) as Fields
  if (typeof content === 'string') known.content += content
  if (finish_reason) known.finish_reason = finish_reason
  const isMore = Object.values(other).some((value) => value !== null && value !== undefined)
  if (isMore || logprobs) known.isOther = true
}

/** A kept answer for another client: under an id of its own, and marked. */
export function renewed(
  answer: Fields,
  by: { readonly id: string; readonly created: number; readonly similarity: number },
): Fields {
  const { id, created, similarity } = by
  return { ...answer, id, created, cached: true, similarity_score: similarity }
}

/** An answer as the events of a stream. */
export function asStream(answer: Fields, withUsage: boolean): string {
  const { choices, usage, object: _, ...head } = answer
  const of = (more: Fields) =>
    `data: ${JSON.stringify({ ...head, object: 'chat.completion.chunk', ...more })}\n\n`
  const parts = (choices as readonly Fields[]).flatMap(({ index, message, finish_reason }) => {
    const { content } = message as Fields
    return [
      of({ choices: [{ index, delta: { role: 'assistant', content }, finish_reason: null }] }),
      of({ choices: [{ index, delta: {}, finish_reason }] }),
    ]
  })
  const last = withUsage && usage ? [of({ choices: [], usage })] : []
  return [...parts, ...last, 'data: [DONE]\n\n'].join('')
}

/** The object that a text is as JSON; null: it is none. */
export function jsonOf(text: string): Fields | null {
  try {
    const value = JSON.parse(text) as unknown
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : null
  } catch {
    return null
  }
}
