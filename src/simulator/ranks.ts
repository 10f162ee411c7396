// The data-parallel ranks of a simulated engine: each has a KV cache and a batch of its own, behind one address.
import type { EngineClock } from './clock.ts'
import type { Exchange } from './exchange.ts'
import { isFields } from './fields.ts'
import { KvCache } from './kv-cache.ts'
import { EngineRefusal } from './refusal.ts'
import { Scheduler, type SchedulerOptions } from './scheduler.ts'
import { emptyTotals, type Job, type Sequence, type Totals } from './sequence.ts'

/** All ranks, which are one engine to its endpoints. */
export class Ranks {
  readonly all: readonly Scheduler[]
  readonly #isSglang: boolean
  /** Whose turn it is where ranks take turns. */
  #turn = 0

  /** `blocks`: of each rank. */
  constructor(
    count: number,
    pace: SchedulerOptions,
    { blocks, clock, isSglang }: { blocks: number; clock: EngineClock; isSglang: boolean },
  ) {
    this.all = Array.from({ length: count }, () => new Scheduler(pace, new KvCache(blocks), clock))
    this.#isSglang = isSglang
  }

  get running(): number {
    return this.#sum(({ running }) => running)
  }

  get waiting(): number {
    return this.#sum(({ waiting }) => waiting)
  }

  get totals(): Totals {
    const totals = emptyTotals()
    for (const { totals: own } of this.all)
      for (const key of Object.keys(own) as (keyof Totals)[]) totals[key] += own[key]
    return totals
  }

  /** Share of all KV blocks that is held. */
  get usage(): number {
    return this.#sum(({ cache }) => cache.held) / this.#sum(({ cache }) => cache.capacity)
  }

  /** `rank`: null lets the engine choose: vLLM the one with the least to do, SGLang one after the other. */
  submit(job: Job, rank: number | null): Sequence {
    return (this.all[rank ?? this.#choose()] as Scheduler).submit(job)
  }

  abort(sequence: Sequence): void {
    for (const one of this.all) one.abort(sequence)
  }

  wake(): void {
    for (const one of this.all) one.wake()
  }

  pause(paused: boolean): void {
    for (const one of this.all) one.pause(paused)
  }

  /** Forgets every block that nobody holds. */
  clear(): void {
    for (const { cache } of this.all) cache.clear()
  }

  #choose(): number {
    if (this.#isSglang) return this.#turn++ % this.all.length
    const loads = this.all.map(({ running, waiting }) => 4 * waiting + running)
    return loads.indexOf(Math.min(...loads))
  }

  #sum(count: (rank: Scheduler) => number): number {
    return this.all.reduce((sum, rank) => sum + count(rank), 0)
  }
}

const HEADER = 'x-data-parallel-rank'

/** The rank that a call asks for; null: any. Refuses one that the engine does not have. */
export function askedRank(exchange: Exchange): number | null {
  const { sim, headers } = exchange
  const { engine } = sim.options
  if (engine === 'lmdeploy') return null
  const inHeader = headers.get(HEADER)
  const [name, asked] =
    engine === 'vllm' || inHeader !== null
      ? ['data_parallel_rank', inHeader === null ? null : Number(inHeader)]
      : bodyRank(exchange)
  if (asked === null) return null
  const isWhole = Number.isInteger(asked)
  // vLLM passes over what is no number.
  if (!isWhole && engine === 'vllm') return null
  const count = sim.scheduler.all.length
  if (isWhole && asked >= 0 && asked < count) return asked
  throw new EngineRefusal('bad_request', `${name} ${asked} is out of range [0, ${count}).`)
}

/** SGLang's field, by its name of today or that of before. */
function bodyRank({ bytes }: Exchange): [string, number | null] {
  const text = new TextDecoder().decode(bytes)
  if (!/_dp_rank|data_parallel_rank/.test(text)) return ['', null]
  try {
    const body: unknown = JSON.parse(text)
    const fields = isFields(body) ? body : {}
    for (const name of ['routed_dp_rank', 'data_parallel_rank'])
      if (typeof fields[name] === 'number') return [name, fields[name]]
  } catch {
    // No JSON: the endpoint says so.
  }
  return ['', null]
}
