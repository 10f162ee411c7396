// Faults on demand, from the header `x-fault`, the engine option, or POST /fault: `die-after=3; slow=200ms`.
import { reasonOf } from './clock.ts'
import type { Exchange } from './exchange.ts'
import { ConnectionBroken } from './refusal.ts'
import { parseDuration } from '../config/units.ts'

/**
 * Names with their values (an empty one for bare words):
 * `status=503`, `retry-after=2`, `delay=1s` (before the head), `die-before-head`, `stall-before-head`,
 * `die-before-first`, `stall-before-first`, `die-after=N`, `stall-after=N`, `half-event-after=N`, `garbage-after=N`,
 * `truncate[=N]`, `slow=200ms` (each chunk), `length-lie`; and, unless a header asks for its own call,
 * which calls: `path=/v1/` (any call below it; else inference alone), `times=N`, `p=0.5`.
 */
export type Faults = Map<string, string>

/** Reads the text; throws with a sentence when a name is unknown. */
export function parseFaults(text: string): Faults {
  const faults: Faults = new Map()
  for (const part of text.split(';')) {
    const [name = '', value = ''] = part.split('=').map((side) => side.trim())
    if (name === '') continue
    if (!NAMES.has(name)) throw new RangeError(`unknown fault ${name}: known are ${[...NAMES].join(', ')}`)
    faults.set(name, value)
  }
  return faults
}

const NAMES = new Set(
  (
    'status retry-after delay die-before-head stall-before-head die-before-first stall-before-first die-after stall-after ' +
    'half-event-after garbage-after truncate slow length-lie path times p'
  ).split(' '),
)

const BODY_FAULTS = [
  'die-before-first',
  'stall-before-first',
  'die-after',
  'stall-after',
  'half-event-after',
  'garbage-after',
  'truncate',
  'slow',
  'length-lie',
]

/** What happens before the engine answers: a delay, a death (rejects as a broken connection does), or a stall. */
export async function faultBefore(exchange: Exchange, faults: Faults): Promise<void> {
  const delay = parseDuration(faults.get('delay') ?? '0ms') ?? 0
  if (delay > 0) await exchange.sim.clock.sleep(delay, exchange.signal)
  if (faults.has('die-before-head')) throw new ConnectionBroken('fetch failed')
  if (faults.has('stall-before-head')) await forever(exchange)
}

/** Never resolves; rejects when the client leaves or the engine is killed. */
function forever(exchange: Exchange): Promise<never> {
  return new Promise((_, reject) => {
    const die = () => {
      exchange.sim.breakers.delete(die)
      reject(new ConnectionBroken())
    }
    exchange.sim.breakers.add(die)
    const leave = () => {
      exchange.sim.breakers.delete(die)
      reject(reasonOf(exchange.signal))
    }
    if (exchange.signal.aborted) leave()
    else exchange.signal.addEventListener('abort', leave, { once: true })
  })
}

/** Announced for a stream, bytes: more than any stream has. */
const NEVER_REACHED = 1e9

/** The answer with its body broken as asked. */
export async function faultAfter(exchange: Exchange, response: Response, faults: Faults): Promise<Response> {
  const headers = new Headers(response.headers)
  const length = headers.get('content-length')
  if (faults.has('length-lie'))
    headers.set('content-length', String(length ? Number(length) + 4096 : NEVER_REACHED))
  else if (faults.has('truncate') || faults.has('garbage-after')) headers.delete('content-length')
  const { status } = response
  if (!BODY_FAULTS.some((name) => faults.has(name))) return new Response(response.body, { status, headers })
  const isStream = headers.get('content-type')?.startsWith('text/event-stream')
  const source =
    isStream && response.body ? response.body : pieces(new Uint8Array(await response.arrayBuffer()))
  return new Response(brokenBody(exchange, source, faults), { status, headers })
}

/** A whole body in eight pieces, so that it can break in the midst. */
function pieces(bytes: Uint8Array): ReadableStream<Uint8Array> {
  const size = Math.max(1, Math.ceil(bytes.length / 8))
  let at = 0
  return new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        if (at >= bytes.length) return controller.close()
        controller.enqueue(bytes.slice(at, at + size))
        at += size
      },
    },
    { highWaterMark: 0 },
  )
}

