// Anthropic's /v1/messages, as vLLM serves it.
import { chatParts } from './chat.ts'
import { json, readBody, requestId, type Exchange, type Handler } from './exchange.ts'
import { isFields, missingField, objectField, stringField, type Fields } from './fields.ts'
import type { Generation, Part } from './generation.ts'
import { readHandover } from './kv-transfer.ts'
import type { Plan } from './plan.ts'
import { readChat, renderChat } from './prompt.ts'
import { EngineRefusal } from './refusal.ts'
import { readSampling } from './sampling.ts'
import { generateHanded, streamHanded } from './handed.ts'
import { namedEvent, type Script } from './sse.ts'
import { vllmType } from './vllm-wording.ts'
import { countsOf, type UsageCounts } from './wording.ts'

/** Errors of this endpoint have Anthropic's shape. */
const inItsShape =
  (handler: Handler): Handler =>
  async (exchange) => {
    try {
      return await handler(exchange)
    } catch (error) {
      if (!(error instanceof EngineRefusal)) throw error
      return json({ type: 'error', error: { type: vllmType(error), message: error.message } }, error.status)
    }
  }

export const createMessage: Handler = inItsShape(async (exchange) => {
  const body = readBody(exchange)
  if (!('messages' in body)) throw missingField(body, 'messages')
  if (!('max_tokens' in body)) throw missingField(body, 'max_tokens')
  const model = exchange.sim.modelFor(stringField(body, 'model'))
  const chat = chatBody(body)
  const sampling = readSampling(chat)
  const handover = readHandover(exchange, body)
  const parts = chatParts(exchange, readChat(chat), { body, sampling, handover })
  const taking = handover.take(parts)
  if (taking) await taking
  const draft: MessageDraft = {
    id: `chatcmpl-${requestId(exchange)}`,
    toolId: `toolu_${exchange.sim.hex(24)}`,
    model,
  }
  if (sampling.stream) return streamHanded(exchange, { parts, handover }, messageScript(draft))
  const generation = await generateHanded(exchange, { parts, handover })
  const { plan } = generation.parts[0] as Part
  return json({
    ...opening(draft),
    content: [contentOf(draft, plan)],
    model,
    ...stopOf(plan),
    usage: { ...usageOf(countsOf(generation)) },
  })
})

export const countMessageTokens: Handler = inItsShape((exchange: Exchange) => {
  const body = readBody(exchange)
  exchange.sim.modelFor(stringField(body, 'model'))
  const count = renderChat(readChat(chatBody(body))).tokens.length
  return json({ input_tokens: count, context_management: { original_input_tokens: count } })
})

interface MessageDraft {
  readonly id: string
  readonly toolId: string
  readonly model: string
}

const opening = (draft: MessageDraft) => ({ id: draft.id, type: 'message', role: 'assistant' })

function contentOf(draft: MessageDraft, plan: Plan): unknown {
  if (!plan.tool) return { type: 'text', text: plan.text }
  return { type: 'tool_use', id: draft.toolId, name: plan.tool.name, input: parsed(plan.tool.arguments) }
}

/** The arguments as a value; those that were cut off are no JSON and go out as none. */
function parsed(source: string): unknown {
  try {
    return JSON.parse(source)
  } catch {
    return {} // cut off by max_tokens
  }
}

function stopOf(plan: Plan): { stop_reason: string; stop_sequence?: string } {
  if (plan.tool && plan.finish !== 'length') return { stop_reason: 'tool_use' }
  if (plan.finish === 'length') return { stop_reason: 'max_tokens' }
  if (typeof plan.stopReason === 'string')
    return { stop_reason: 'stop_sequence', stop_sequence: plan.stopReason }
  return { stop_reason: 'end_turn' }
}

const usageOf = (counts: UsageCounts) => ({
  input_tokens: counts.prompt - counts.cached,
  output_tokens: counts.completion,
  cache_creation_input_tokens: 0,
  cache_read_input_tokens: counts.cached,
})

function messageScript(draft: MessageDraft): Script {
  const event = (type: string, fields: Fields = {}) => namedEvent(type, { type, ...fields })
  const start = (generation: Generation, plan: Plan) => {
    const usage = { input_tokens: generation.promptTokens - generation.cachedTokens, output_tokens: 0 }
    const unsaid = { model: draft.model, stop_reason: null, stop_sequence: null, usage }
    const empty = plan.tool
      ? { type: 'tool_use', id: draft.toolId, name: plan.tool.name, input: {} }
      : { type: 'text', text: '' }
    return [
      event('message_start', { message: { ...opening(draft), content: [], ...unsaid } }),
      event('content_block_start', { content_block: empty, index: 0 }),
    ]
  }
  return {
    token(generation, _part, index) {
      const { plan } = generation.parts[0] as Part
      const piece = plan.pieces[index] as string
      const delta = plan.tool
        ? { type: 'input_json_delta', partial_json: piece }
        : { type: 'text_delta', text: piece }
      const isName = plan.tool !== null && index === 0
      const told = isName ? [] : [event('content_block_delta', { delta, index: 0 })]
      return index === 0 ? [...start(generation, plan), ...told] : told
    },
    closing(generation) {
      const { plan } = generation.parts[0] as Part
      const { stop_reason, stop_sequence = null } = stopOf(plan)
      const delta = { stop_reason, stop_sequence }
      return [
        event('content_block_stop', { index: 0 }),
        event('message_delta', { delta, usage: usageOf(countsOf(generation)) }),
        event('message_stop'),
      ]
    },
  }
}

/** The call in the words of chat. */
function chatBody(body: Fields): Fields {
  const system = body['system'] === undefined ? [] : [{ role: 'system', content: body['system'] }]
  const messages = Array.isArray(body['messages']) ? body['messages'].filter(isFields).map(readMessage) : []
  return {
    ...body,
    n: 1,
    stop: body['stop_sequences'],
    messages: [...system, ...messages],
    tool_choice: choiceOf(objectField(body, 'tool_choice')),
  }
}

function choiceOf(choice: Fields): unknown {
  if (choice['type'] === 'any') return 'required'
  if (choice['type'] === 'none') return 'none'
  return choice['type'] === 'tool' ? { name: choice['name'] } : undefined
}

/** A user message that carries a tool's result is no user's wish. */
function readMessage(message: Fields): Fields {
  const parts = Array.isArray(message['content']) ? message['content'].filter(isFields) : []
  const hasResult = parts.some((part) => part['type'] === 'tool_result')
  return hasResult ? { ...message, role: 'tool' } : message
}
