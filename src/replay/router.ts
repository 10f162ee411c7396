// A router in simulated time: the very Pool that serves live traffic, with a clock and a membership of ours.
import type { ActorState } from '../actors/actor.ts'
import type { Neighbour } from '../actors/exchange.ts'
import type { Member, Membership } from '../actors/members.ts'
import { Pool } from '../actors/pool.ts'
import type { Config } from '../config/schema.ts'
import type { Policy } from '../policies/policy.ts'
import type { SimulatedClock } from './clock.ts'
import { BLOCK_TOKENS } from './engine.ts'

/** The model that all simulated workers serve. */
export const MODEL = 'replayed'

export interface RouterParts {
  readonly config: Config
  readonly clock: SimulatedClock
  /** 0 ≤ x < 1. */
  readonly random: () => number
  /** In place of the configured one; null: that one. */
  readonly policy: Policy | null
  /** What others call its pool. */
  readonly name: string
  /** The pools that it tells what it has. */
  readonly neighbours: readonly Neighbour[]
}

export class SimulatedRouter {
  readonly pool: Pool
  #membership: Membership = { version: 0, members: [] }

  constructor(parts: RouterParts) {
    this.pool = new Pool(parts.config, this.#state(parts), parts.policy ?? undefined)
  }

  /** These are its workers from now on. Resolves when the pool knows. */
  async join(members: readonly Member[]): Promise<void> {
    const version = this.#membership.version + 1
    this.#membership = { version, members }
    await this.pool.hint(version)
  }

  #state({ clock, random, name, neighbours }: RouterParts): ActorState {
    let disarm = () => {}
    const registry = {
      members: (since: number) => (since === this.#membership.version ? null : this.#membership),
    }
    const nobody = () => {
      throw new Error('a replay has no such actor')
    }
    return {
      name,
      neighbours,
      storage: { get: async () => undefined, put: async () => {}, delete: async () => {} },
      now: () => clock.now,
      random,
      log() {},
      timer: (ms, run) => clock.timer(ms, run),
      after: (work) => void work.catch(() => undefined), // nothing in a replay waits for side work
      fetch: () => Promise.reject(new Error('a replay has no network')),
      registry: () => registry as unknown as ReturnType<ActorState['registry']>,
      pool: nobody,
      setAlarm: (at) => {
        disarm()
        disarm = clock.timer(at - clock.now, () => void this.pool.alarm())
      },
    }
  }
}

/** A simulated worker as the registry would tell of it; `capacity` in blocks. */
export function memberOf(number: number, capacity: number): Member {
  const id = workerId(number)
  return {
    ref: { id, url: `http://${id}`, engine: 'vllm' },
    role: 'mixed',
    weight: 1,
    models: [MODEL],
    draining: false,
    maxInFlight: null,
    kvCapacityTokens: capacity * BLOCK_TOKENS,
  }
}

export const workerId = (number: number): string => `w${number}`

/** The number in a worker's id. */
export const workerNumber = (id: string): number => Number(id.slice(1))
