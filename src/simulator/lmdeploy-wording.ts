// LMDeploy's replies.
import { json } from './exchange.ts'
import type { EngineRefusal } from './refusal.ts'
import { toolCallOf, type Choice, type Reply, type UsageCounts, type Wording } from './wording.ts'

const usageOf = (counts: UsageCounts) => ({
  prompt_tokens: counts.prompt,
  total_tokens: counts.prompt + counts.completion,
  completion_tokens: counts.completion,
  prompt_tokens_details: { cached_tokens: counts.cached },
  completion_tokens_details: { reasoning_tokens: 0 },
})

function typeOf(refusal: EngineRefusal): string {
  if (refusal.type) return refusal.type
  if (refusal.status === 404) return 'not_found_error'
  return refusal.status >= 500 ? 'server_error' : 'invalid_request_error'
}

/** Shape errors come from the web framework, with its own body. */
function refusalBody(refusal: EngineRefusal): unknown {
  if (refusal.kind === 'bad_json' || refusal.kind === 'invalid') {
    if (refusal.message.includes('Unsupported Media Type')) {
      return { detail: ["Unsupported Media Type: Only 'application/json' is allowed"] }
    }
    const loc = (refusal.param ?? 'body').split('.')
    const type = refusal.kind === 'bad_json' ? 'json_invalid' : 'missing'
    return {
      detail: [{ type, loc, msg: refusal.kind === 'bad_json' ? 'JSON decode error' : 'Field required' }],
    }
  }
  return flat(refusal.message, typeOf(refusal), refusal.status, refusal.param)
}

const flat = (message: string, type: string, code: number, param: string | null = null) => ({
  message,
  type,
  code,
  param,
  object: 'error',
})

const head = (reply: Reply, object: string) => ({
  id: reply.id,
  object,
  created: reply.created,
  model: reply.model,
})
/** Chunks leave out what is null, but name the usage when it was asked for. */
const noUsage = (reply: Reply) => (reply.sampling.includeUsage ? { usage: null } : {})
const finishOf = (ending: { finish: string } | null) => (ending ? { finish_reason: ending.finish } : {})

function chatChoice(choice: Choice): unknown {
  const { plan } = choice
  return {
    index: choice.index,
    message: {
      role: 'assistant',
      content: plan.tool ? '' : choice.text,
      reasoning_content: null,
      tool_calls: plan.tool ? [toolCallOf(choice)] : null,
    },
    logprobs: choice.logprobs,
    finish_reason: plan.finish,
  }
}

const CONTEXT = { cache_block_ids: null, remote_token_ids: null }

export const lmdeployWording: Wording = {
  refusal: refusalBody,
  unauthorized: () => json(flat('Please request with valid api key!', 'authentication_error', 401), 401),
  isOpen: (path) => /^\/(health|docs|redoc|nodes)/.test(path),
  chatId: (exchange) => `chatcmpl-${exchange.sim.hex(22)}`,
  textId: (exchange) => `cmpl-${exchange.sim.hex(22)}`,
  chatReply: (reply, choices, counts) => ({
    ...head(reply, 'chat.completion'),
    choices: choices.map(chatChoice),
    usage: usageOf(counts),
    ...CONTEXT,
    ...reply.extra,
  }),
  // The role comes with every delta: there is no chunk of its own for it.
  chatOpening: () => [],
  chatStep: (reply, step) => {
    const choice = {
      index: step.index,
      delta: { role: 'assistant', ...step.delta },
      ...(step.logprobs === null ? {} : { logprobs: step.logprobs }),
      ...finishOf(step.ending),
    }
    return [{ ...head(reply, 'chat.completion.chunk'), choices: [choice], ...noUsage(reply) }]
  },
  chatUsage: (reply, counts) => ({
    ...head(reply, 'chat.completion.chunk'),
    choices: [],
    usage: usageOf(counts),
  }),
  textReply: (reply, choices, counts) => ({
    ...head(reply, 'text_completion'),
    choices: choices.map((choice) => ({
      index: choice.index,
      text: choice.text,
      logprobs: choice.logprobs,
      finish_reason: choice.plan.finish,
    })),
    usage: usageOf(counts),
    ...CONTEXT,
    ...reply.extra,
  }),
  textStep: (reply, step) => {
    const choice = {
      index: step.index,
      text: step.delta,
      ...(step.logprobs === null ? {} : { logprobs: step.logprobs }),
      ...finishOf(step.ending),
    }
    return [{ ...head(reply, 'text_completion'), choices: [choice], ...noUsage(reply) }]
  },
  textUsage: (reply, counts) => ({ ...head(reply, 'text_completion'), choices: [], usage: usageOf(counts) }),
}
