// /v1/responses: whole, streamed, in the background, stored, fetched, cancelled, continued.
import { chatParts } from './chat.ts'
import { json, readBody, requestId, type Exchange, type Handler } from './exchange.ts'
import { isFields, missingField, numberField, objectField, stringField, type Fields } from './fields.ts'
import { generateWhole, type Generation, type Part } from './generation.ts'
import { readHandover } from './kv-transfer.ts'
import { readChat } from './prompt.ts'
import { EngineRefusal } from './refusal.ts'
import { outputItem, responseBody, responseScript, type ResponseDraft } from './response-events.ts'
import { readSampling } from './sampling.ts'
import type { StoredResponse } from './simulation.ts'
import { generateHanded, streamHanded } from './handed.ts'
import { countsOf } from './wording.ts'

/** Responses kept at most. */
const STORED = 1000

export const createResponse: Handler = async (exchange) => {
  const body = readBody(exchange)
  if (!('input' in body)) throw missingField(body, 'input')
  const model = exchange.sim.modelFor(stringField(body, 'model'))
  const messages = [...earlier(exchange, body), ...readInput(body)]
  const chat = chatBody(body, messages)
  const handover = readHandover(exchange, body)
  const sampling = readSampling(chat)
  const parts = chatParts(exchange, readChat(chat), { body, sampling, handover })
  const draft: ResponseDraft = {
    id: `resp_${requestId(exchange)}`,
    itemId: `${parts[0]?.plan.tool ? 'fc' : 'msg'}_${exchange.sim.hex()}`,
    callId: `call_${exchange.sim.hex(24)}`,
    created: exchange.sim.seconds(),
    model,
    body,
    transfer: handover.reply(parts)['kv_transfer_params'] ?? null,
    maxTokens:
      sampling.maxTokens ?? exchange.sim.limits.maxModelLength - (parts[0]?.prompt.tokens.length ?? 0),
  }
  const taking = handover.take(parts)
  if (taking) await taking
  if (body['background'] === true) return runInBackground(exchange, draft, { parts, messages })
  const keep = (generation: Generation) => {
    if (body['store'] !== false) store(exchange, draft.id, stored(draft, generation, messages))
  }
  if (sampling.stream) return streamHanded(exchange, { parts, handover }, responseScript(draft, keep))
  const generation = await generateHanded(exchange, { parts, handover })
  keep(generation)
  return json(finished(draft, generation))
}

const finished = (draft: ResponseDraft, generation: Generation): Fields => {
  const { plan } = generation.parts[0] as Part
  return responseBody(draft, {
    status: plan.finish === 'length' ? 'incomplete' : 'completed',
    plan,
    counts: countsOf(generation),
  })
}

function stored(draft: ResponseDraft, generation: Generation, messages: readonly Fields[]): StoredResponse {
  const { plan } = generation.parts[0] as Part
  const answer = plan.tool
    ? { role: 'assistant', content: '', tool_calls: [outputItem(draft, plan)] }
    : { role: 'assistant', content: plan.text }
  return { body: finished(draft, generation), messages: [...messages, answer], cancel: null }
}

function store(exchange: Exchange, id: string, response: StoredResponse): void {
  const { responses } = exchange.sim
  responses.set(id, response)
  const [oldest] = responses.keys()
  if (responses.size > STORED && oldest !== undefined) responses.delete(oldest)
}

interface BackgroundCall {
  readonly parts: Part[]
  readonly messages: readonly Fields[]
}

/** Answers at once and goes on when the client has left. */
function runInBackground(exchange: Exchange, draft: ResponseDraft, call: BackgroundCall): Response {
  const stop = new AbortController()
  const queued = responseBody(draft, { status: 'queued', plan: null, counts: null })
  const entry: StoredResponse = { body: queued, messages: call.messages, cancel: () => stop.abort() }
  store(exchange, draft.id, entry)
  const settle = (status: 'cancelled' | 'failed') => {
    entry.body = responseBody(draft, { status, plan: null, counts: null })
  }
  generateWhole({ ...exchange, signal: stop.signal }, call.parts).then(
    (generation) => {
      const done = stored(draft, generation, call.messages)
      entry.body = done.body
      entry.messages = done.messages
    },
    () => settle(stop.signal.aborted ? 'cancelled' : 'failed'),
  )
  return json(queued)
}

export const fetchResponse: Handler = (exchange) => json(find(exchange, exchange.params['id'] ?? '').body)

export const cancelResponse: Handler = async (exchange) => {
  const response = find(exchange, exchange.params['id'] ?? '')
  if (!response.cancel) {
    throw new EngineRefusal('bad_request', 'Cannot cancel a synchronous response.', {
      type: 'invalid_request_error',
    })
  }
  response.cancel()
  // The generation's own end marks it; give that its turn.
  await Promise.resolve()
  await Promise.resolve()
  return json(response.body)
}

function find(exchange: Exchange, id: string): StoredResponse {
  const response = exchange.sim.responses.get(id)
  if (response) return response
  const details = { param: 'response_id', type: 'invalid_request_error' }
  throw new EngineRefusal('not_found', `Response with id '${id}' not found.`, details)
}

function earlier(exchange: Exchange, body: Fields): readonly Fields[] {
  const id = stringField(body, 'previous_response_id')
  return id === null ? [] : find(exchange, id).messages
}

/** The call in the words of chat. */
function chatBody(body: Fields, messages: readonly Fields[]): Fields {
  const format = objectField(objectField(body, 'text'), 'format')
  const instructions = stringField(body, 'instructions')
  const system = instructions === null ? [] : [{ role: 'system', content: instructions }]
  return {
    ...body,
    n: 1,
    stop: undefined,
    logprobs: undefined,
    messages: [...system, ...messages],
    max_tokens: numberField(body, 'max_output_tokens'),
    response_format:
      format['type'] === 'json_schema' ? { type: 'json_schema', json_schema: format } : undefined,
  }
}

function readInput(body: Fields): Fields[] {
  const { input } = body
  if (typeof input === 'string') return [{ role: 'user', content: input }]
  if (!Array.isArray(input)) return []
  return input.filter(isFields).map((item) => {
    if (item['type'] === 'function_call') return { role: 'assistant', content: '', tool_calls: [item] }
    if (item['type'] === 'function_call_output') return { role: 'tool', content: item['output'] }
    return item
  })
}
