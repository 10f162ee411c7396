// The home of actors for a router of several threads: they live in one of them, the others reach them over a line.
import type { ActorRef, Remote } from '../../../src/actors/actor.ts'
import type { Ask, Failure, Note, Outcome, Pick as Picked } from '../../../src/actors/ask.ts'
import { Batches } from '../../../src/actors/batches.ts'
import { Limiter } from '../../../src/actors/limiter.ts'
import { Pool } from '../../../src/actors/pool.ts'
import { Registry } from '../../../src/actors/registry.ts'
import type { Host } from '../../../src/host.ts'
import type { Line, Target } from './line.ts'

export type Actors = Pick<Host, 'registry' | 'pool' | 'limiter' | 'batches'>

/** Methods that return nothing: nobody waits for them, and what is called later comes later. */
const SILENT: Readonly<Record<keyof Actors, readonly string[]>> = {
  registry: ['refresh'],
  pool: ['hear', 'note', 'renew', 'settle', 'expire', 'hold', 'hint'],
  limiter: ['book'],
  batches: [],
}

/** News for a pool are gathered for so long, ms: by itself each would wake the thread that decides, which costs that 30 µs. */
const GATHER = 10

/**
 * The actors as a serving thread sees them. Calls can't be lost while the process lives, so nothing here decides in their
 * place as it must where actors can be out of reach.
 */
export function remoteActors(line: Line): Actors {
  return {
    registry: refTo(line, 'registry', Registry.prototype),
    pool: gathering(refTo(line, 'pool', Pool.prototype)),
    limiter: refTo(line, 'limiter', Limiter.prototype),
    batches: refTo(line, 'batches', Batches.prototype),
  }
}

function refTo<T extends object>(line: Line, kind: keyof Actors, methods: T): ActorRef<T> {
  const known = new Map<string, Remote<T>>()
  const make = (name: string) => {
    const remote: Record<string, (...args: unknown[]) => unknown> = {}
    for (const method of Object.getOwnPropertyNames(methods)) {
      if (method === 'constructor') continue
      remote[method] = SILENT[kind].includes(method)
        ? (...args) => line.cast(kind, name, method, args)
        : (...args) => line.call(kind, name, method, args)
    }
    known.set(name, remote as Remote<T>)
    return remote as Remote<T>
  }
  return (name) => known.get(name) ?? make(name)
}

function gathering(pools: ActorRef<Pool>): ActorRef<Pool> {
  const known = new Map<string, Remote<Pool>>()
  const make = (name: string) => {
    const pool = pools(name)
    let gathered: Note[] = []
    const note = (notes: readonly Note[]) => {
      const isFirst = gathered.length === 0
      gathered.push(...notes)
      if (isFirst) setTimeout(tell, GATHER).unref()
    }
    const tell = () => {
      const notes = gathered
      gathered = []
      void pool.note(notes)
    }
    const one = { ...pool, note }
    known.set(name, one)
    return one
  }
  return (name) => known.get(name) ?? make(name)
}

/** The actors for one thread, at the end where they live. */
export interface Door {
  find(kind: string, name: string): Target | undefined
  /** The thread is gone: its leases and its waiters in the queues end now. */
  close(): void
}

/** Opens the actors to one thread, and remembers what that thread holds. */
export function openDoor(actors: Actors): Door {
  const pools = new Map<string, Held>()
  const pool = (name: string) => {
    let held = pools.get(name)
    if (!held) pools.set(name, (held = new Held(actors.pool(name))))
    return held.target
  }
  return {
    find(kind, name) {
      if (kind === 'pool') return pool(name)
      if (kind === 'registry' || kind === 'limiter') return actors[kind](name) as unknown as Target
      if (kind === 'batches') return actors.batches?.(name) as unknown as Target | undefined
      return undefined
    },
    close() {
      for (const held of pools.values()) held.close()
    },
  }
}

/** One pool for one thread: knows the calls that the thread has there. */
class Held {
  readonly target: Target
  readonly #pool: Remote<Pool>
  readonly #ids = new Set<string>()
  #isClosed = false

  constructor(pool: Remote<Pool>) {
    this.#pool = pool
    const methods = Object.getOwnPropertyNames(Pool.prototype).filter((name) => name !== 'constructor')
    const all = pool as unknown as Record<string, (...args: unknown[]) => unknown>
    this.target = {
      ...Object.fromEntries(methods.map((name) => [name, (...args: unknown[]) => all[name]?.(...args)])),
      pick: (ask: Ask) => this.#seen(ask, pool.pick(ask)),
      repick: (failure: Failure, ask: Ask, tried?: readonly string[]) =>
        this.#seen(ask, pool.repick(failure, ask, tried)),
      settle: (id: string, outcome: Outcome) => {
        this.#ids.delete(id)
        return pool.settle(id, outcome)
      },
    }
  }

  close(): void {
    this.#isClosed = true
    for (const id of this.#ids) void this.#pool.settle(id, { kind: 'left' })
    this.#ids.clear()
  }

  #seen({ id }: Ask, picked: Picked | Promise<Picked>): Picked | Promise<Picked> {
    if (picked instanceof Promise) {
      this.#ids.add(id)
      return picked.then((pick) => this.#decided(id, pick))
    }
    return this.#decided(id, picked)
  }

  #decided(id: string, pick: Picked): Picked {
    if ('refusal' in pick) this.#ids.delete(id)
    // Decided after the thread had gone: it will never settle it.
    else if (this.#isClosed) void this.#pool.settle(id, { kind: 'left' })
    else this.#ids.add(id)
    return pick
  }
}
