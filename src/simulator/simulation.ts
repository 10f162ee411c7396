// The state of one simulated engine, shared by its endpoints.
import type { EngineClock } from './clock.ts'
import type { EngineOptions } from './engine.ts'
import type { Fields } from './fields.ts'
import type { KvFeed, KvSourceFacts } from './kv-feed.ts'
import { KvOffers } from './kv-offers.ts'
import { Ranks } from './ranks.ts'
import { EngineRefusal } from './refusal.ts'

export interface Limits {
  readonly maxModelLength: number
  readonly maxSequences: number
  readonly blocks: number
  readonly blockTokens: number
}

/** What became of finished calls, by the word the metrics have for it. */
export interface Tally {
  finished: number
  aborted: number
  stop: number
  length: number
}

/** A response that stays on the engine. */
export interface StoredResponse {
  /** As it is told now. */
  body: Fields
  /** The conversation up to and with it. */
  messages: readonly Fields[]
  /** Ends it when it runs in the background. */
  readonly cancel: (() => void) | null
}

export class Simulation {
  readonly options: EngineOptions
  readonly clock: EngineClock
  readonly limits: Limits
  readonly scheduler: Ranks
  readonly models: readonly string[]
  /** Adapter names with the model they belong to. */
  readonly adapters: Set<string>
  readonly startedAt: number
  readonly engineId: string
  readonly tally: Tally = { finished: 0, aborted: 0, stop: 0, length: 0 }
  /** Breaks every open answer; called when the engine is killed. */
  readonly breakers = new Set<() => void>()
  /** Responses of /v1/responses by id, the oldest dropped first. */
  readonly responses = new Map<string, StoredResponse>()
  /** KV that waits here for a decode engine, and what came of it. */
  readonly offers = new KvOffers()
  /** Engines that this one was connected with (LMDeploy's DistServe). */
  readonly links = new Set<string>()
  /** Answers being worked on, of all endpoints. */
  serving = 0
  isSleeping = false
  /** Who tells of the cache of each rank; none: nobody listens. */
  readonly kvFeeds = new Map<number, KvFeed>()
  /** Where that can be heard. */
  readonly kvSources = new Map<number, KvSourceFacts>()
  /** Where its load is published; null: nowhere. */
  loadEndpoint: string | null = null
  isPaused = false
  #sessions = 0

  constructor(options: EngineOptions, clock: EngineClock) {
    this.options = options
    this.clock = clock
    this.models = options.models?.length ? options.models : ['demo-model']
    this.adapters = new Set(options.adapters)
    this.startedAt = clock.now()
    this.engineId = this.hex(32).replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
    const blocks = options.blocks ?? 3000
    const blockTokens = options.blockTokens ?? 16
    this.limits = {
      blocks,
      blockTokens,
      maxModelLength: Math.min(options.maxModelLength ?? 32_768, blocks * blockTokens - 1),
      maxSequences: options.maxSequences ?? 256,
    }
    const pace = {
      prefillTokensPerSecond: options.prefillTokensPerSecond ?? 20_000,
      stepMs: options.stepMs ?? 8,
      perSequenceMs: options.perSequenceMs ?? 0.05,
      speed: options.speed ?? 1,
      blockTokens,
      maxSequences: this.limits.maxSequences,
    }
    const isSglang = options.engine === 'sglang'
    this.scheduler = new Ranks(options.dpSize ?? 1, pace, { blocks, clock, isSglang })
  }

  /** What a restart of the process loses: blocks, stored responses, adapters loaded at run time. */
  forget(): void {
    this.scheduler.clear()
    this.responses.clear()
    this.offers.clear()
    this.links.clear()
    this.adapters.clear()
    for (const adapter of this.options.adapters ?? []) this.adapters.add(adapter)
  }

  /** A random id of `length` hex digits. */
  hex(length = 16): string {
    let id = ''
    while (id.length < length)
      id += Math.floor(this.clock.random() * 0x100000000)
        .toString(16)
        .padStart(8, '0')
    return id.slice(0, length)
  }

  /** A number for LMDeploy's session. */
  nextSession(): number {
    return ++this.#sessions
  }

  /** Seconds since the epoch. */
  seconds(): number {
    return Math.floor(this.clock.now() / 1000)
  }

  /** Whether a call for this model is answered; one without a model always is. */
  serves(asked: string | null): boolean {
    if (asked === null || asked === '' || this.options.engine === 'sglang') return true
    return this.models.includes(asked) || this.adapters.has(asked)
  }

  /** The model's name as the reply tells it. SGLang serves any name; the others refuse those they do not know. */
  modelFor(asked: string | null): string {
    const served = this.models[0] as string
    if (asked === null || asked === '') return served
    if (this.models.includes(asked) || this.adapters.has(asked) || this.options.engine === 'sglang')
      return asked
    const known = [...this.models, ...this.adapters].join(', ')
    const message =
      this.options.engine === 'vllm'
        ? `The model \`${asked}\` does not exist. Valid aliases: ${known}.`
        : `The model '${asked}' does not exist.`
    throw new EngineRefusal(
      'unknown_model',
      message,
      this.options.engine === 'vllm' ? { param: 'model' } : {},
    )
  }
}
