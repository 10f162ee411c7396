// The bodies and stream events of /v1/responses, as recorded from vLLM 0.32.
import type { Fields } from './fields.ts'
import type { Generation, Part } from './generation.ts'
import type { Plan } from './plan.ts'
import { namedEvent, type Script } from './sse.ts'
import { countsOf, type UsageCounts } from './wording.ts'

/** What is settled of a response before it runs. */
export interface ResponseDraft {
  readonly id: string
  readonly itemId: string
  readonly callId: string
  readonly created: number
  readonly model: string
  /** The request's body. */
  readonly body: Fields
  readonly maxTokens: number
  /** What a prefill engine hands over. */
  readonly transfer: unknown
}

interface ResponseState {
  readonly status: 'queued' | 'in_progress' | 'completed' | 'incomplete' | 'cancelled' | 'failed'
  readonly plan: Plan | null
  readonly counts: UsageCounts | null
}

/** The response object. */
export function responseBody(draft: ResponseDraft, state: ResponseState): Fields {
  const { body } = draft
  return {
    id: draft.id,
    created_at: draft.created,
    incomplete_details: state.status === 'incomplete' ? { reason: 'max_output_tokens' } : null,
    instructions: body['instructions'] ?? null,
    metadata: body['metadata'] ?? null,
    model: draft.model,
    object: 'response',
    output: state.plan ? [outputItem(draft, state.plan)] : [],
    parallel_tool_calls: body['parallel_tool_calls'] ?? true,
    temperature: body['temperature'] ?? 1,
    tool_choice:
      body['tool_choice'] ?? (Array.isArray(body['tools']) && body['tools'].length > 0 ? 'auto' : 'none'),
    tools: body['tools'] ?? [],
    top_p: body['top_p'] ?? 1,
    background: body['background'] === true,
    max_output_tokens: draft.maxTokens,
    max_tool_calls: null,
    previous_response_id: body['previous_response_id'] ?? null,
    prompt: null,
    reasoning: body['reasoning'] ?? null,
    service_tier: 'auto',
    status: state.status,
    text: body['text'] ?? null,
    top_logprobs: null,
    truncation: 'disabled',
    usage: state.counts ? usageOf(state.counts) : null,
    user: body['user'] ?? null,
    presence_penalty: 0,
    frequency_penalty: 0,
    kv_transfer_params: state.counts ? draft.transfer : null,
    ec_transfer_params: null,
    input_messages: null,
    output_messages: null,
  }
}

const usageOf = (counts: UsageCounts) => ({
  input_tokens: counts.prompt,
  input_tokens_details: {
    cached_tokens: counts.cached,
    cache_write_tokens: 0,
    input_tokens_per_turn: [],
    cached_tokens_per_turn: [],
  },
  output_tokens: counts.completion,
  output_tokens_details: {
    reasoning_tokens: 0,
    tool_output_tokens: 0,
    output_tokens_per_turn: [],
    tool_output_tokens_per_turn: [],
  },
  total_tokens: counts.prompt + counts.completion,
})

/** The one item that an answer is: a message or a function call. */
export function outputItem(draft: ResponseDraft, plan: Plan): Fields {
  if (plan.tool) {
    const { name, arguments: args } = plan.tool
    const shared = { type: 'function_call', id: draft.itemId, call_id: draft.callId }
    return { arguments: args, name, ...shared, status: 'completed' }
  }
  return {
    id: draft.itemId,
    content: [textPart(plan.text)],
    role: 'assistant',
    status: 'completed',
    type: 'message',
    phase: null,
  }
}

const textPart = (text: string) => ({ annotations: [], text, type: 'output_text', logprobs: null })

/** The event stream; `keep` is called with the finished generation. */
export function responseScript(draft: ResponseDraft, keep: (generation: Generation) => void): Script {
  let sequence = 0
  const event = (type: string, fields: Fields) =>
    namedEvent(
      `response.${type}`,
      inOrder({ ...fields, sequence_number: sequence++, type: `response.${type}` }),
    )
  const running = () => ({
    response: responseBody(draft, { status: 'in_progress', plan: null, counts: null }),
  })
  const place = { item_id: draft.itemId, output_index: 0 }
  return {
    opening: () => [event('created', running()), event('in_progress', running())],
    token(generation, _part, index) {
      const { plan } = generation.parts[0] as Part
      const delta = plan.pieces[index] as string
      if (plan.tool) {
        if (index > 0) return [event('function_call_arguments.delta', { delta, ...place })]
        const item = { ...outputItem(draft, plan), arguments: '', status: 'in_progress' }
        return [event('output_item.added', { item, output_index: 0 })]
      }
      const next = event.bind(null, 'output_text.delta')
      const told = { content_index: 0, delta, item_id: draft.itemId, logprobs: [], output_index: 0 }
      return index > 0 ? [next(told)] : [...openMessage(draft, event), next(told)]
    },
    closing(generation) {
      keep(generation)
      const { plan } = generation.parts[0] as Part
      const item = outputItem(draft, plan)
      const part = textPart(plan.text)
      const ending = plan.tool
        ? [
            event('function_call_arguments.done', {
              arguments: plan.tool.arguments,
              name: plan.tool.name,
              ...place,
            }),
          ]
        : [
            event('output_text.done', {
              content_index: 0,
              item_id: draft.itemId,
              logprobs: [],
              output_index: 0,
              text: plan.text,
            }),
            event('content_part.done', { content_index: 0, ...place, part }),
          ]
      const status = plan.finish === 'length' ? 'incomplete' : 'completed'
      const response = responseBody(draft, { status, plan, counts: countsOf(generation) })
      return [
        ...ending,
        event('output_item.done', { item, output_index: 0 }),
        event('completed', { response }),
      ]
    },
  }
}

/** Events have their keys in the order of the alphabet. */
const inOrder = (fields: Fields): Fields =>
  Object.fromEntries(Object.entries(fields).sort(([a], [b]) => (a < b ? -1 : 1)))

function openMessage(draft: ResponseDraft, event: (type: string, fields: Fields) => string): string[] {
  const item = {
    id: draft.itemId,
    content: [],
    role: 'assistant',
    status: 'in_progress',
    type: 'message',
    phase: null,
  }
  const part = { annotations: [], text: '', type: 'output_text', logprobs: [] }
  return [
    event('output_item.added', { item, output_index: 0 }),
    event('content_part.added', { content_index: 0, item_id: draft.itemId, output_index: 0, part }),
  ]
}
