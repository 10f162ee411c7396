// The serving threads of a router, seen from the thread where its actors live: starts them, replaces those that die, and
// speaks to all of them at once.
import { existsSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import type { App } from '../../../src/app.ts'
import type { Config } from '../../../src/config/schema.ts'
import type { LogEvent } from '../../../src/host.ts'
import { merge } from '../../../src/metrics/merge.ts'
import type { Reading } from '../../../src/metrics/reading.ts'
import type { Tunnels } from '../../web/tunnels.ts'
import { openDoor, type Actors } from './home.ts'
import { Line, type Target } from './line.ts'
import { clearCell } from './tally.ts'
import type { Orders, Start } from './thread.ts'
import { openTunnels } from './tunnel-door.ts'

export interface CrewOptions {
  /** All that a thread is started with but its own number. */
  readonly start: Omit<Start, 'cell'>
  readonly actors: Actors
  /** Where dialled-in workers are. */
  readonly tunnels: Pick<Tunnels, 'home'>
  /** The app in this thread: counts on for threads that are gone. */
  readonly app: App
  readonly log: (event: LogEvent) => void
  /** Takes the lines of the threads' recordings. */
  readonly record?: ((line: string) => void) | undefined
}

interface Thread {
  readonly cell: number
  readonly worker: Worker
  readonly line: Line
  /** What it held is free. */
  readonly close: () => void
  readonly startedAt: number
  isListening: boolean
  /** What it told last of its metrics. */
  last: Reading | null
}

/** A thread that died is replaced after 0.1 s, 0.2 s, … when that happens again and again. */
const FIRST_PAUSE = 100
const MAX_PAUSE = 5000
/** A thread that lived so long had no fault from birth, ms. */
const GOOD_LIFE = 10_000
/** A thread that is too busy to answer in that time is gone on without, ms. */
const PATIENCE = 1000

export class Crew {
  readonly #options: CrewOptions
  readonly #threads = new Map<number, Thread>()
  /** Deaths in a row, by cell. */
  readonly #deaths = new Map<number, number>()
  #config: Config
  #port = 0
  #isEnding = false

  constructor(options: CrewOptions) {
    this.#options = options
    this.#config = options.start.config
  }

  /** Starts the threads; they listen when it resolves, at the URL that it returns. Rejects when one can't. */
  async start(port: number): Promise<string> {
    const threads = Array.from({ length: this.#config.threads }, (_, cell) => this.#spawn(cell))
    const [first, ...others] = threads as [Thread, ...Thread[]]
    const at = await this.#listen(first, port)
    this.#port = at.port
    await Promise.all(others.map((thread) => this.#listen(thread, at.port)))
    return at.url
  }

  /** Threads that listen now. */
  get size(): number {
    return [...this.#threads.values()].filter(({ isListening }) => isListening).length
  }

  adopt(config: Config): void {
    this.#config = config
    this.#tellAll('adopt', config)
  }

  /** No thread that dies from now on is replaced. */
  drain(): void {
    this.#isEnding = true
    this.#tellAll('drain')
  }

  /** Each ends the calls that it has under way. */
  cut(): void {
    this.#tellAll('cut')
  }

  /** Calls that have not ended yet, in all threads but that one. */
  async inFlight(but?: Thread): Promise<number> {
    const counts = this.#others(but).map((thread) => {
      // One that died has none any more; one that hangs has something that makes it hang.
      return orElse(
        this.#ask(thread, 'inFlight').catch(() => 0),
        1,
      )
    })
    return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0)
  }

  /** The metrics of all threads together; `own`: of the one that asks. */
  async metrics(own: Reading, but?: Thread): Promise<Reading> {
    if (but) but.last = own
    const view = await this.#options.actors.pool('main').view()
    const readings = this.#others(but).map(async (thread) => {
      thread.last = (await orElse(this.#ask(thread, 'read', view), null)) ?? thread.last
      // Of one that died meanwhile it counts in this thread already.
      return this.#threads.get(thread.cell) === thread ? (thread.last ?? []) : []
    })
    const all = await Promise.all(readings)
    return merge(own, but ? [this.#options.app.read(view), ...all] : all)
  }

  /** Ends all threads, what is left in them after that time. */
  async close(ms: number): Promise<void> {
    this.#isEnding = true
    await Promise.all(
      [...this.#threads.values()].map(async (thread) => {
        await orElse(this.#ask(thread, 'close', ms), undefined, ms + PATIENCE)
        await thread.worker.terminate()
      }),
    )
  }

  /** Ends one thread at once, as a crash would. */
  async kill(cell: number): Promise<void> {
    await this.#threads.get(cell)?.worker.terminate()
  }

  #spawn(cell: number): Thread {
    const { log, actors, tunnels, start } = this.#options
    const workerData: Start = { ...start, config: this.#config, cell }
    const worker = new Worker(program(), { workerData, name: `serving-${cell + 1}` })
    const door = openDoor(actors)
    const tunnelDoor = openTunnels(
      () => tunnels.home(),
      () => line,
    )
    const own: Record<string, Target> = {}
    const line: Line = new Line(worker, {
      target: (kind, name) => own[kind] ?? door.find(kind, name),
      onError: (error) => log({ level: 'error', message: 'A call from a serving thread failed', error }),
    })
    const startedAt = performance.now()
    const close = () => {
      door.close()
      tunnelDoor.close()
    }
    const thread: Thread = { cell, worker, line, close, startedAt, isListening: false, last: null }
    own['tunnel'] = tunnelDoor.target
    own['crew'] = {
      live: async () => (await this.inFlight(thread)) + this.#options.app.inFlight(),
      metrics: (reading: Reading) => this.metrics(reading, thread),
      record: (text: string) => this.#options.record?.(text),
    }
    let cause: Error | undefined
    worker.on('error', (error: Error) => (cause = error))
    worker.on('exit', (code) => this.#onExit(thread, code, cause))
    this.#threads.set(cell, thread)
    return thread
  }

  /** First of all: what it held is free, so that nobody waits for a thread that is gone. */
  #onExit(thread: Thread, code: number, cause: Error | undefined): void {
    const { app, log, start } = this.#options
    thread.close()
    clearCell(start.cells, thread.cell)
    const why = cause?.message ?? `exit status ${code}`
    thread.line.end(new Error(`a serving thread ended: ${why}`))
    this.#threads.delete(thread.cell)
    if (thread.last) app.inherit(thread.last)
    // Before the first one listens, `start` tells of it.
    if (this.#isEnding || this.#port === 0) return
    const pause = this.#pauseAfter(thread)
    log({
      level: 'error',
      message: 'a serving thread died; another one takes its place',
      why,
      pause_ms: pause,
    })
    setTimeout(() => this.#replace(thread.cell), pause)
  }

  #pauseAfter({ cell, startedAt }: Thread): number {
    const before = performance.now() - startedAt > GOOD_LIFE ? 0 : (this.#deaths.get(cell) ?? 0)
    this.#deaths.set(cell, before + 1)
    return Math.min(MAX_PAUSE, FIRST_PAUSE * 2 ** Math.min(before, 8))
  }

  #replace(cell: number): void {
    if (this.#isEnding) return
    const thread = this.#spawn(cell)
    this.#listen(thread, this.#port).catch((error: unknown) => {
      this.#options.log({ level: 'error', message: 'a serving thread cannot listen', error })
      void thread.worker.terminate()
    })
  }

  async #listen(thread: Thread, port: number): Promise<{ url: string; port: number }> {
    const at = await this.#ask(thread, 'listen', port)
    thread.isListening = true
    return at
  }

  #others(but?: Thread): Thread[] {
    return [...this.#threads.values()].filter((thread) => thread !== but)
  }

  #tellAll<K extends keyof Orders>(order: K, ...args: Parameters<Orders[K]>): void {
    for (const { line } of this.#threads.values()) line.cast('thread', '', order, args)
  }

  #ask<K extends keyof Orders>(
    { line }: Thread,
    order: K,
    ...args: Parameters<Orders[K]>
  ): Promise<Awaited<ReturnType<Orders[K]>>> {
    return line.call('thread', '', order, args) as Promise<Awaited<ReturnType<Orders[K]>>>
  }
}

/** What an answer is taken for that does not come in time, or never will. */
async function orElse<T, U>(answer: Promise<T>, other: U, ms = PATIENCE): Promise<T | U> {
  const late = new AbortController()
  const { signal } = late
  const tooLate = sleep(ms, other, { signal }).catch(() => other)
  return Promise.race([answer.catch(() => other), tooLate]).finally(() => late.abort())
}

/** In the published package the programs of thread and process lie side by side, and this file is a part of the latter. */
function program(): URL {
  const here = new URL('./thread.ts', import.meta.url)
  return existsSync(here) ? here : new URL('../thread.js', import.meta.url)
}
