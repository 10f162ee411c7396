// POST /v1/completions of all three engines.
import { askedLength, json, readBody, type Exchange, type Handler } from './exchange.ts'
import { missingField, stringField, type Fields } from './fields.ts'
import { roomFor, type Generation, type Part } from './generation.ts'
import type { Handover } from './handover.ts'
import { cacheRoot, readHandover } from './kv-transfer.ts'
import { textLogprobs } from './logprobs.ts'
import { loadReport } from './orca.ts'
import { planAnswer, type Prompt } from './plan.ts'
import { promptOf } from './prompt.ts'
import { EngineRefusal } from './refusal.ts'
import { readSampling, type Sampling } from './sampling.ts'
import { generateHanded, streamHanded } from './handed.ts'
import { dataEvent, DONE, type Script } from './sse.ts'
import { decode } from './tokenizer.ts'
import { countsOf, type Choice, type Reply, type Wording } from './wording.ts'

/** The handler in an engine's wording. */
export const textCompletions =
  (wording: Wording): Handler =>
  async (exchange) => {
    const body = readBody(exchange)
    if (!('prompt' in body)) throw missingField(body, 'prompt')
    const model = exchange.sim.modelFor(stringField(body, 'model'))
    const sampling = readSampling(body)
    const handover = readHandover(exchange, body)
    const parts = textParts(exchange, body, { sampling, handover })
    const echo = body['echo'] === true
    const id = handover.id ?? wording.textId(exchange)
    const reply: Reply = {
      exchange,
      id,
      created: exchange.sim.seconds(),
      model,
      sampling,
      extra: handover.reply(parts),
    }
    const taking = handover.take(parts)
    if (taking) await taking
    if (sampling.stream) return streamHanded(exchange, { parts, handover }, textScript(wording, reply, echo))
    const generation = await generateHanded(exchange, { parts, handover })
    const answer = wording.textReply(reply, textChoices(reply, generation, echo), countsOf(generation))
    return json(answer, 200, loadReport(exchange))
  }

function textParts(
  exchange: Exchange,
  body: Fields,
  call: { sampling: Sampling; handover: Handover },
): Part[] {
  const { sampling, handover } = call
  const root = cacheRoot(exchange, body)
  return readPrompts(body['prompt']).flatMap((prompt) => {
    const limits = {
      room: Math.min(handover.cap, roomFor(exchange, prompt, sampling.maxTokens)),
      length: askedLength(exchange),
      tool: null,
    }
    return Array.from({ length: sampling.choices }, (_, choice) => ({
      prompt,
      plan: planAnswer(prompt, sampling, limits, choice),
      root,
      transferred: handover.transferred(prompt),
    }))
  })
}

/** Prompts as text, token ids, or a list of either. */
export function readPrompts(value: unknown): Prompt[] {
  if (typeof value === 'string') return [promptOf(value)]
  if (!Array.isArray(value) || value.length === 0) {
    throw new EngineRefusal('bad_request', 'Either prompt or prompt_embeds must be provided and non-empty.')
  }
  if (value.every((id) => typeof id === 'number')) return [promptOfIds(value)]
  return value.map((one) =>
    typeof one === 'string' ? promptOf(one) : promptOfIds(Array.isArray(one) ? one : []),
  )
}

function promptOfIds(ids: readonly unknown[]): Prompt {
  const tokens = Uint32Array.from(ids, (id) => {
    if (typeof id === 'number' && Number.isInteger(id) && id >= 0 && id < 2 ** 31) return id
    throw new EngineRefusal('bad_request', `Token id ${String(id)} is out of vocabulary`)
  })
  return { text: decode(tokens), tokens, partial: '' }
}

function textChoices(reply: Reply, generation: Generation, echo: boolean): Choice[] {
  return generation.parts.map(({ plan, prompt }, index) => ({
    index,
    plan,
    text: echo ? prompt.text + plan.text : plan.text,
    logprobs: textLogprobs(echo ? [...prompt.tokens, ...plan.tokens] : plan.tokens, reply.sampling.logprobs),
    toolId: '',
    promptIds: reply.sampling.returnTokenIds ? [...prompt.tokens] : null,
  }))
}

function textScript(wording: Wording, reply: Reply, echo: boolean): Script {
  const { sampling } = reply
  const told = new Map<number, number>()
  return {
    token(generation, part, index) {
      const { plan, prompt } = generation.parts[part] as Part
      const id = plan.tokens[index] as number
      const isLast = index === plan.tokens.length - 1
      const piece = plan.pieces[index] as string
      const offset = told.get(part) ?? 0
      const delta = echo && index === 0 ? prompt.text + piece : piece
      told.set(part, offset + delta.length)
      const step = {
        index: part,
        delta,
        logprobs: textLogprobs([id], sampling.logprobs, offset),
        tokenIds: sampling.returnTokenIds ? [id] : null,
        ending: isLast ? { finish: plan.finish, stopReason: plan.stopReason } : null,
        counts: countsOf(generation),
      }
      return wording.textStep(reply, step).map(dataEvent)
    },
    closing: (generation) => [
      ...(sampling.includeUsage ? [dataEvent(wording.textUsage(reply, countsOf(generation)))] : []),
      DONE,
    ],
  }
}
