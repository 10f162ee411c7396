// Writes a generation as server-sent events, one event a chunk.
import type { Exchange } from './exchange.ts'
import { Generation, type Part } from './generation.ts'

/** How an endpoint words its stream. Each function returns whole events, in order. */
export interface Script {
  /** Before any token (the response's head goes out with it). */
  opening?(): string[]
  token(generation: Generation, part: number, index: number): string[]
  closing(generation: Generation): string[]
}

export const dataEvent = (value: unknown): string => `data: ${JSON.stringify(value)}\n\n`
export const namedEvent = (name: string, value: unknown): string =>
  `event: ${name}\ndata: ${JSON.stringify(value)}\n\n`
export const DONE = 'data: [DONE]\n\n'

/** A streamed answer: cancelling it frees the sequences at once, and the engine's death breaks it. */
export function streamAnswer(exchange: Exchange, parts: readonly Part[], script: Script): Response {
  const encoder = new TextEncoder()
  let generation: Generation | undefined
  let read = 0
  let closed = false
  const queue: string[] = []
  let control: ReadableStreamDefaultController<Uint8Array> | undefined

  // With speed 0 events wait for the reader, so that a stream which nobody reads stands still.
  const flush = () => {
    while (control && queue.length > 0 && (read > 0 || exchange.sim.options.speed !== 0)) {
      control.enqueue(encoder.encode(queue.shift()))
      read = Math.max(0, read - 1)
      if (generation) generation.wanted = false
    }
    if (control && closed && queue.length === 0) {
      generation?.finish()
      control.close()
      control = undefined
    }
  }
  const body = new ReadableStream<Uint8Array>(
    {
      start(controller) {
        control = controller
        queue.push(...(script.opening?.() ?? []))
        generation = new Generation(exchange, parts, {
          token: (part, index) => {
            queue.push(...script.token(generation as Generation, part, index))
            flush()
          },
          done: () => {
            queue.push(...script.closing(generation as Generation))
            closed = true
            flush()
          },
          broken: (reason) => {
            control?.error(reason)
            control = undefined
          },
        })
        flush()
      },
      pull() {
        read = 1
        if (generation) generation.wanted = queue.length === 0
        flush()
        exchange.sim.scheduler.wake()
      },
      cancel() {
        control = undefined
        generation?.abort()
      },
    },
    { highWaterMark: 0 },
  )
  return new Response(body, { headers: { 'content-type': 'text/event-stream; charset=utf-8' } })
}
