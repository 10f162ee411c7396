// How many tokens a prompt of so many bytes makes, per model, learned from what engines count.
import type { Ask } from './ask.ts'

/** Bytes a token until usage tells better: the common rule of thumb for English. */
const BYTES_PER_TOKEN = 4
/** The rule of thumb counts like a prompt of so many tokens that was seen. */
const PRIOR_TOKENS = 500
const KEEP = 0.98
/** Outside of this a count is of something else than the text that was sent. */
const LEAST_RATIO = 0.25
const MOST_RATIO = 64
/** Model names come from clients where any name is served: what is remembered must not grow with them. */
const MAX_MODELS = 1000

interface Sums {
  bytes: number
  tokens: number
}

const prior = (): Sums => ({ bytes: PRIOR_TOKENS * BYTES_PER_TOKEN, tokens: PRIOR_TOKENS })

export class PromptTokens {
  readonly #models = new Map<string, Sums>()
  readonly #all = prior()
  /** The model that was asked for last: most calls in a row are for the same one. */
  #last: { readonly model: string; readonly sums: Sums } | null = null

  /** Models that are told apart. */
  get models(): number {
    return this.#models.size
  }

  /** Canonical bytes a token over all models. */
  get bytesPerToken(): number {
    return this.#all.bytes / this.#all.tokens
  }

  /** Canonical bytes a token of a model's prompts. */
  ratioOf(model: string | null): number {
    const sums = model === null ? undefined : this.#find(model)
    return sums ? sums.bytes / sums.tokens : this.bytesPerToken
  }

  /** A guess of an ask's prompt, in tokens; `ratio`: of its model. */
  count(ask: Ask, ratio: number): number {
    return ask.promptBytes > 0 ? Math.ceil(ask.promptBytes / ratio) : ask.tokens
  }

  /** An engine counted so many tokens in this ask's prompt. */
  learn(ask: Ask, tokens: number): void {
    const ratio = ask.promptBytes / tokens
    if (!(ratio >= LEAST_RATIO && ratio <= MOST_RATIO)) return
    add(this.#all, ask.promptBytes, tokens)
    if (ask.model === null) return
    let sums = this.#find(ask.model)
    if (!sums) {
      if (this.#models.size >= MAX_MODELS) {
        this.#models.clear()
        this.#last = null
      }
      this.#models.set(ask.model, (sums = prior()))
    }
    add(sums, ask.promptBytes, tokens)
  }

  #find(model: string): Sums | undefined {
    if (model === this.#last?.model) return this.#last.sums
    const sums = this.#models.get(model)
    if (sums) this.#last = { model, sums }
    return sums
  }
}

function add(sums: Sums, bytes: number, tokens: number): void {
  sums.bytes = sums.bytes * KEEP + bytes
  sums.tokens = sums.tokens * KEEP + tokens
}
