// Endpoints that read prompts and write none: embeddings, pooling, scores, ranks, classes.
import { readPrompts } from './completions.ts'
import { json, readBody, requestId, type Exchange, type Handler } from './exchange.ts'
import { isFields, listField, missingField, numberField, stringField, type Fields } from './fields.ts'
import { generateWhole, roomFor } from './generation.ts'
import { cacheRoot } from './kv-transfer.ts'
import type { Plan, Prompt } from './plan.ts'
import { contentText, promptOf } from './prompt.ts'
import { EngineRefusal } from './refusal.ts'
import { readText, spread } from './text.ts'

const SILENT: Plan = {
  tokens: new Uint32Array(0),
  pieces: [],
  text: '',
  finish: 'stop',
  stopReason: null,
  tool: null,
}
const DIMENSIONS = 64
const MOST_DIMENSIONS = 8192

/** Reads prompts through the scheduler, in the time that their prefill takes. */
async function readAll(exchange: Exchange, body: Fields, prompts: readonly Prompt[]): Promise<void> {
  for (const prompt of prompts) roomFor(exchange, prompt, null)
  const root = cacheRoot(exchange, body)
  await generateWhole(
    exchange,
    prompts.map((prompt) => ({ prompt, plan: SILENT, root, transferred: 0 })),
  )
}

/** These endpoints of vLLM do not list the models that they know. */
function modelOf(exchange: Exchange, body: Fields): string {
  const asked = stringField(body, 'model')
  if (exchange.sim.serves(asked)) return exchange.sim.modelFor(asked)
  throw new EngineRefusal('unknown_model', `The model \`${asked}\` does not exist.`)
}

const tokensOf = (prompts: readonly Prompt[]) =>
  prompts.reduce((sum, prompt) => sum + prompt.tokens.length, 0)

/** A unit vector that depends on the text alone. */
export function embed(text: string, dimensions = DIMENSIONS): number[] {
  const { hash } = readText(text)
  const raw = Array.from({ length: dimensions }, (_, i) => spread(hash + i) / 2 ** 31 - 1)
  const norm = Math.hypot(...raw)
  return raw.map((value) => value / norm)
}

const cosine = (a: readonly number[], b: readonly number[]) =>
  a.reduce((sum, value, i) => sum + value * (b[i] ?? 0), 0)

function base64Of(vector: readonly number[]): string {
  const bytes = new Uint8Array(Float32Array.from(vector).buffer)
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''))
}

const usageOf = (tokens: number) => ({
  prompt_tokens: tokens,
  total_tokens: tokens,
  completion_tokens: 0,
  prompt_tokens_details: null,
  completion_tokens_details: null,
})

interface InputCall {
  readonly body: Fields
  readonly model: string
  readonly prompts: Prompt[]
}

/** Reads `input` (or messages) in every form that embeddings take it. */
async function readInputs(exchange: Exchange): Promise<InputCall> {
  const body = readBody(exchange)
  const model = modelOf(exchange, body)
  const input = body['input'] ?? messagesText(body) ?? body['text']
  if (input === undefined || input === null) throw missingField(body, 'input')
  const prompts = readPrompts(input)
  await readAll(exchange, body, prompts)
  return { body, model, prompts }
}

function messagesText(body: Fields): string | undefined {
  if (!Array.isArray(body['messages'])) return undefined
  return body['messages']
    .map((message) => (isFields(message) ? contentText(message['content']) : ''))
    .join('\n')
}

export const embeddings: Handler = async (exchange) => {
  const { body, model, prompts } = await readInputs(exchange)
  const dimensions = numberField(body, 'dimensions') ?? DIMENSIONS
  if (!Number.isInteger(dimensions) || dimensions < 1 || dimensions > MOST_DIMENSIONS) {
    throw new EngineRefusal(
      'bad_request',
      `dimensions must be between 1 and ${MOST_DIMENSIONS}, got ${dimensions}.`,
    )
  }
  const isPacked = body['encoding_format'] === 'base64'
  const data = prompts.map((prompt, index) => {
    const vector = embed(prompt.text, dimensions)
    return { index, object: 'embedding', embedding: isPacked ? base64Of(vector) : vector }
  })
  return json({
    id: `embd-${requestId(exchange)}`,
    object: 'list',
    created: exchange.sim.seconds(),
    model,
    data,
    usage: usageOf(tokensOf(prompts)),
  })
}

