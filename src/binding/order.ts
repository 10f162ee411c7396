// Whether an engine reads prompts one after the other, or several in each step: told by the first tokens of prompts of unlike length.
import type { Features } from './service-times.ts'

/** A prompt ahead must have this much more left to read than the one behind it to say anything: as a factor, and in seconds. */
const LONGER = 1.5
const LONGER_BY = 0.2
/** A first token that comes no later (ms) than one sent behind it was not overtaken: notes have no order of their own. */
const NO_LATER = 20
/** So many pairs decide. */
const ENOUGH = 12
/** An engine in which this share was overtaken does not read one after the other. */
const TOO_MANY = 0.1
/** Pairs after which old ones count for half. */
const FADING = 100

/** A prompt that is read, or will be. */
export interface Prompt {
  readonly id: string
  readonly features: Features
  /** Tokens to read. */
  readonly tokens: number
  /** As predicted, on a worker of mean speed. */
  readonly seconds: number
  /** Of these, those that grow with its length. */
  readonly reading: number
  /** Epoch ms. */
  readonly sentAt: number
  /** No first token will be told of: it leaves when it should be done. */
  readonly isQuiet: boolean
}

/**
 * How a worker gets its calls: as they come (`early`), so too while it is watched (`learning`), when it has nearly read what it was
 * sent (`late`), or as they come, for it reads several prompts in one step (`shares_steps`).
 */
export type Binding = 'early' | 'learning' | 'late' | 'shares_steps'

/** `unknown` until there were pairs enough; `shared` is for good, until the worker begins anew. */
export type Service = 'unknown' | 'in_order' | 'shared'

/**
 * First come, first served: the first token of a long prompt comes before that of a short one sent behind it. An engine that
 * gives each prompt a part of every step lets the short one overtake.
 */
export class OrderOfService {
  service: Service = 'unknown'
  /** Ids of prompts, and of the longer ones that were ahead of them. */
  readonly #pairs = new Map<string, string>()
  /** When somebody's first token came that was sent behind one which has none yet. */
  readonly #overtaken = new Map<string, number[]>()
  #kept = 0
  #broken = 0

  /** A prompt was sent behind others. `left`: seconds that the first of them has still to go. */
  joined(prompt: Prompt, ahead: readonly Prompt[], left: number, speed: number): void {
    const enough = (LONGER * prompt.seconds) / speed + LONGER_BY
    const longer = ahead.find(
      ({ isQuiet, seconds }, i) => !isQuiet && (i === 0 ? left : seconds / speed) > enough,
    )
    if (longer) this.#pairs.set(prompt.id, longer.id)
  }

  first(id: string, at: number): void {
    for (const earlier of this.#overtaken.get(id) ?? []) this.#count(at - earlier > NO_LATER)
    this.#overtaken.delete(id)
    const longer = this.#pairs.get(id)
    this.#pairs.delete(id)
    // The other one is only then still here when it has no first token yet.
    if (longer !== undefined) this.#overtaken.set(longer, [...(this.#overtaken.get(longer) ?? []), at])
    for (const [behind, ahead] of this.#pairs)
      if (ahead === id) {
        this.#pairs.delete(behind)
        this.#count(false)
      }
  }

  /** It ended without a first token: says nothing. */
  left(id: string): void {
    this.#overtaken.delete(id)
    this.#pairs.delete(id)
    for (const [behind, ahead] of this.#pairs) if (ahead === id) this.#pairs.delete(behind)
  }

  #count(isBroken: boolean): void {
    if (isBroken) this.#broken++
    else this.#kept++
    if (this.#kept + this.#broken > FADING) {
      this.#kept /= 2
      this.#broken /= 2
    }
    const all = this.#kept + this.#broken
    if (this.service === 'shared' || all < ENOUGH) return
    this.service = this.#broken > TOO_MANY * all ? 'shared' : 'in_order'
  }
}
