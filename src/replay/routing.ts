// Which pool decides a request, and how the others come to know: one router, several with or without a leader, or shards.
import type { Ask, Outcome, Pick, Renewal } from '../actors/ask.ts'
import type { Neighbour } from '../actors/exchange.ts'
import type { Pool } from '../actors/pool.ts'
import { shardName, shardOf } from '../actors/shards.ts'
import type { Arrival } from './arrivals.ts'
import type { ReplayOptions } from './options.ts'
import { memberOf, SimulatedRouter, type RouterParts } from './router.ts'

/** From a router or a pool to another one, ms. */
const HOP = 2

export class Routing {
  readonly #options: ReplayOptions
  readonly #clock: RouterParts['clock']
  readonly #routers: readonly SimulatedRouter[]

  constructor(options: ReplayOptions, parts: Omit<RouterParts, 'name' | 'neighbours'>) {
    const { routers, sync, shards } = options
    this.#options = options
    this.#clock = parts.clock
    const count = shards > 1 ? shards : sync === 'leader' ? 1 : routers
    const config = { ...parts.config, poolShards: shards }
    this.#routers = Array.from({ length: count }, (_, number) => {
      const neighbours = this.#beside(number, count)
      return new SimulatedRouter({ ...parts, config, name: shardName(number), neighbours })
    })
  }

  /** The first `count` workers are there. */
  async join(count: number): Promise<void> {
    const members = Array.from({ length: count }, (_, number) => memberOf(number, this.#options.capacity))
    for (const router of this.#routers) await router.join(members)
  }

  /** Has a request decided: `decided` is called in the moment in which its router knows. */
  ask(arrival: Arrival, ask: Ask, decided: (pick: Pick | Promise<Pick>) => void): void {
    this.#travel(arrival, 2, (pool) => decided(pool.pick(ask)))
  }

  first(arrival: Arrival, id: string, after: number): void {
    this.#travel(arrival, 1, (pool) => pool.note([{ id, kind: 'first', after }]))
  }

  settle(arrival: Arrival, id: string, outcome: Outcome): void {
    this.#travel(arrival, 1, (pool) => pool.settle(id, outcome))
  }

  renew(arrival: Arrival, renewal: Renewal): void {
    this.#travel(arrival, 1, (pool) => void pool.renew([renewal]))
  }

  /** The others, a hop away. Routers get turns of the same conversations. */
  #beside(number: number, count: number): Neighbour[] {
    const { shards, sync } = this.#options
    if (shards === 1 && sync !== '10ms') return []
    const others = Array.from({ length: count }, (_, other) => other).filter((other) => other !== number)
    return others.map((other) => ({
      hear: (digest) => void this.#clock.timer(HOP, () => this.#routers[other]?.pool.hear(digest)),
      sharesPrompts: shards === 1,
    }))
  }

  #travel(arrival: Arrival, ways: number, act: (pool: Pool) => void): void {
    const { pool } = this.#routers[this.#decider(arrival)] as SimulatedRouter
    const { routers, sync, shards } = this.#options
    const isNear = shards > 1 || sync !== 'leader' || arrival.index % routers === 0
    if (isNear) act(pool)
    else this.#clock.timer(HOP * ways, () => act(pool))
  }

  /** A shard has its sessions; routers get requests in turn. */
  #decider({ index, session }: Arrival): number {
    const { shards } = this.#options
    if (shards < 2) return index % this.#routers.length
    return shardOf({ id: '', session, prefix: null }, shards)
  }
}
