// Answers chats from the answers of chats that mean the same. Only of the same tenant, with the same model and parameters, and only
// answers that were whole and good.
import type { Core } from '../core.ts'
import { editBody } from '../openai/spans.ts'
import type { Call } from '../openai/call.ts'
import { Refusal } from '../openai/errors.ts'
import { join } from '../openai/bytes.ts'
import { withBody } from './with-body.ts'
import { answerOf, asStream, jsonOf, questionOf, renewed } from './chat-answer.ts'
import type { CacheUse, Met } from './extension.ts'
import type { Embed } from './embedder.ts'
import type { Shelf } from './shelf.ts'
import { Similar, unit, type Entry } from './similar.ts'
import type { Tap } from './tap.ts'

const CHAT = '/v1/chat/completions'
/** Longer answers are not kept. */
const MOST_ANSWER = 1024 * 1024
/** Fields that are the cache's own: engines don't get them. */
const OWN = ['skip_cache', 'cache_similarity_threshold'] as const

/** What the cache says of a call, which goes on without the cache's own fields. */
export type Looked =
  | { readonly kind: 'hit'; readonly call: Call; readonly response: Response; readonly bytes: Uint8Array }
  | { readonly kind: 'miss'; readonly call: Call; readonly tap: Tap }
  | { readonly kind: 'pass'; readonly call: Call }

export interface CacheRules {
  /** Least cosine, 0 to 1. */
  readonly threshold: number
  /** Answers that are kept. */
  readonly size: number
}

export class SemanticCache {
  readonly #embed: Embed
  readonly #threshold: number
  readonly #entries: Similar
  readonly #shelf: Shelf | null
  #hits = 0
  #misses = 0
  #seconds = 0
  #isSilent = false

  /** `shelf`: where entries are kept over a restart; null: nowhere. */
  constructor(embed: Embed, { threshold, size }: CacheRules, shelf: Shelf | null) {
    this.#embed = embed
    this.#threshold = threshold
    this.#entries = new Similar(size)
    this.#shelf = shelf
  }

  /** Takes over what was kept. */
  async open(): Promise<void> {
    for (const entry of (await this.#shelf?.read()) ?? []) this.#entries.add(entry)
  }

  use(): CacheUse {
    const looks = this.#hits + this.#misses
    return {
      hits: this.#hits,
      misses: this.#misses,
      size: this.#entries.size,
      latency: looks === 0 ? 0 : this.#seconds / looks,
    }
  }

  /** Never throws because of the embedder: without it calls go to engines. @throws Refusal for a threshold that is none */
  async look(core: Core, { call, caller }: Met): Promise<Looked> {
    if (call.endpoint.name !== CHAT || call.body.kind !== 'json') return { kind: 'pass', call }
    const chat = jsonOf(new TextDecoder().decode(call.body.bytes))
    const own = withoutOwn(call)
    if (chat === null || chat['skip_cache'] === true) return { kind: 'pass', call: own }
    const question = questionOf(chat, caller.tenant)
    if (question === null) return { kind: 'pass', call: own }
    const threshold = thresholdOf(chat['cache_similarity_threshold']) ?? this.#threshold
    const began = core.host.now()
    const vector = await this.#vectorOf(core, question.text, call)
    if (vector === null) return { kind: 'pass', call: own }
    const near = this.#entries.nearest(question.scope, vector)
    this.#seconds += (core.host.now() - began) / 1000
    if (near === null || near.similarity < threshold) {
      this.#misses++
      core.instruments.semanticCache.with('miss').add()
      return { kind: 'miss', call: own, tap: this.#keeper(core, own, { scope: question.scope, vector }) }
    }
    this.#hits++
    core.instruments.semanticCache.with('hit').add()
    this.#entries.use(near.entry)
    return hitOf(core, own, near.entry, near.similarity)
  }

  #keeper(core: Core, call: Call, place: Pick<Entry, 'scope' | 'vector'>): Tap {
    return (bytes) => {
      if (bytes === null || bytes.length > MOST_ANSWER) return
      const answer = answerOf(bytes, call.isStream)
      if (answer === null) return
      const entry = { ...place, answer: JSON.stringify(answer) }
      this.#entries.add(entry)
      const shelf = this.#shelf
      if (shelf) core.host.after(shelf.write(() => this.#entries.all()))
    }
  }

  async #vectorOf(core: Core, text: string, { signal }: Call): Promise<Float32Array | null> {
    try {
      const vector = unit(await this.#embed(core, text))
      if (vector === null) throw new Error('the embedder gave no vector')
      this.#isSilent = false
      return vector
    } catch (error) {
      // Each call would say the same.
      if (!this.#isSilent && !signal.aborted) {
        const message = 'the semantic cache has no embedder: calls go to engines until it answers'
        core.host.log({ level: 'error', message, error: String(error) })
      }
      this.#isSilent = true
      return null
    }
  }
}

function withoutOwn(call: Call): Call {
  if (call.body.kind !== 'json') return call
  const { bytes, top } = call.body
  const edits = OWN.filter((key) => top.kind(key) !== null).map((key) => ({ kind: 'delete' as const, key }))
  return edits.length === 0 ? call : withBody(call, join(editBody(bytes, top, edits)))
}

function thresholdOf(given: unknown): number | null {
  if (given === undefined || given === null) return null
  if (typeof given === 'number' && given >= 0 && given <= 1) return given
  const message = '"cache_similarity_threshold" must be a number from 0 to 1.'
  throw new Refusal(400, 'invalid_request', message)
}

function hitOf(core: Core, call: Call, { answer }: Entry, similarity: number): Looked {
  const id = core.ids.chat()
  const created = Math.floor(core.host.now() / 1000)
  const fields = renewed(JSON.parse(answer) as Record<string, unknown>, { id, created, similarity })
  const wantsUsage =
    call.body.kind === 'json' && /"include_usage"\s*:\s*true/.test(call.body.top.raw('stream_options') ?? '')
  const text = call.isStream ? asStream(fields, wantsUsage) : JSON.stringify(fields)
  const bytes = new TextEncoder().encode(text)
  const type = call.isStream ? 'text/event-stream; charset=utf-8' : 'application/json'
  return { kind: 'hit', call, response: new Response(bytes, { headers: { 'content-type': type } }), bytes }
}
