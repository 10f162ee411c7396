// What a policy can ask of its pool about one prompt: made once a pool, pointed at one ask after the other.
import type { PoolSense } from '../policies/policy.ts'
import { tierId, type KvTier } from '../prefix/kv-tiers.ts'
import type { Ask } from './ask.ts'
import type { PromptTokens } from './prompt-tokens.ts'
import type { Speeds } from './speeds.ts'
import type { PrefixView } from './view.ts'

export interface Senses {
  readonly view: PrefixView
  readonly prompts: PromptTokens
  readonly speeds: Speeds
  random(): number
}

export class Sense implements PoolSense {
  now = 0
  promptTokens = 0
  bestMatch = 0
  popularity = 0
  bytesPerToken = 1
  isDry = false
  readonly #senses: Senses

  constructor(senses: Senses) {
    this.#senses = senses
  }

  get nominalSpeed(): number {
    return this.#senses.speeds.nominal
  }

  /** Points it at an ask. What is read from it then is good until the view changes. */
  look(ask: Ask, now: number): this {
    const { view, prompts } = this.#senses
    this.now = now
    this.bytesPerToken = prompts.ratioOf(ask.model)
    this.promptTokens = prompts.count(ask, this.bytesPerToken)
    view.look(ask.prefix)
    this.bestMatch = this.#tokens(view.bestBytes)
    this.popularity = view.bestBytes > 0 ? view.popularity(now) : 0
    return this
  }

  random(): number {
    return this.#senses.random()
  }

  match(workerId: string): number {
    return this.bestMatch === 0 ? 0 : this.#tokens(this.#senses.view.matchOf(workerId))
  }

  matchIn(workerId: string, tier: KvTier): number {
    return this.#tokens(this.#senses.view.matchOf(tierId(workerId, tier)))
  }

  /** The same in blocks of the ask's prefix. */
  depth(workerId: string): number {
    return this.bestMatch === 0 ? 0 : this.#senses.view.depthOf(workerId)
  }

  treeTokens(workerId: string): number {
    return this.#senses.view.held(workerId) / this.#senses.prompts.bytesPerToken
  }

  /** Engines compute at least the last token of a prompt, cached or not. */
  #tokens(bytes: number): number {
    return Math.max(0, Math.min(this.promptTokens - 1, Math.floor(bytes / this.bytesPerToken)))
  }
}
