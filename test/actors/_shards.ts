// Pools that tell each other what they have, by hand or over a clock.
import type { Digest, Neighbour } from '../../src/actors/exchange.ts'
import { Pool } from '../../src/actors/pool.ts'
import type { ActorState } from '../../src/actors/actor.ts'
import type { Member } from '../../src/actors/members.ts'
import { memoryStorage } from '../../src/actors/local.ts'
import { shardName } from '../../src/actors/shards.ts'
import { configSchema, type ConfigInput } from '../../src/config/schema.ts'
import { UpstreamFailure, type Outgoing, type WorkerRef } from '../../src/host.ts'
import { createClock } from '../_clock.ts'

export interface Telling {
  readonly from: string
  readonly at: number
  readonly digest: Digest
}

/** `count` pools with the same members. `lost`: digests of these do not arrive. */
export async function pools(
  config: ConfigInput,
  members: readonly Member[],
  { count = 2, sharesPrompts = false }: { count?: number; sharesPrompts?: boolean } = {},
) {
  const clock = createClock()
  const told: Telling[] = []
  const probed: [string, string][] = []
  const dead = new Set<string>()
  const lost = new Set<string>()
  const all: Pool[] = []
  const parsed = configSchema.parse({ policy: 'least_load', healthInterval: 'off', ...config })
  const membership = { version: 1, members }
  for (let index = 0; index < count; index++) {
    const name = shardName(index)
    const others = Array.from({ length: count }, (_, other) => other).filter((other) => other !== index)
    const neighbours: Neighbour[] = others.map((other) => ({
      sharesPrompts,
      hear: (digest) => {
        told.push({ from: name, at: clock.now(), digest })
        if (!lost.has(name)) all[other]?.hear(structuredClone(digest))
      },
    }))
    const state = {
      name,
      neighbours,
      storage: memoryStorage(),
      now: clock.now,
      random: () => 0,
      log: () => {},
      timer: clock.timer,
      after: (work: Promise<unknown>) => void work,
      fetch: async (worker: WorkerRef, { path }: Outgoing) => {
        if (path === '/health') probed.push([name, worker.id])
        if (dead.has(worker.id)) throw new UpstreamFailure('connect', 'refused')
        return { status: 200, headers: [], bytes: async () => new Uint8Array(0) }
      },
      registry: () => ({ members: (since: number) => (since === 1 ? null : membership), refresh() {} }),
      pool: () => {
        throw new Error('not needed')
      },
      setAlarm: (() => {
        let cancel = () => {}
        return (at: number) => {
          cancel()
          cancel = clock.timer(Math.max(0, at - clock.now()), () => void all[index]?.alarm())
        }
      })(),
    } as unknown as ActorState
    all.push(new Pool(parsed, state))
  }
  for (const pool of all) void pool.hint(1)
  await clock.advance(0)
  return { pools: all, clock, told, probed, dead, lost }
}
