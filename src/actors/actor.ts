// What an actor is given, and how it is called. A home (local, durable, threads) provides both.
import type { Config } from '../config/schema.ts'
import type { Host } from '../host.ts'
import type { Neighbour } from './exchange.ts'
import type { Changed, Shared } from './shared-workers.ts'

/** Methods of an actor as its callers see them: plain values in, a promise (or, at home, the value itself) out. */
export type Remote<T> = {
  [K in keyof T as T[K] extends (...args: never[]) => unknown ? K : never]: T[K] extends (
    ...args: infer A
  ) => infer R
    ? (...args: A) => Awaited<R> | Promise<Awaited<R>>
    : never
}

/** Finds an actor by its name, e.g. `host.pool('main')`. */
export type ActorRef<T> = (name: string) => Remote<T>

/** Small durable state; `put` is atomic for one key. Values are structured-cloneable. */
export interface Storage {
  get(key: string): Promise<unknown>
  put(key: string, value: unknown): Promise<void>
  delete(key: string): Promise<void>
  /** Workers are stored with the models that were found out of them. */
  readonly keepsModels?: boolean
  /** Only a store that several routers share: follows what others write to it. */
  share?(state: ActorState, changed: Changed): Shared
}

/** What a home gives to an actor besides its configuration. */
export interface ActorState extends Pick<
  Host,
  | 'now'
  | 'random'
  | 'log'
  | 'fetch'
  | 'timer'
  | 'after'
  | 'sockets'
  | 'outside'
  | 'parts'
  | 'tables'
  | 'registry'
  | 'pool'
> {
  readonly name: string
  readonly storage: Storage
  /** The pools that a pool tells what it has; absent: the other shards of its own. */
  readonly neighbours?: readonly Neighbour[]
  /** The pools of the routers that a configuration names as peers; absent: this home can't reach them. */
  peers?(config: Config): readonly Neighbour[]
  /** Dialled-in workers stay when this actor goes: their sockets are elsewhere. */
  readonly keepsTunnels?: boolean
  /** Incarnations end at any time: what it knows is stored from its alarm, so that the next one is not cold. */
  readonly keepsIndex?: boolean
  /** Asks the home to call `alarm()` at that time; a later call replaces an earlier one. */
  setAlarm(at: number): void
}
