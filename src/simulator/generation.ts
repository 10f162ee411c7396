// Runs the sequences of one call through the scheduler and tells its handler of their tokens.
import { reasonOf } from './clock.ts'
import type { Exchange } from './exchange.ts'
import { sessionOf } from './kv-feed.ts'
import type { Plan, Prompt } from './plan.ts'
import { ConnectionBroken, EngineRefusal } from './refusal.ts'
import type { Sequence } from './sequence.ts'
import type { Simulation } from './simulation.ts'

/** One sequence of a call. */
export interface Part {
  readonly prompt: Prompt
  readonly plan: Plan
  /** Keeps the cached blocks of adapters and salts apart. */
  readonly root: number
  /** Prompt tokens whose KV another engine has sent. */
  readonly transferred: number
}

export interface Hearer {
  /** Sequence `part` has its token `index`. */
  token(part: number, index: number): void
  /** Every sequence has ended. */
  done(): void
  /** The engine was killed, or the client's signal fired. */
  broken(reason: Error): void
}

export class Generation {
  readonly parts: readonly Part[]
  /** The reader wants a token; counts only when the engine's speed is 0. */
  wanted = false
  readonly #sim: Simulation
  readonly #exchange: Exchange
  readonly #hearer: Hearer
  readonly #sequences: Sequence[] = []
  readonly #unhook: () => void
  #running: number
  #settled = false

  constructor(exchange: Exchange, parts: readonly Part[], hearer: Hearer) {
    const { sim, signal } = exchange
    this.parts = parts
    this.#sim = sim
    this.#exchange = exchange
    this.#hearer = hearer
    this.#running = parts.length
    const leave = () => this.#break(reasonOf(signal))
    const die = () => this.#break(new ConnectionBroken())
    signal.addEventListener('abort', leave, { once: true })
    sim.breakers.add(die)
    this.#unhook = () => {
      signal.removeEventListener('abort', leave)
      sim.breakers.delete(die)
    }
    sim.serving++
    for (const [index, part] of parts.entries()) this.#submit(part, index)
    if (signal.aborted) leave()
    // An empty list of prompts has an answer too.
    if (parts.length === 0) queueMicrotask(() => hearer.done())
  }

  #submit(part: Part, index: number): void {
    const job = {
      prompt: part.prompt.tokens,
      output: part.plan.tokens,
      root: part.root,
      transferred: part.transferred,
      session: this.#sim.kvFeeds.size > 0 ? sessionOf(this.#exchange) : null,
      wants: () => this.wanted,
      token: (at: number) => this.#hearer.token(index, at),
      done: () => this.#end(),
    }
    this.#sequences.push(this.#sim.scheduler.submit(job, this.#exchange.rank))
  }

  #end(): void {
    this.#running--
    if (this.#running === 0) this.#hearer.done()
  }

  /** Prompt tokens of all prompts, each counted once however many choices it has. */
  get promptTokens(): number {
    return this.#overPrompts((index) => this.parts[index]?.prompt.tokens.length ?? 0)
  }

  get cachedTokens(): number {
    return this.#overPrompts((index) => this.cachedOf(index))
  }

  /** Cached prompt tokens of one sequence. */
  cachedOf(part: number): number {
    return this.#sequences[part]?.cached ?? 0
  }

  get completionTokens(): number {
    return this.#sequences.reduce((sum, sequence) => sum + sequence.emitted, 0)
  }

  #overPrompts(count: (index: number) => number): number {
    let sum = 0
    for (const [index, part] of this.parts.entries()) {
      if (this.parts[index - 1]?.prompt !== part.prompt) sum += count(index)
    }
    return sum
  }

  /** The answer reached its reader. */
  finish(): void {
    if (!this.#settle()) return
    this.#sim.tally.finished++
    for (const { plan } of this.parts) this.#sim.tally[plan.finish === 'length' ? 'length' : 'stop']++
  }

  /** Frees everything at once, as when the client has left. */
  abort(): void {
    if (!this.#settle()) return
    this.#sim.tally.aborted++
    for (const sequence of this.#sequences) this.#sim.scheduler.abort(sequence)
  }

  #break(reason: Error): void {
    if (this.#settled) return
    this.abort()
    this.#hearer.broken(reason)
  }

  #settle(): boolean {
    if (this.#settled) return false
    this.#settled = true
    this.#unhook()
    this.#sim.serving--
    return true
  }
}

/** Generates a whole answer; rejects when the client leaves or the engine is killed. */
export function generateWhole(exchange: Exchange, parts: readonly Part[]): Promise<Generation> {
  return new Promise((resolve, reject) => {
    const generation = new Generation(exchange, parts, {
      token: () => undefined,
      done: () => {
        generation.finish()
        resolve(generation)
      },
      broken: reject,
    })
    generation.wanted = true
    exchange.sim.scheduler.wake()
  })
}

/** Characters that vLLM takes a token to have at most: longer prompts are refused before they are tokenised. */
const MOST_CHARACTERS = 13

/** Room for the answer in the context; refuses prompts that leave none, and too large wishes. */
export function roomFor(exchange: Exchange, prompt: Prompt, maxTokens: number | null): number {
  const { options, limits } = exchange.sim
  const context = limits.maxModelLength
  const length = prompt.tokens.length
  if (options.engine === 'vllm') checkForVllm(prompt, maxTokens, context)
  if (length < context) return context - length
  const message =
    options.engine === 'sglang'
      ? `The input (${length} tokens) is longer than the model's context length (${context} tokens).`
      : `The prompt has ${length} tokens; the session length is ${context}.`
  throw new EngineRefusal('too_long', message)
}

function checkForVllm(prompt: Prompt, maxTokens: number | null, context: number): void {
  const most = context * MOST_CHARACTERS
  const isText = prompt.text.length > most
  if (isText || prompt.tokens.length >= context) {
    const [param, value, unit] = isText
      ? [
          'input_text',
          prompt.text.length,
          `characters (more than ${most} characters, the most that ${context} tokens have)`,
        ]
      : ['input_tokens', prompt.tokens.length, 'input tokens']
    const message =
      `This model's maximum context length is ${context} tokens. However, your prompt contains ${value} ${unit}. ` +
      `Please reduce the length of the input prompt. (parameter=${param}, value=${value})`
    throw new EngineRefusal('too_long', message, { param: String(param) })
  }
  if (maxTokens === null || maxTokens <= context) return
  const message =
    `max_tokens=${maxTokens} cannot be greater than max_model_len=${context}. ` +
    `Please request fewer output tokens. (parameter=max_tokens, value=${maxTokens})`
  throw new EngineRefusal('bad_request', message, { param: 'max_tokens' })
}
