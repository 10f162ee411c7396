// Which pool decides a request, and how long the way to it is: one router, several with or without a leader, or shards.
import type { Pool } from '../actors/pool.ts'
import { hashText } from '../hash.ts'
import type { Arrival } from './arrivals.ts'
import type { ReplayOptions } from './options.ts'
import { memberOf, SimulatedRouter, type RouterParts } from './router.ts'

/** From a router to the one that decides for it, ms. */
const HOP = 2

export class Routing {
  readonly #options: ReplayOptions
  readonly #parts: RouterParts
  readonly #routers: readonly SimulatedRouter[]

  constructor(options: ReplayOptions, parts: RouterParts) {
    const { routers, sync, shards } = options
    this.#options = options
    this.#parts = parts
    const count = shards > 1 ? shards : sync === 'leader' ? 1 : routers
    this.#routers = Array.from({ length: count }, () => new SimulatedRouter(parts))
  }

  get pools(): readonly Pool[] {
    return this.#routers.map((router) => router.pool)
  }

  /** The first `count` workers are there. Shards have every n-th of them. */
  async join(count: number): Promise<void> {
    const { shards, capacity } = this.#options
    const members = Array.from({ length: count }, (_, number) => memberOf(number, capacity))
    for (const [shard, router] of this.#routers.entries())
      await router.join(shards > 1 ? members.filter((_, number) => number % shards === shard) : members)
  }

  /** Has a request decided: there, and back again. */
  ask(arrival: Arrival, decide: (pool: Pool) => void): void {
    this.#travel(arrival, 2, decide)
  }

  /** Tells the pool that decided something of a request: there. */
  tell(arrival: Arrival, take: (pool: Pool) => void): void {
    this.#travel(arrival, 1, take)
  }

  #travel(arrival: Arrival, ways: number, act: (pool: Pool) => void): void {
    const { pool } = this.#routers[this.#decider(arrival)] as SimulatedRouter
    const { routers, sync, shards } = this.#options
    const isNear = shards > 1 || sync !== 'leader' || arrival.index % routers === 0
    if (isNear) act(pool)
    else this.#parts.clock.timer(HOP * ways, () => act(pool))
  }

  /** A shard has its sessions; routers get requests in turn. */
  #decider({ index, session }: Arrival): number {
    const { shards } = this.#options
    return shards > 1 ? hashText(session) % shards : index % this.#routers.length
  }
}
