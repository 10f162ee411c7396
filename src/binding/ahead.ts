// The prompts that were sent to one worker and have no first token yet, in the order in which an engine should read them.
import { OrderOfService, type Prompt } from './order.ts'
import { Pace } from './pace.ts'
import type { Features } from './service-times.ts'

/** First tokens no further apart (ms) came from one step of the engine. */
const SAME_STEP = 3
/** Of a head that should be done by now, this share is taken to be left. */
const LEAST_LEFT = 0.1
/** A head whose first token is so late that its note must have been lost counts for nothing: times its own, and ms. */
const LOST = 4
const LOST_AFTER = 5_000
/** Of a wait for a first token this share at most may be reading, if it is to tell how far away the worker is. */
const MOST_READING = 0.25
/** What a step may take that reads next to nothing, s. */
const STEP = 0.04
/** So many waits tell how far away a worker is. */
const WAITS = 10
/** Shorter prompts say little of speed, tokens. */
const LEAST_READ = 512

/** Prompts that were read one after the other, and how long that took. */
export interface Sample {
  readonly features: Features
  readonly tokens: number
  readonly seconds: number
}

interface Step {
  readonly at: number
  readonly since: number
  readonly features: Features
  readonly tokens: number
}

export class Ahead {
  readonly order = new OrderOfService()
  readonly pace = new Pace()
  /** Seconds that its prompts and those that wait for it take, in a round of binding. */
  reserved = 0
  readonly #prompts: Prompt[] = []
  #seconds = 0
  #readSince = 0
  #step: Step | null = null
  /** Something was read in between of which nobody told. */
  #isBlurred = false
  /** The shortest wait for a first token that was hardly spent with reading, s, and how many there were. */
  #shortest = Infinity
  #waits = 0
  /** Id of the newest prompt that was sent when nothing was ahead. */
  #alone = ''

  get size(): number {
    return this.#prompts.length
  }
  /** Seconds to the worker and back; 0: not known, or no more than what a step takes. */
  get distance(): number {
    return this.#waits < WAITS ? 0 : Math.max(0, this.#shortest - STEP)
  }

  /** A prompt was sent there. `speed`: the worker's, 1 being the pool's mean. */
  join(prompt: Prompt, speed: number): void {
    const [head] = this.#prompts
    if (!head) this.#alone = prompt.id
    if (head && !prompt.isQuiet)
      this.order.joined(prompt, this.#prompts, this.#left(head, speed, prompt.sentAt), speed)
    this.#prompts.push(prompt)
    this.#seconds += prompt.seconds
  }

  /** Its first token came at that time. Returns what a step that is over tells of the service times. */
  first(id: string, at: number): Sample | null {
    const place = this.#prompts.findIndex((prompt) => prompt.id === id)
    if (place < 0) return null
    const prompt = this.#take(place)
    this.order.first(prompt.id, at)
    this.#measure(prompt, (at - prompt.sentAt) / 1000)
    const sample = this.#stepOf(prompt, at)
    this.#readSince = Math.max(this.#readSince, at)
    return sample
  }

  /** It left without a first token: the call ended, or it should have been read by now. Harmless when it is not there. */
  leave(id: string, now: number): void {
    const place = this.#prompts.findIndex((prompt) => prompt.id === id)
    if (place < 0) return
    this.#take(place)
    this.order.left(id)
    this.#isBlurred = true
    if (place === 0) this.#readSince = Math.max(this.#readSince, now)
  }

  /** Seconds until all of them are read. */
  backlog(now: number, speed: number): number {
    const [head] = this.#prompts
    if (!head) return 0
    return (this.#seconds - head.seconds) / speed + this.#left(head, speed, now)
  }

  #left(head: Prompt, speed: number, now: number): number {
    const whole = head.seconds / speed
    const gone = now - Math.max(head.sentAt, this.#readSince)
    if (gone > LOST * 1000 * whole + LOST_AFTER) return 0
    return Math.max(whole - gone / 1000, LEAST_LEFT * whole)
  }

  #measure({ id, reading }: Prompt, wait: number): void {
    if (id !== this.#alone || reading > MOST_READING * wait) return
    this.#shortest = Math.min(this.#shortest, wait)
    this.#waits++
  }

  #take(place: number): Prompt {
    const [prompt] = this.#prompts.splice(place, 1) as [Prompt]
    this.#seconds = this.#prompts.length === 0 ? 0 : this.#seconds - prompt.seconds
    return prompt
  }

  #stepOf(prompt: Prompt, at: number): Sample | null {
    const step = this.#step
    if (step && Math.abs(at - step.at) <= SAME_STEP) {
      const [a, b] = [step.features, prompt.features]
      const features: Features = [a[0] + b[0], a[1] + b[1], a[2] + b[2]]
      this.#step = { ...step, features, tokens: step.tokens + prompt.tokens }
      return null
    }
    const since = Math.max(this.#readSince, prompt.sentAt)
    const { features, tokens } = prompt
    this.#step = this.#isBlurred || at <= since ? null : { at, since, features, tokens }
    this.#isBlurred = this.#prompts.some(({ isQuiet }) => isQuiet)
    return step && step.tokens > LEAST_READ
      ? { features: step.features, tokens: step.tokens, seconds: (step.at - step.since) / 1000 }
      : null
  }
}
