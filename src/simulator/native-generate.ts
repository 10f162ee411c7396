// POST /generate, the native endpoint of SGLang and (alike, but not the same) of LMDeploy.
import { askedLength, json, readBody, type Exchange, type Handler } from './exchange.ts'
import { isFields, missingField, objectField, stringField, type Fields } from './fields.ts'
import { generateWhole, roomFor, type Generation, type Part } from './generation.ts'
import type { Handover } from './handover.ts'
import { cacheRoot, readHandover } from './kv-transfer.ts'
import { logprobOf } from './logprobs.ts'
import { planAnswer } from './plan.ts'
import { readPrompts } from './completions.ts'
import { EngineRefusal } from './refusal.ts'
import { readSampling, type Sampling } from './sampling.ts'
import { generateHanded, streamHanded } from './handed.ts'
import { dataEvent, DONE, streamAnswer, type Script } from './sse.ts'

interface NativeCall {
  readonly body: Fields
  readonly sampling: Sampling
  readonly parts: Part[]
  /** One id for each sequence. */
  readonly ids: readonly string[]
  /** Answered as a list. */
  readonly isBatch: boolean
  readonly startedAt: number
  readonly handover: Handover
}

export const sglangGenerate: Handler = async (exchange) => {
  try {
    const body = readBody(exchange)
    const call = readCall(exchange, body, sglangSampling(body))
    const taking = call.handover.take(call.parts)
    if (taking) await taking
    if (call.sampling.stream) return await streamHanded(exchange, call, sglangScript(exchange, call))
    const generation = await generateHanded(exchange, call)
    const outs = call.parts.map((_, part) => sglangOut(exchange, call, { generation, part, count: Infinity }))
    return json(call.isBatch ? outs : outs[0])
  } catch (error) {
    if (!(error instanceof EngineRefusal)) throw error
    return json({ error: { message: error.message } }, error.status)
  }
}

function sglangSampling(body: Fields): Sampling {
  const given = Array.isArray(body['sampling_params']) ? body['sampling_params'][0] : body['sampling_params']
  const params = isFields(given) ? given : {}
  const schema = stringField(params, 'json_schema')
  return readSampling({
    max_tokens: params['max_new_tokens'] ?? 128,
    min_tokens: params['min_new_tokens'],
    temperature: params['temperature'],
    stop: params['stop'],
    stop_token_ids: params['stop_token_ids'],
    n: params['n'],
    ignore_eos: params['ignore_eos'],
    guided_json: schema === null ? undefined : parseSchema(schema),
    stream: body['stream'],
    logprobs: body['return_logprob'] === true ? 1 : undefined,
  })
}

function parseSchema(source: string): unknown {
  try {
    return JSON.parse(source)
  } catch {
    throw new EngineRefusal('bad_request', 'The json_schema is no JSON.')
  }
}

function readCall(exchange: Exchange, body: Fields, sampling: Sampling): NativeCall {
  const input = body['text'] ?? body['input_ids'] ?? body['prompt']
  if (input === undefined || input === null) throw missingField(body, 'text')
  const prompts = readPrompts(input)
  const handover = readHandover(exchange, body)
  const root = cacheRoot(exchange, body)
  const parts = prompts.flatMap((prompt) => {
    const room = Math.min(handover.cap, roomFor(exchange, prompt, sampling.maxTokens))
    const limits = { room, length: askedLength(exchange), tool: null }
    return Array.from({ length: sampling.choices }, (_, choice) => ({
      prompt,
      plan: planAnswer(prompt, sampling, limits, choice),
      root,
      transferred: handover.transferred(prompt),
    }))
  })
  const isBatch = parts.length > 1 || (Array.isArray(input) && typeof input[0] !== 'number')
  const rids = Array.isArray(body['rid']) ? body['rid'] : [body['rid']]
  const ids = parts.map((_, i) => (typeof rids[i] === 'string' ? rids[i] : exchange.sim.hex(32)))
  return { body, sampling, parts, ids, isBatch, startedAt: exchange.sim.clock.now(), handover }
}