/** LMDeploy has the route and nothing behind it. */
export const noEmbeddings: Handler = () => {
  throw new EngineRefusal('bad_request', 'Unsupported by turbomind.')
}

export const pooling: Handler = async (exchange) => {
  const { model, prompts } = await readInputs(exchange)
  const data = prompts.map((prompt, index) => ({ index, object: 'pooling', data: embed(prompt.text) }))
  const shared = {
    object: 'list',
    created: exchange.sim.seconds(),
    model,
    data,
    usage: usageOf(tokensOf(prompts)),
  }
  return json({ id: `pooling-${requestId(exchange)}`, ...shared })
}

export const classify: Handler = async (exchange) => {
  const { model, prompts } = await readInputs(exchange)
  const data = prompts.map((prompt, index) => {
    const chance = (embed(prompt.text)[0] as number) / 2 + 0.5
    const label = chance < 0.5 ? 'LABEL_0' : 'LABEL_1'
    return { index, label, probs: [1 - chance, chance], num_classes: 2 }
  })
  const shared = {
    object: 'list',
    created: exchange.sim.seconds(),
    model,
    data,
    usage: usageOf(tokensOf(prompts)),
  }
  return json({ id: `classify-${requestId(exchange)}`, ...shared })
}

interface Ranked {
  readonly index: number
  readonly text: string
  readonly score: number
}

async function scorePairs(
  exchange: Exchange,
  body: Fields,
  query: string,
  texts: readonly string[],
): Promise<Ranked[]> {
  const pairs = texts.map((text) => promptOf(query + text))
  await readAll(exchange, body, pairs)
  const wanted = embed(query)
  return texts.map((text, index) => ({ index, text, score: cosine(wanted, embed(text)) }))
}

export const vllmScore: Handler = async (exchange) => {
  const body = readBody(exchange)
  const model = modelOf(exchange, body)
  const first = listField(body, 'text_1')[0] ?? stringField(body, 'queries') ?? ''
  const texts = 'text_2' in body ? listField(body, 'text_2') : listField(body, 'documents')
  const ranked = await scorePairs(exchange, body, first, texts)
  return json({
    id: `score-${requestId(exchange)}`,
    object: 'list',
    created: exchange.sim.seconds(),
    model,
    data: ranked.map(({ index, score }) => ({ index, object: 'score', score })),
    usage: usageOf(tokensOf(texts.map((text) => promptOf(first + text)))),
  })
}

/** SGLang scores labels: how likely each label token is after each item. */
export const sglangScore: Handler = async (exchange) => {
  const body = readBody(exchange)
  const items = listField(body, 'items')
  const ranked = await scorePairs(exchange, body, stringField(body, 'query') ?? '', items)
  const labels = Array.isArray(body['label_token_ids']) ? body['label_token_ids'].length : 1
  const scores = ranked.map(({ score }) =>
    Array.from({ length: labels }, (_, i) => Math.abs(score) / (i + 1)),
  )
  return json({
    scores,
    model: modelOf(exchange, body),
    usage: null,
    object: 'scoring',
  })
}

export const rerank: Handler = async (exchange) => {
  const body = readBody(exchange)
  const model = modelOf(exchange, body)
  const query = stringField(body, 'query')
  if (query === null) throw missingField(body, 'query')
  const documents = (Array.isArray(body['documents']) ? body['documents'] : []).map((part: unknown) =>
    typeof part === 'string' ? part : contentText([part]),
  )
  const ranked = await scorePairs(exchange, body, query, documents)
  const sorted = ranked.sort((a, b) => b.score - a.score).slice(0, numberField(body, 'top_n') ?? undefined)
  if (exchange.sim.options.engine === 'sglang') {
    return json(sorted.map(({ score, text, index }) => ({ score, document: text, index, meta_info: null })))
  }
  const tokens = tokensOf(documents.map((text) => promptOf(query + text)))
  const results = sorted.map(({ index, text, score }) => ({
    index,
    document: { text, multi_modal: null },
    relevance_score: score,
  }))
  return json({
    id: `score-${requestId(exchange)}`,
    model,
    usage: { prompt_tokens: tokens, total_tokens: tokens },
    results,
  })
}
