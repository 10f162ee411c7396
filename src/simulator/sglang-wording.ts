// SGLang's replies.
import { json } from './exchange.ts'
import type { EngineRefusal } from './refusal.ts'
import { toolCallOf, type Choice, type Reply, type Step, type UsageCounts, type Wording } from './wording.ts'

const METADATA = { weight_version: 'default' }

const sglangUsage = (counts: UsageCounts) => ({
  prompt_tokens: counts.prompt,
  total_tokens: counts.prompt + counts.completion,
  completion_tokens: counts.completion,
  prompt_tokens_details: { cached_tokens: counts.cached },
  reasoning_tokens: 0,
})

function sglangType(refusal: EngineRefusal): string {
  if (refusal.type) return refusal.type
  if (refusal.kind === 'bad_json' || refusal.kind === 'invalid') return 'Bad Request'
  if (refusal.kind === 'unknown_model' || refusal.kind === 'not_found') return 'NotFoundError'
  if (refusal.kind === 'unavailable') return 'ServiceUnavailableError'
  return refusal.status >= 500 ? 'InternalServerError' : 'BadRequestError'
}

const chunkOf = (reply: Reply, choice: object, counts: UsageCounts) => ({
  id: reply.id,
  object: 'chat.completion.chunk',
  created: reply.created,
  model: reply.model,
  choices: [choice],
  usage: reply.sampling.continuousUsage ? sglangUsage(counts) : null,
})

const deltaOf = (delta: object) => ({
  role: null,
  content: null,
  reasoning_content: null,
  tool_calls: null,
  ...delta,
})

/** SGLang tells the end of a choice in a chunk of its own, behind the last token's. */
function chatStep(reply: Reply, step: Step<object>): unknown[] {
  const open = { index: step.index, logprobs: step.logprobs, finish_reason: null, matched_stop: null }
  const chunks = [chunkOf(reply, { ...open, delta: deltaOf(step.delta) }, step.counts)]
  if (!step.ending) return chunks
  const closed = { index: step.index, delta: deltaOf({}), logprobs: null, finish_reason: step.ending.finish }
  return [...chunks, chunkOf(reply, { ...closed, matched_stop: step.ending.stopReason }, step.counts)]
}

function chatChoice(choice: Choice): unknown {
  const { plan } = choice
  return {
    index: choice.index,
    message: {
      role: 'assistant',
      content: plan.tool ? null : choice.text,
      reasoning_content: null,
      tool_calls: plan.tool ? [{ ...toolCallOf(choice), index: 0 }] : null,
    },
    logprobs: choice.logprobs,
    finish_reason: plan.finish,
    matched_stop: plan.stopReason,
  }
}

export const sglangWording: Wording = {
  refusal: (refusal) => ({
    object: 'error',
    message: refusal.message,
    type: sglangType(refusal),
    param: refusal.param,
    code: refusal.status,
  }),
  unauthorized: () => json({ error: 'Unauthorized' }, 401),
  isOpen: (path) => path.startsWith('/health') || path.startsWith('/metrics'),
  chatId: (exchange) => exchange.sim.hex(32),
  textId: (exchange) => exchange.sim.hex(32),
  chatReply: (reply, choices, counts) => ({
    id: reply.id,
    object: 'chat.completion',
    created: reply.created,
    model: reply.model,
    choices: choices.map(chatChoice),
    usage: sglangUsage(counts),
    metadata: METADATA,
    ...reply.extra,
  }),
  chatOpening: (reply, index, counts) => {
    const delta = deltaOf({ role: 'assistant', content: '' })
    return [chunkOf(reply, { index, delta, logprobs: null, finish_reason: null, matched_stop: null }, counts)]
  },
  chatStep,
  chatUsage: (reply, counts) => ({
    id: reply.id,
    object: 'chat.completion.chunk',
    created: reply.created,
    model: reply.model,
    choices: [],
    usage: sglangUsage(counts),
  }),
  textReply: (reply, choices, counts) => ({
    id: reply.id,
    object: 'text_completion',
    created: reply.created,
    model: reply.model,
    choices: choices.map((choice) => ({
      index: choice.index,
      text: choice.text,
      logprobs: choice.logprobs,
      finish_reason: choice.plan.finish,
      matched_stop: choice.plan.stopReason,
    })),
    usage: sglangUsage(counts),
    metadata: METADATA,
    ...reply.extra,
  }),
  textStep: (reply, step) => {
    const open = { index: step.index, logprobs: step.logprobs, finish_reason: null, matched_stop: null }
    const shared = { id: reply.id, object: 'text_completion', created: reply.created, model: reply.model }
    const usage = reply.sampling.continuousUsage ? sglangUsage(step.counts) : null
    const chunks = [{ ...shared, choices: [{ ...open, text: step.delta }], usage }]
    if (!step.ending) return chunks
    const { finish, stopReason } = step.ending
    const last = { ...open, text: '', logprobs: null, finish_reason: finish, matched_stop: stopReason }
    return [...chunks, { ...shared, choices: [last], usage }]
  },
  textUsage: (reply, counts) => ({
    id: reply.id,
    object: 'text_completion',
    created: reply.created,
    model: reply.model,
    choices: [],
    usage: sglangUsage(counts),
  }),
}
