// Which pool decides a request, and how the others come to know: one router, several with or without a leader, or shards.
import type { Ask, Outcome, Pick, Renewal } from '../actors/ask.ts'
import type { Pool } from '../actors/pool.ts'
import { hashText } from '../hash.ts'
import type { Arrival } from './arrivals.ts'
import type { ReplayOptions } from './options.ts'
import { memberOf, SimulatedRouter, type RouterParts } from './router.ts'

/** From a router to the one that decides for it, ms. */
const HOP = 2
/** Routers without a leader tell each other that often, ms. */
const EXCHANGE = 10

export class Routing {
  readonly #options: ReplayOptions
  readonly #parts: RouterParts
  readonly #routers: readonly SimulatedRouter[]
  /** What each router has to tell the others at the next exchange. */
  readonly #news: ((pool: Pool) => void)[][]
  #isExchanging = false

  constructor(options: ReplayOptions, parts: RouterParts) {
    const { routers, sync, shards } = options
    this.#options = options
    this.#parts = parts
    const count = shards > 1 ? shards : sync === 'leader' ? 1 : routers
    this.#routers = Array.from({ length: count }, () => new SimulatedRouter(parts))
    this.#news = this.#routers.map(() => [])
  }

  /** The first `count` workers are there. Shards have every n-th of them. */
  async join(count: number): Promise<void> {
    const { shards, capacity } = this.#options
    const members = Array.from({ length: count }, (_, number) => memberOf(number, capacity))
    for (const [shard, router] of this.#routers.entries())
      await router.join(shards > 1 ? members.filter((_, number) => number % shards === shard) : members)
  }

  /** Has a request decided: `decided` is called in the moment in which its router knows. */
  ask(arrival: Arrival, ask: Ask, decided: (pick: Pick | Promise<Pick>) => void): void {
    this.#travel(arrival, 2, (pool) => {
      const pick = pool.pick(ask)
      if (!(pick instanceof Promise)) this.#spread(arrival, ask, pick)
      else void pick.then((late) => this.#spread(arrival, ask, late))
      decided(pick)
    })
  }

  first(arrival: Arrival, id: string, after: number): void {
    this.#tell(arrival, (pool) => pool.note([{ id, kind: 'first', after }]))
  }

  settle(arrival: Arrival, id: string, outcome: Outcome): void {
    this.#tell(arrival, (pool) => pool.settle(id, outcome))
  }

  renew(arrival: Arrival, renewal: Renewal): void {
    this.#tell(arrival, (pool) => void pool.renew([renewal]))
  }

  #tell(arrival: Arrival, take: (pool: Pool) => void): void {
    this.#travel(arrival, 1, take)
    this.#later(arrival, take)
  }

  #spread(arrival: Arrival, ask: Ask, pick: Pick): void {
    if ('plan' in pick) this.#later(arrival, (pool) => pool.follow([{ ask, worker: pick.plan.worker.id }]))
  }

  #travel(arrival: Arrival, ways: number, act: (pool: Pool) => void): void {
    const { pool } = this.#routers[this.#decider(arrival)] as SimulatedRouter
    const { routers, sync, shards } = this.#options
    const isNear = shards > 1 || sync !== 'leader' || arrival.index % routers === 0
    if (isNear) act(pool)
    else this.#parts.clock.timer(HOP * ways, () => act(pool))
  }

  /** The others hear of it at the next exchange. */
  #later(arrival: Arrival, tell: (pool: Pool) => void): void {
    if (this.#options.sync !== '10ms' || this.#routers.length < 2 || this.#options.shards > 1) return
    this.#news[this.#decider(arrival)]?.push(tell)
    if (this.#isExchanging) return
    this.#isExchanging = true
    this.#parts.clock.timer(EXCHANGE, () => this.#exchange())
  }

  #exchange(): void {
    this.#isExchanging = false
    for (const [from, news] of this.#news.entries()) {
      const others = this.#routers.filter((_, to) => to !== from)
      for (const tell of news.splice(0)) for (const { pool } of others) tell(pool)
    }
  }

  /** A shard has its sessions; routers get requests in turn. */
  #decider({ index, session }: Arrival): number {
    const { shards } = this.#options
    return shards > 1 ? hashText(session) % shards : index % this.#routers.length
  }
}
