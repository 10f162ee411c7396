// The in-process home of actors: plain objects in this process, called directly. `strict` clones every argument and answer,
// as the homes in other isolates do, so that a test finds what would not travel.
import type { Config } from '../config/schema.ts'
import type { Host } from '../host.ts'
import type { ActorRef, ActorState, Remote, Storage } from './actor.ts'
import { Batches } from './batches.ts'
import { Limiter } from './limiter.ts'
import { Pool } from './pool.ts'
import { Registry } from './registry.ts'
import { led } from '../sharing/leader.ts'
import { peersOf } from '../sharing/peers.ts'
import { sharded } from './sharded.ts'

type Actors = Pick<Host, 'registry' | 'pool' | 'limiter' | 'batches'>
export type Seams = Omit<Host, keyof Actors>

interface Alarmed {
  alarm?(): Promise<void>
}

/** Gives the actor references of a host; that of batches where there is something to keep them in. `storage` is asked once per actor name. */
export function localActors(config: Config, seams: Seams, storage: (name: string) => Storage): Actors {
  const registry = home((state) => new Registry(config, state))
  const pools = home((state) => new Pool(config, state))
  const actors: Actors = {
    registry,
    pool: led(sharded(pools, config.poolShards), config, { ...seams, registry }),
    limiter: home((state) => new Limiter(config, state)),
    ...(seams.tables && { batches: home((state) => new Batches(config, state)) }),
  }

  function home<T extends object>(make: (state: ActorState) => T): ActorRef<T> {
    const living = new Map<string, T>()
    // Nearly all ask for the only one of its kind.
    let [lastName, last]: [string, T | undefined] = ['', undefined]
    return (name) => {
      let actor = name === lastName ? last : living.get(name)
      if (!actor) {
        const state = stateOf(name, () => (living.get(name) as Alarmed).alarm?.())
        living.set(name, (actor = make(state)))
      }
      lastName = name
      last = actor
      return actor as unknown as Remote<T>
    }
  }

  function stateOf(name: string, ring: () => Promise<void> | undefined): ActorState {
    const { now, random, log, fetch, timer, after, sockets, outside, parts, tables } = seams
    let cancel = () => {}
    const setAlarm = (at: number) => {
      cancel()
      cancel = timer(Math.max(0, at - now()), () => {
        const work = ring()
        if (work) after(work)
      })
    }
    const { registry, pool } = {
      registry: (id: string) => actors.registry(id),
      pool: (id: string) => actors.pool(id),
    }
    const own = {
      name,
      storage: storage(name),
      setAlarm,
      registry,
      pool,
      peers: (named: Config) => peersOf(named, seams),
      ...(sockets && { sockets }),
      ...(outside && { outside }),
      ...(tables && { tables }),
      ...(parts && { parts }),
    }
    return { ...own, now, random, log, fetch, timer, after }
  }

  return actors
}

/** The same actors behind a wall that lets only structured-cloneable values through, always asynchronously. */
export function strict(actors: Actors): Actors {
  const wall =
    <T>(ref: ActorRef<T>): ActorRef<T> =>
    (name) => {
      const target = ref(name) as Record<string, (...args: unknown[]) => unknown>
      const call =
        (method: string) =>
        async (...args: unknown[]) =>
          structuredClone(
            await (target[method] as (...args: unknown[]) => unknown).apply(target, structuredClone(args)),
          )
      return new Proxy(
        {},
        { get: (_, method) => (method === 'then' ? undefined : call(method as string)) },
      ) as Remote<T>
    }
  return { registry: wall(actors.registry), pool: wall(actors.pool), limiter: wall(actors.limiter) }
}

/** Storage that forgets with the process. */
export function memoryStorage(): Storage {
  const values = new Map<string, unknown>()
  return {
    get: async (key) => structuredClone(values.get(key)),
    put: async (key, value) => void values.set(key, structuredClone(value)),
    delete: async (key) => void values.delete(key),
  }
}