interface Progress {
  readonly generation: Generation
  readonly part: number
  /** Tokens told so far. */
  readonly count: number
}

/** SGLang tells the whole text so far in every chunk. */
function sglangOut(exchange: Exchange, call: NativeCall, progress: Progress): Fields {
  const { plan, prompt } = call.parts[progress.part] as Part
  const tokens = Array.from(plan.tokens.subarray(0, progress.count))
  const isWhole = tokens.length === plan.tokens.length
  const matched = plan.stopReason ?? 2
  const finish =
    plan.finish === 'length' ? { type: 'length', length: plan.tokens.length } : { type: 'stop', matched }
  const logprobs =
    call.sampling.logprobs === null
      ? {}
      : {
          input_token_logprobs: [...prompt.tokens].map((id, i) => [i === 0 ? null : logprobOf(id), id, null]),
          output_token_logprobs: tokens.map((id) => [logprobOf(id), id, null]),
        }
  return {
    text: plan.pieces.slice(0, progress.count).join(''),
    output_ids: tokens,
    meta_info: {
      id: call.ids[progress.part],
      finish_reason: isWhole ? finish : null,
      prompt_tokens: prompt.tokens.length,
      weight_version: 'default',
      total_retractions: 0,
      ...logprobs,
      completion_tokens: tokens.length,
      cached_tokens: progress.generation.cachedOf(progress.part),
      ...(isWhole ? { e2e_latency: (exchange.sim.clock.now() - call.startedAt) / 1000 } : {}),
    },
  }
}

function sglangScript(exchange: Exchange, call: NativeCall): Script {
  return {
    token(generation, part, index) {
      const out = sglangOut(exchange, call, { generation, part, count: index + 1 })
      return [dataEvent(call.isBatch ? { ...out, index: part } : out)]
    },
    closing: () => [DONE],
  }
}

export const lmdeployGenerate: Handler = async (exchange) => {
  const body = readBody(exchange)
  const hasText = typeof body['prompt'] === 'string'
  if (hasText === Array.isArray(body['input_ids'])) {
    throw new EngineRefusal('bad_request', 'You must specify exactly one of prompt or input_ids')
  }
  const sampling = readSampling({ ...body, n: 1, stream_options: undefined, logprobs: undefined })
  const call = readCall(exchange, body, sampling)
  if (sampling.stream) return streamAnswer(exchange, call.parts, lmdeployScript(call))
  await generateWhole(exchange, call.parts)
  const { plan } = call.parts[0] as Part
  return json(lmdeployOut(call, { text: plan.text, ids: plan.tokens, told: plan.tokens.length }))
}

interface Said {
  readonly text: string
  readonly ids: ArrayLike<number>
  readonly told: number
}

function lmdeployOut(call: NativeCall, said: Said): Fields {
  const { plan, prompt } = call.parts[0] as Part
  const isWhole = said.told === plan.tokens.length
  const wantsLogprobs = objectField({ call: call.body }, 'call')['return_logprob'] === true
  return {
    text: said.text,
    output_ids: Array.from(said.ids),
    meta_info: {
      finish_reason: isWhole ? { type: plan.finish } : null,
      output_token_logprobs: wantsLogprobs ? Array.from(said.ids, (id) => [logprobOf(id), id]) : null,
      prompt_tokens: prompt.tokens.length,
      routed_experts: null,
      completion_tokens: said.told,
    },
  }
}

/** LMDeploy tells only what is new. */
function lmdeployScript(call: NativeCall): Script {
  return {
    token(_generation, _part, index) {
      const { plan } = call.parts[0] as Part
      const ids = plan.tokens.slice(index, index + 1)
      return [dataEvent(lmdeployOut(call, { text: plan.pieces[index] as string, ids, told: index + 1 }))]
    },
    closing: () => [DONE],
  }
}
