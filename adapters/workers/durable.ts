// The home of actors on Workers: a real SQLite-backed Durable Object class made from a plain actor class.
import { DurableObject } from 'cloudflare:workers'
import type { ActorState, Storage } from '../../src/actors/actor.ts'
import { sharded } from '../../src/actors/sharded.ts'
import type { Config } from '../../src/config/schema.ts'
import { decides, written } from './decisions.ts'
import { configOf, type Env } from './env.ts'
import { actorRefs, createSeams } from './host.ts'
import { workersOutside } from './outside.ts'
import { tablesOf } from './tables.ts'
import { workersParts } from './parts.ts'
import { workersSockets } from './sockets.ts'

/** What a home calls besides the methods of callers. */
interface Living {
  alarm?(): Promise<void>
}

type Callable = Living & Record<string, (...args: unknown[]) => unknown>

type ActorClass = new (config: Config, state: ActorState) => object

/** What a new incarnation does before the first call reaches it. */
type Begin = (actor: never, env: Env) => unknown

/** Called by the home, not by callers. */
const OWN = new Set(['constructor', 'start', 'alarm'])
/** Nobody is kept waiting for a beginning longer than this, ms. */
const BEGIN_TIME = 2000
/** An alarm that failed comes again after this, ms. */
const AGAIN = 5000

/**
 * Makes a Durable Object class of an actor class: one RPC method for each of its methods, its alarm, and its state over
 * `ctx.storage`. What an actor knew by asking is gone with its last incarnation: `begin` asks again before anybody hears that
 * it knows nothing.
 */
export function durable(Actor: ActorClass, begin: Begin) {
  class Home extends DurableObject<Env> {
    readonly #actor: Callable
    readonly #state: ActorState
    #isBegun = false

    constructor(ctx: DurableObjectState, env: Env) {
      super(ctx, env)
      const config = configOf(env)
      const state = stateOf(ctx, env, config)
      // A pool that begins waits for the registry: one that begins, too, must not wait for the pool.
      const pool: ActorState['pool'] = (name) =>
        this.#isBegun ? state.pool(name) : unawaited(state.pool(name), state.after)
      this.#state = { ...state, pool }
      this.#actor = new Actor(config, this.#state) as Callable
      void ctx.blockConcurrencyWhile(() => this.#begin(env))
    }

    /** Never throws: that would end the incarnation. */
    async #begin(env: Env): Promise<void> {
      let cancel = () => {}
      const late = new Promise<void>((resolve) => (cancel = this.#state.timer(BEGIN_TIME, resolve)))
      const begun = Promise.resolve(begin(this.#actor as never, env)).catch((error: unknown) => {
        this.#state.log({ level: 'error', message: 'an actor began badly', error: String(error) })
      })
      await Promise.race([begun, late])
      cancel()
      this.#isBegun = true
    }

    /** Never throws (an alarm that does is retried six times and then no more), and does not wait: the next one must be able to ring. */
    override alarm(): void {
      const work = this.#actor.alarm?.().catch((error: unknown) => {
        this.#state.log({ level: 'error', message: 'an alarm failed', error })
        this.#state.setAlarm(this.#state.now() + AGAIN)
      })
      if (work) this.#state.after(work)
    }

    static {
      for (const name of Object.getOwnPropertyNames(Actor.prototype)) {
        if (OWN.has(name)) continue
        const value = decides(name)
          ? function (this: Home, ...args: unknown[]) {
              return written(this.#actor[name]?.(...args))
            }
          : function (this: Home, ...args: unknown[]) {
              return this.#actor[name]?.(...args)
            }
        Object.defineProperty(this.prototype, name, { value, configurable: true, writable: true })
      }
    }
  }
  return Home
}

function stateOf(ctx: DurableObjectState, env: Env, config: Config): ActorState {
  const { now, random, log, fetch, timer, after } = createSeams(config, env)
  const { registry, pool } = actorRefs(env)
  const { poolShards } = config
  return {
    name: ctx.id.name ?? 'main',
    storage: storageOf(ctx.storage),
    keepsTunnels: true,
    keepsIndex: true,
    setAlarm: alarmOf(ctx, now, after),
    now,
    random,
    log,
    fetch,
    timer,
    after,
    sockets: workersSockets,
    outside: workersOutside,
    tables: async () => tablesOf(ctx.storage),
    parts: workersParts,
    registry,
    pool: sharded(pool, poolShards),
  }
}

/** The same methods; what they answer is waited for by nobody. */
function unawaited<T extends object>(target: T, after: ActorState['after']): T {
  const call =
    (method: string) =>
    async (...args: unknown[]): Promise<void> =>
      after((target as Record<string, (...args: unknown[]) => Promise<unknown>>)[method]!(...args))
  return new Proxy({}, { get: (_, method) => call(method as string) }) as T
}

/** `setAlarm` is a storage write, so that a time that is set already is not set again. */
function alarmOf(
  { storage }: DurableObjectState,
  now: () => number,
  after: (work: Promise<unknown>) => void,
): (at: number) => void {
  let setFor = -Infinity
  return (at) => {
    const time = Math.ceil(at)
    if (time === setFor && time > now()) return
    setFor = time
    after(storage.setAlarm(Math.max(time, now())))
  }
}

function storageOf({ kv }: DurableObjectStorage): Storage {
  return {
    get: async (key) => kv.get(key),
    put: async (key, value) => kv.put(key, value),
    delete: async (key) => void kv.delete(key),
  }
}