function brokenBody(
  exchange: Exchange,
  source: ReadableStream<Uint8Array>,
  faults: Faults,
): ReadableStream<Uint8Array> {
  return new ReadableStream(new BrokenSource(exchange, source, faults), { highWaterMark: 0 })
}

const GARBAGE = Uint8Array.of(0x64, 0x61, 0x74, 0x61, 0x3a, 0x20, 0x7b, 0xff, 0xfe, 0x00, 0x22, 0x0a, 0x0a)

/** Real time, whatever the engine's clock says: it is the server's. */
const FLUSH_MS = 10

/**
 * Waits until a server has written what it was given: a body that breaks right behind a chunk takes head and chunk with it.
 * Two timers, for between them the event loop turns even when it was held up for longer than one of them lasts.
 */
async function untilWritten(): Promise<void> {
  for (let turn = 0; turn < 2; turn++) await new Promise((resolve) => setTimeout(resolve, FLUSH_MS))
}

/** Passes a body on, chunk by chunk, until it is time to break it. */
class BrokenSource {
  readonly #exchange: Exchange
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>
  readonly #gone = new AbortController()
  /** Chunks after which each fault strikes. */
  readonly #dieAt: number
  readonly #stallAt: number
  readonly #halfAt: number
  readonly #endAt: number
  #garbageAt: number
  readonly #slow: number
  readonly #isLie: boolean
  #count = 0

  constructor(exchange: Exchange, source: ReadableStream<Uint8Array>, faults: Faults) {
    const after = (name: string, bare = 1) => {
      const value = faults.get(name)
      return value === undefined ? Infinity : value === '' ? bare : Number(value)
    }
    this.#exchange = exchange
    this.#reader = source.getReader()
    this.#dieAt = faults.has('die-before-first') ? 0 : after('die-after')
    this.#stallAt = faults.has('stall-before-first') ? 0 : after('stall-after')
    this.#halfAt = after('half-event-after')
    this.#garbageAt = after('garbage-after')
    this.#endAt = after('truncate', 3)
    this.#slow = parseDuration(faults.get('slow') ?? '0ms') ?? 0
    this.#isLie = faults.has('length-lie')
  }

  async pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    if (this.#count >= this.#dieAt || this.#count > this.#halfAt) return this.#break(controller)
    if (this.#count >= this.#stallAt) return this.#stall(controller)
    if (this.#count >= this.#endAt) {
      await this.#end(controller)
      return this.#reader.cancel()
    }
    if (this.#count >= this.#garbageAt) {
      this.#garbageAt = Infinity
      controller.enqueue(GARBAGE)
      return
    }
    if (this.#slow > 0 && this.#count > 0) await this.#exchange.sim.clock.sleep(this.#slow, this.#gone.signal)
    const { done, value } = await this.#reader.read()
    if (done) return this.#end(controller)
    this.#count++
    controller.enqueue(this.#count > this.#halfAt ? value.slice(0, Math.ceil(value.length / 2)) : value)
  }

  async cancel(reason: unknown): Promise<void> {
    this.#gone.abort()
    await this.#reader.cancel(reason)
  }

  async #stall(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    const signal = AbortSignal.any([this.#exchange.signal, this.#gone.signal])
    try {
      await forever({ ...this.#exchange, signal })
    } catch (error) {
      await this.#die(controller, error)
    }
  }

  /** After a length that lied the connection has to break, or its client would wait for the rest. */
  async #end(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    if (this.#isLie) return this.#break(controller)
    controller.close()
  }

  /** Dies once all that came before has been written. */
  async #break(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    await untilWritten()
    await this.#die(controller, new ConnectionBroken())
  }

  async #die(controller: ReadableStreamDefaultController<Uint8Array>, error: unknown): Promise<void> {
    if (!this.#gone.signal.aborted) controller.error(error)
    await this.#reader.cancel()
  }
}
