// POST /v1/chat/completions of all three engines.
import { askedLength, json, readBody, type Exchange, type Handler } from './exchange.ts'
import { missingField, stringField, type Fields } from './fields.ts'
import { roomFor, type Generation, type Part } from './generation.ts'
import type { Handover } from './handover.ts'
import { cacheRoot, readHandover } from './kv-transfer.ts'
import { chatLogprobs } from './logprobs.ts'
import { loadReport } from './orca.ts'
import { planAnswer } from './plan.ts'
import { chooseTool, readChat, renderChat, type ChatInput } from './prompt.ts'
import { readSampling, type Sampling } from './sampling.ts'
import { generateHanded, streamHanded } from './handed.ts'
import { dataEvent, DONE, type Script } from './sse.ts'
import { countsOf, type ChatDelta, type Choice, type Reply, type Wording } from './wording.ts'

/** The handler in an engine's wording. */
export const chatCompletions =
  (wording: Wording): Handler =>
  async (exchange) => {
    const body = readBody(exchange)
    if (!('messages' in body)) throw missingField(body, 'messages')
    const model = exchange.sim.modelFor(stringField(body, 'model'))
    const sampling = readSampling(body)
    const handover = readHandover(exchange, body)
    const parts = chatParts(exchange, readChat(body), { body, sampling, handover })
    const id = handover.id ?? wording.chatId(exchange)
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
    if (sampling.stream) return streamHanded(exchange, { parts, handover }, chatScript(wording, reply))
    const generation = await generateHanded(exchange, { parts, handover })
    const answer = wording.chatReply(reply, chatChoices(reply, generation), countsOf(generation))
    return json(answer, 200, loadReport(exchange))
  }

interface ChatCall {
  readonly body: Fields
  readonly sampling: Sampling
  readonly handover: Handover
}

/** One sequence for each choice of a chat. */
export function chatParts(exchange: Exchange, input: ChatInput, call: ChatCall): Part[] {
  const { sampling, handover } = call
  const prompt = renderChat(input)
  const limits = {
    room: Math.min(handover.cap, roomFor(exchange, prompt, sampling.maxTokens)),
    length: askedLength(exchange),
    tool: chooseTool(input, prompt),
  }
  const root = cacheRoot(exchange, call.body)
  return Array.from({ length: sampling.choices }, (_, choice) => ({
    prompt,
    plan: planAnswer(prompt, sampling, limits, choice),
    root,
    transferred: handover.transferred(prompt),
  }))
}

const toolId = (reply: Reply) =>
  reply.exchange.sim.options.engine === 'sglang'
    ? `call_${reply.exchange.sim.hex(24)}`
    : `chatcmpl-tool-${reply.exchange.sim.hex()}`

function chatChoices(reply: Reply, generation: Generation): Choice[] {
  return generation.parts.map(({ plan, prompt }, index) => ({
    index,
    plan,
    text: plan.text,
    logprobs: plan.tool ? null : chatLogprobs(plan.tokens, reply.sampling.logprobs),
    toolId: toolId(reply),
    promptIds: reply.sampling.returnTokenIds ? [...prompt.tokens] : null,
  }))
}

function chatScript(wording: Wording, reply: Reply): Script {
  const { sampling } = reply
  const openers = new Set<number>()
  return {
    token(generation, part, index) {
      const { plan } = generation.parts[part] as Part
      const chunks: unknown[] = []
      const counts = countsOf(generation)
      if (!openers.has(part)) {
        // Every choice is announced before the first token of any.
        for (const choice of generation.parts.keys()) {
          openers.add(choice)
          chunks.push(...wording.chatOpening(reply, choice, counts))
        }
      }
      const id = plan.tokens[index] as number
      const isLast = index === plan.tokens.length - 1
      const step = {
        index: part,
        delta: chatDelta(reply, plan, index),
        logprobs: plan.tool ? null : chatLogprobs([id], sampling.logprobs),
        tokenIds: sampling.returnTokenIds ? [id] : null,
        ending: isLast ? { finish: plan.finish, stopReason: plan.stopReason } : null,
        counts,
      }
      return [...chunks, ...wording.chatStep(reply, step)].map(dataEvent)
    },
    closing: (generation) => [
      ...(sampling.includeUsage ? [dataEvent(wording.chatUsage(reply, countsOf(generation)))] : []),
      DONE,
    ],
  }
}

function chatDelta(reply: Reply, plan: Part['plan'], index: number): ChatDelta {
  const piece = plan.pieces[index] as string
  if (!plan.tool) return { content: piece }
  if (index > 0) return toolDelta({ index: 0, function: { arguments: piece } })
  const isVllm = reply.exchange.sim.options.engine === 'vllm'
  const call = isVllm ? { name: plan.tool.name } : { name: plan.tool.name, arguments: '' }
  return toolDelta({ id: toolId(reply), type: 'function', index: 0, function: call })
}

/** A delta with a call has no text; the engines say so. */
const toolDelta = (call: object): ChatDelta => ({ content: null as unknown as string, tool_calls: [call] })
