// One run of a trace through routers and engines in simulated time.
import type { Ask, Outcome, Pick } from '../actors/ask.ts'
import type { Config } from '../config/schema.ts'
import type { Policy } from '../policies/policy.ts'
import { seeded } from '../simulator/clock.ts'
import type { Arrival } from './arrivals.ts'
import { SimulatedClock } from './clock.ts'
import { Engine, REFERENCE_TIMES, timesOf, type EngineEvent } from './engine.ts'
import type { Run } from './figures.ts'
import type { Truth } from './oracle.ts'
import type { ReplayOptions } from './options.ts'
import { promptOf } from './prompt-path.ts'
import { MODEL, workerId, workerNumber } from './router.ts'
import { Routing } from './routing.ts'

/** Routers tell their pools that often which streams still live, ms. */
const RENEWAL = 60_000
/** Requests that wait in a pool while no engine has had anything to do for so long will wait for ever, ms. */
const PATIENCE = 86_400_000
/** Microtasks between the end of a wait in a pool and its answer. */
const TURNS = 4

/** Makes the policy of a run; null: the configured one. */
export type MakePolicy = (truth: Truth<Arrival>) => Policy | null

export class Simulation {
  readonly #arrivals: readonly Arrival[]
  readonly #options: ReplayOptions
  readonly #clock = new SimulatedClock()
  readonly #engines: Engine<Arrival>[]
  readonly #activeBlocks: number[]
  readonly #routing: Routing
  readonly #run: Run
  readonly #live = new Map<number, Arrival>()
  /** When each request was sent to its engine, s. */
  readonly #sentAt: Float64Array
  /** Asks that wait in a pool. */
  #waiting = 0
  #ended = 0

