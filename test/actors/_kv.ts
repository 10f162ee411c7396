// A worker whose engine publishes KV events on real sockets, followed into a view: what the view predicts against what was cached.
import { createSockets, type NodeSockets } from '../../adapters/node/sockets.ts'
import { createTimers } from '../../adapters/web/timers.ts'
import type { Ask } from '../../src/actors/ask.ts'
import { KvEvents } from '../../src/actors/kv-events.ts'
import type { Lease } from '../../src/actors/ledger.ts'
import type { Member } from '../../src/actors/members.ts'
import { Seat } from '../../src/actors/seat.ts'
import { PrefixView } from '../../src/actors/view.ts'
import type { LogEvent } from '../../src/host.ts'
import { scanTop } from '../../src/openai/scan.ts'
import { hashBlocks } from '../../src/prefix/blocks.ts'
import { readPrompt } from '../../src/prefix/prompt.ts'
import { createEngine, type Engine, type EngineOptions } from '../../src/simulator/engine.ts'
import { KvPublisher } from '../../src/simulator/kv-publisher.ts'

export interface Told {
  /** Tokens that the view said are cached, and those that the engine found. */
  readonly predicted: number
  readonly cached: number
}

export interface KvRig {
  readonly events: KvEvents
  readonly view: PrefixView
  readonly logged: LogEvent[]
  readonly sockets: NodeSockets
  add(options: Partial<EngineOptions>, how?: { replay?: boolean }): Promise<KvWorkerRig>
  close(): void
}

export interface KvWorkerRig {
  readonly seat: Seat
  readonly engine: Engine
  readonly publisher: KvPublisher
  /** Sends a prompt there, and waits until its events are in. */
  call(prompt: string, change?: { session?: string | null; more?: Record<string, unknown> }): Promise<Told>
  /** Waits until all that was published has been followed. */
  caughtUp(): Promise<void>
}

/** Bytes that make one token in the simulated engines. */
export const TOKEN = 4

/** A text of so many tokens that is like no other. */
export function textOf(tokens: number, random: () => number): string {
  const letter = () => String.fromCharCode(97 + Math.floor(random() * 26))
  return Array.from({ length: tokens * TOKEN }, letter).join('')
}

export async function until(isSo: () => boolean, what: string): Promise<void> {
  const end = performance.now() + 20_000
  while (!isSo()) {
    if (performance.now() > end) throw new Error(`not within 20 s: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}

/** `limit`: bytes for what is known. */
export function kvRig(limit = 32 * 2 ** 20): KvRig {
  const sockets = createSockets()
  const timers = createTimers()
  const logged: LogEvent[] = []
  const clock = { now: () => performance.now(), random: Math.random, timer: timers.start }
  const view = new PrefixView(limit, 30_000)
  const events = new KvEvents({ ...clock, sockets, log: (event) => void logged.push(event) }, view)
  const seats: Seat[] = []
  const add: KvRig['add'] = async (options, { replay = true } = {}) => {
    const engine = createEngine({ engine: 'vllm', models: ['m'], speed: 0, ...options })
    const address = 'tcp://127.0.0.1:0'
    const publisher = await KvPublisher.bind(
      engine,
      { sockets, clock },
      { endpoint: address, ...(replay && { replay: address }) },
    )
    const seat = new Seat(memberOf(`w${seats.length + 1}`, publisher))
    seats.push(seat)
    view.join(seat.id, 2 ** 30)
    events.meet([...seats])
    await until(() => publisher.isHeard, 'a subscriber')
    return workerRig({ events, view }, { seat, engine, publisher })
  }
  const close = () => {
    events.close()
    sockets.close()
    timers.close()
  }
  return { events, view, logged, sockets, add, close }
}

function memberOf(id: string, { endpoint, replay }: KvPublisher): Member {
  return {
    ref: { id, url: `http://${id}`, engine: 'vllm' },
    role: 'mixed',
    weight: 1,
    models: ['m'],
    draining: false,
    maxInFlight: null,
    kvCapacityTokens: null,
    kvEvents: [{ rank: 0, endpoint, isBound: false, replay, topic: '' }],
  }
}

function workerRig(
  { events, view }: Pick<KvRig, 'events' | 'view'>,
  { seat, engine, publisher }: Pick<KvWorkerRig, 'seat' | 'engine' | 'publisher'>,
): KvWorkerRig {
  const caughtUp = () => until(() => (seat.kvEvents?.batches ?? 0) >= publisher.next, 'all events')
  const call: KvWorkerRig['call'] = async (prompt, { session, more } = {}) => {
    const id = `d-${(called += 1)}`
    const name = session === null ? {} : { session_id: session ?? id }
    const body = JSON.stringify({ model: 'm', prompt, max_tokens: 1, ...name, ...more })
    const key = readPrompt(scanTop(new TextEncoder().encode(body)), 'm')
    const path = hashBlocks(key)
    view.look(path)
    const predicted = view.matchOf(seat.id) / TOKEN
    const ask = { id, prefix: path, promptBytes: key.length, ...(session && { kvSession: session }) } as Ask
    const lease = { ask, seat, tokens: Math.ceil(key.length / TOKEN) } as Lease
    view.hold(seat.id, path, 0)
    events.opened(lease)
    const headers = { 'content-type': 'application/json' }
    const request = new Request('http://engine/v1/completions', { method: 'POST', headers, body })
    const { usage } = (await (await engine.fetch(request)).json()) as { usage: Record<string, never> }
    const { prompt_tokens: promptTokens, completion_tokens: completionTokens } = usage
    const { cached_tokens: cachedTokens = 0 } = (usage['prompt_tokens_details'] ?? {}) as {
      cached_tokens?: number
    }
    await caughtUp()
    const counted = { promptTokens, cachedTokens, completionTokens, estimated: false } as never
    events.ended(lease, { kind: 'done', status: 200, usage: counted })
    return { predicted, cached: cachedTokens }
  }
  return { seat, engine, publisher, call, caughtUp }
}

let called = 0
