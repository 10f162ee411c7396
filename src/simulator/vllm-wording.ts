// vLLM's replies, as recorded from 0.32.
import { json, requestId } from './exchange.ts'
import type { EngineRefusal, RefusalKind } from './refusal.ts'
import {
  toolCallOf,
  type Choice,
  type Ending,
  type Reply,
  type Step,
  type UsageCounts,
  type Wording,
} from './wording.ts'

export const VLLM_VERSION = '0.32.0'
const FINGERPRINT = `vllm-${VLLM_VERSION}-51a7ed00`

const TYPES: Readonly<Record<RefusalKind, string>> = {
  bad_json: 'Bad Request',
  invalid: 'Bad Request',
  bad_request: 'BadRequestError',
  too_long: 'BadRequestError',
  unknown_model: 'NotFoundError',
  not_found: 'NotFoundError',
  unavailable: 'ServiceUnavailableError',
  internal: 'InternalServerError',
}

export const vllmType = (refusal: EngineRefusal): string => refusal.type ?? TYPES[refusal.kind]

const plainUsage = (counts: UsageCounts) => ({
  prompt_tokens: counts.prompt,
  total_tokens: counts.prompt + counts.completion,
  completion_tokens: counts.completion,
})

const wholeUsage = (counts: UsageCounts, created: number | null) => ({
  ...plainUsage(counts),
  prompt_tokens_details: {
    cached_tokens: counts.cached,
    created_cache_tokens: created,
    multimodal_tokens: null,
  },
  completion_tokens_details: null,
})

/** Transfer fields end every whole reply. */
const tail = (reply: Reply) => ({
  kv_transfer_params: null,
  ...reply.extra,
  ec_transfer_params: null,
  metrics: null,
})

const head = (reply: Reply, object: string) => ({
  id: reply.id,
  object,
  created: reply.created,
  model: reply.model,
})

/** The end of a streamed choice; the fingerprint comes with it unless a usage chunk follows. */
const ended = (reply: Reply, ending: Ending | null) =>
  ending && !reply.sampling.includeUsage ? { system_fingerprint: FINGERPRINT } : {}

const running = (reply: Reply, counts: UsageCounts) =>
  reply.sampling.continuousUsage ? { usage: { ...plainUsage(counts), completion_tokens_details: null } } : {}

function chatChoice(reply: Reply, choice: Choice): unknown {
  const { plan } = choice
  const content = plan.tool ? (plan.tool.forced ? '' : null) : choice.text
  const calls = plan.tool ? { tool_calls: [toolCallOf(choice)] } : {}
  return {
    index: choice.index,
    message: {
      role: 'assistant',
      content,
      refusal: null,
      annotations: null,
      audio: null,
      function_call: null,
      ...calls,
      reasoning: null,
    },
    logprobs: choice.logprobs,
    finish_reason: plan.finish,
    stop_reason: plan.stopReason,
    token_ids: reply.sampling.returnTokenIds ? [...plan.tokens] : null,
    routed_experts: null,
  }
}

function chatStep(reply: Reply, step: Step<object>): unknown[] {
  const { ending } = step
  const choice = {
    index: step.index,
    delta: step.delta,
    logprobs: step.logprobs,
    finish_reason: ending?.finish ?? null,
    ...(ending ? { stop_reason: ending.stopReason } : {}),
    token_ids: step.tokenIds,
  }
  const counts = running(reply, step.counts)
  return [{ ...head(reply, 'chat.completion.chunk'), choices: [choice], ...counts, ...ended(reply, ending) }]
}

function usageChunk(reply: Reply, object: string, details: object): unknown {
  return { ...head(reply, object), choices: [], usage: details, system_fingerprint: FINGERPRINT }
}

export const vllmWording: Wording = {
  refusal: (refusal) => ({
    error: { message: refusal.message, type: vllmType(refusal), param: refusal.param, code: refusal.status },
  }),
  unauthorized: () => json({ error: 'Unauthorized' }, 401),
  isOpen: (path) => !path.startsWith('/v1'),
  chatId: (exchange) => `chatcmpl-${requestId(exchange)}`,
  textId: (exchange) => `cmpl-${requestId(exchange)}`,
  chatReply: (reply, choices, counts) => ({
    ...head(reply, 'chat.completion'),
    choices: choices.map((choice) => chatChoice(reply, choice)),
    service_tier: null,
    system_fingerprint: FINGERPRINT,
    usage: wholeUsage(counts, 0),
    prompt_logprobs: null,
    prompt_token_ids: reply.sampling.returnTokenIds ? (choices[0]?.promptIds ?? null) : null,
    prompt_text: null,
    ...tail(reply),
  }),
  chatOpening: (reply, index, counts) => [
    {
      ...head(reply, 'chat.completion.chunk'),
      choices: [{ index, delta: { role: 'assistant', content: '' }, logprobs: null, finish_reason: null }],
      ...running(reply, { ...counts, completion: 0 }),
      prompt_token_ids: null,
      prompt_text: null,
    },
  ],
  chatStep,
  chatUsage: (reply, counts) =>
    usageChunk(reply, 'chat.completion.chunk', {
      ...plainUsage(counts),
      prompt_tokens_details: { cached_tokens: counts.cached, created_cache_tokens: 0 },
    }),
  textReply: (reply, choices, counts) => ({
    ...head(reply, 'text_completion'),
    choices: choices.map((choice) => ({
      index: choice.index,
      text: choice.text,
      logprobs: choice.logprobs,
      finish_reason: choice.plan.finish,
      stop_reason: choice.plan.stopReason,
      token_ids: reply.sampling.returnTokenIds ? [...choice.plan.tokens] : null,
      prompt_logprobs: null,
      prompt_token_ids: reply.sampling.returnTokenIds ? choice.promptIds : null,
      routed_experts: null,
    })),
    service_tier: null,
    system_fingerprint: FINGERPRINT,
    usage: wholeUsage(counts, null),
    ...tail(reply),
  }),
  textStep: (reply, step) => {
    const choice = {
      index: step.index,
      text: step.delta,
      logprobs: step.logprobs,
      finish_reason: step.ending?.finish ?? null,
      stop_reason: step.ending?.stopReason ?? null,
      prompt_token_ids: null,
      token_ids: step.tokenIds,
    }
    const counts = running(reply, step.counts)
    return [{ ...head(reply, 'text_completion'), choices: [choice], ...counts, ...ended(reply, step.ending) }]
  },
  textUsage: (reply, counts) =>
    usageChunk(reply, 'text_completion', {
      ...plainUsage(counts),
      prompt_tokens_details: { cached_tokens: counts.cached },
    }),
}