  constructor(
    arrivals: readonly Arrival[],
    options: ReplayOptions,
    { config, make }: { config: Config; make: MakePolicy },
  ) {
    const { workers, capacity, hetero, seed, longPrefill } = options
    const times = { ...REFERENCE_TIMES, longPrefill }
    this.#arrivals = arrivals
    this.#options = options
    this.#engines = Array.from(
      { length: workers },
      (_, number) =>
        new Engine<Arrival>(capacity, timesOf(number >= Math.floor(workers / 2) ? hetero : 1, times)),
    )
    this.#sentAt = new Float64Array(arrivals.length)
    this.#activeBlocks = Array.from({ length: workers }, () => 0)
    this.#routing = new Routing(options, {
      config,
      clock: this.#clock,
      random: seeded(seed + 0x1234567),
      policy: make(this.#truth()),
    })
    this.#run = {
      arrivals,
      workers,
      first: new Float64Array(arrivals.length).fill(Number.NaN),
      gap: new Float64Array(arrivals.length).fill(Number.NaN),
      cached: new Int32Array(arrivals.length),
      worker: new Int16Array(arrivals.length).fill(-1),
    }
  }

  /** Runs until the last request has ended. */
  async run(): Promise<Run> {
    const { scaleOut, workers, at } = this.#options
    await this.#routing.join(scaleOut ? workers - 1 : workers)
    this.#renewLater()
    const last = this.#arrivals.at(-1)?.arrival ?? 0
    const eventAt = last * at
    let hasHappened = false
    let next = 0
    let busyAt = 0
    while (this.#ended < this.#arrivals.length) {
      const arrival = this.#arrivals[next]?.arrival ?? Infinity
      const engine = this.#nextEngine()
      const timer = this.#clock.next / 1000
      if (engine.nextEnd <= Math.min(arrival, timer)) this.#step(engine)
      else if (timer <= arrival) this.#clock.ring()
      else {
        if (!hasHappened && arrival >= eventAt) {
          hasHappened = true
          await this.#happen()
        }
        this.#arrive(this.#arrivals[next++] as Arrival)
      }
      if (arrival < Infinity || engine.nextEnd < Infinity) busyAt = this.#clock.now
      else if (this.#clock.now > busyAt + PATIENCE) throw new Error('requests wait for ever in this replay')
      for (let turn = 0; this.#waiting > 0 && turn < TURNS; turn++) await Promise.resolve()
    }
    return this.#run
  }

  #truth(): Truth<Arrival> {
    return {
      engine: (id) => this.#engines[workerNumber(id)] as Engine<Arrival>,
      job: (askId) => this.#arrivals[indexOf(askId)] as Arrival,
      activeBlocks: (id) => this.#activeBlocks[workerNumber(id)] as number,
    }
  }

  #nextEngine(): Engine<Arrival> {
    let soonest = this.#engines[0] as Engine<Arrival>
    for (const engine of this.#engines) if (engine.nextEnd < soonest.nextEnd) soonest = engine
    return soonest
  }

  #arrive(arrival: Arrival): void {
    this.#clock.now = arrival.arrival * 1000
    const ask = askOf(arrival)
    this.#live.set(arrival.index, arrival)
    this.#routing.ask(arrival, ask, (pick) => {
      if (!(pick instanceof Promise)) return this.#sent(arrival, pick)
      this.#waiting++
      void pick.then((late) => {
        this.#waiting--
        this.#sent(arrival, late)
      })
    })
  }

  #sent(arrival: Arrival, pick: Pick): void {
    const { index, blocks } = arrival
    if ('refusal' in pick) return this.#over(arrival)
    const number = workerNumber(pick.plan.worker.id)
    this.#run.worker[index] = number
    this.#sentAt[index] = this.#clock.now / 1000
    this.#activeBlocks[number] = (this.#activeBlocks[number] as number) + blocks.length
    this.#engines[number]?.enqueue(arrival, this.#clock.now / 1000)
  }

  #step(engine: Engine<Arrival>): void {
    this.#clock.now = engine.nextEnd * 1000
    for (const event of engine.endStep()) {
      if (event.kind === 'first') this.#first(event)
      else this.#finish(event)
    }
  }

  #first({ job, at, cached }: EngineEvent<Arrival> & { kind: 'first' }): void {
    this.#run.first[job.index] = at - job.arrival
    this.#run.cached[job.index] = cached
    const after = (at - (this.#sentAt[job.index] as number)) * 1000
    this.#routing.first(job, idOf(job), after)
  }

  #finish({ job, at }: EngineEvent<Arrival>): void {
    const { index, arrival, input, output, blocks } = job
    const number = this.#run.worker[index] as number
    if (output > 1) this.#run.gap[index] = (at - arrival - (this.#run.first[index] as number)) / (output - 1)
    this.#activeBlocks[number] = (this.#activeBlocks[number] as number) - blocks.length
    const usage = {
      promptTokens: input,
      cachedTokens: this.#run.cached[index] as number,
      completionTokens: output,
      estimated: false,
    }
    const outcome: Outcome = { kind: 'done', status: 200, usage }
    this.#routing.settle(job, idOf(job), outcome)
    this.#over(job)
  }

  #over(arrival: Arrival): void {
    this.#live.delete(arrival.index)
    this.#ended++
  }

  /** A restart is not told to the routers: they find out by what the engine says of its cache. */
  async #happen(): Promise<void> {
    const { restart, scaleOut, workers } = this.#options
    if (restart !== null) this.#engines[restart]?.cache.clear()
    if (scaleOut) await this.#routing.join(workers)
  }

  #renewLater(): void {
    this.#clock.timer(RENEWAL, () => {
      for (const arrival of this.#live.values()) this.#renew(arrival)
      this.#renewLater()
    })
  }

  #renew(arrival: Arrival): void {
    const { index } = arrival
    const number = this.#run.worker[index] as number
    if (number < 0) return
    const isDecoding = !Number.isNaN(this.#run.first[index])
    const renewal = { id: idOf(arrival), worker: workerId(number), tokens: arrival.input, isDecoding }
    this.#routing.renew(arrival, renewal)
  }
}

const idOf = ({ index }: Arrival): string => `r${index}`
const indexOf = (askId: string): number => Number(askId.slice(1))

function askOf(arrival: Arrival): Ask {
  const { path, bytes } = promptOf(arrival)
  return {
    id: idOf(arrival),
    model: MODEL,
    prefix: path,
    promptBytes: bytes,
    tokens: Math.ceil(bytes / 4),
    session: arrival.session,
    priority: 0,
    tenant: 'default',
    stream: true,
    queueUntil: Infinity,
    engines: null,
    pin: null,
    makesState: false,
  }
}
