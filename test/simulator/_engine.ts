// What the simulator's tests share: short ways to ask an engine, and a clock that is moved by hand.
import type { Engine } from '../../src/simulator/engine.ts'
import type { EngineClock } from '../../src/simulator/clock.ts'

export type Body = Record<string, unknown>

export interface AskOptions {
  readonly headers?: Record<string, string>
  readonly signal?: AbortSignal
}

export function ask(engine: Engine, path: string, body?: Body, options: AskOptions = {}): Promise<Response> {
  const headers = { 'content-type': 'application/json', ...options.headers }
  const init = body === undefined ? { headers } : { method: 'POST', headers, body: JSON.stringify(body) }
  return engine.fetch(new Request(`http://engine${path}`, { ...init, signal: options.signal ?? null }))
}

// oxlint-disable-next-line typescript/no-explicit-any -- replies are read as tests need them
export async function askJson(engine: Engine, path: string, body?: Body, options?: AskOptions): Promise<any> {
  return (await ask(engine, path, body, options)).json()
}

export const chat = (content: string, more: Body = {}): Body => ({
  messages: [{ role: 'user', content }],
  ...more,
})

/** The data of a stream's events, without `[DONE]`. */
// oxlint-disable-next-line typescript/no-explicit-any -- replies are read as tests need them
export function eventsOf(stream: string): any[] {
  const data = [...stream.matchAll(/^data: (.*)$/gm)].map((match) => match[1] as string)
  return data.filter((text) => text !== '[DONE]').map((text) => JSON.parse(text))
}

/** The text of a chat stream. */
export const textOf = (stream: string): string =>
  eventsOf(stream)
    .map((event) => event.choices[0]?.delta.content ?? '')
    .join('')

interface Sleeper {
  readonly at: number
  readonly wake: () => void
}

/** A clock that stands still until it is advanced. */
export class HandClock implements Pick<EngineClock, 'now' | 'sleep'> {
  #now = 0
  #sleepers: Sleeper[] = []

  now = (): number => this.#now

  sleep = (ms: number, signal?: AbortSignal): Promise<void> =>
    new Promise((resolve, reject) => {
      signal?.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
      this.#sleepers.push({ at: this.#now + ms, wake: resolve })
    })

  /** Moves time on, waking sleepers in their order and letting each one act. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms
    await settle()
    for (;;) {
      this.#sleepers.sort((a, b) => a.at - b.at)
      const next = this.#sleepers[0]
      if (!next || next.at > end) break
      this.#sleepers.shift()
      this.#now = Math.max(this.#now, next.at)
      next.wake()
      await settle()
    }
    this.#now = end
  }
}

/** Lets everything that is ready run. */
export const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
