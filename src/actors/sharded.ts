// The shards of a pool as one: a call goes to the shard of its conversation, questions about the whole to all of them.
import { hashText } from '../hash.ts'
import type { ActorRef, Remote } from './actor.ts'
import type { Note, Renewal } from './ask.ts'
import type { Pool } from './pool.ts'
import { mergeViews } from './merged-view.ts'
import { mergeShadows } from './merged-shadow.ts'
import { shardName, shardOf } from './shards.ts'

/** The pool that callers know. Its shards answer to names of their own. */
const WHOLE = 'main'

/** A reference by which `main` is all shards together; every other name passes through. With one shard it is the pool itself. */
export function sharded(pool: ActorRef<Pool>, count: number): ActorRef<Pool> {
  if (count < 2) return pool
  const whole = wholeOf(pool, count)
  return (name) => (name === WHOLE ? whole : pool(name))
}

/** What is asked of several shards. */
interface Shards {
  readonly count: number
  one(index: number): Remote<Pool>
  all<T>(ask: (shard: Remote<Pool>) => T | Promise<T>): Promise<T[]>
  tell(say: (shard: Remote<Pool>) => void | Promise<void>): Promise<void>
}

function wholeOf(pool: ActorRef<Pool>, count: number): Remote<Pool> {
  const one = (index: number) => pool(shardName(index))
  const all: Shards['all'] = (ask) =>
    Promise.all(Array.from({ length: count }, async (_, index) => ask(one(index))))
  const tell: Shards['tell'] = async (say) => void (await all(say))
  const shards = { count, one, all, tell }
  return { ...callsOf(shards), ...restOf(shards) }
}

type Calls = 'pick' | 'repick' | 'settle' | 'note' | 'renew'

/** What is of one call goes to the shard that has it. */
function callsOf({ count, one, tell }: Shards): Pick<Remote<Pool>, Calls> {
  /** Which shard has a call, from its pick until it is settled. */
  const homes = new Map<string, number>()

  /** Each shard gets what is of its calls; what nobody knows, or all must know, goes to all. */
  const spread = async <T>(
    news: readonly T[],
    idOf: (item: T) => string | null,
    say: (shard: Remote<Pool>, own: T[]) => void | Promise<void>,
  ) => {
    const lists = Array.from({ length: count }, (): T[] => [])
    for (const item of news) {
      const id = idOf(item)
      const home = id === null ? undefined : homes.get(id)
      for (const [index, list] of lists.entries()) if (home === undefined || home === index) list.push(item)
    }
    await Promise.all(lists.map(async (own, index) => own.length > 0 && say(one(index), own)))
  }

  return {
    pick(ask) {
      const home = shardOf(ask, count)
      homes.set(ask.id, home)
      return one(home).pick(ask)
    },
    repick: (failure, ask, tried) => one(shardOf(ask, count)).repick(failure, ask, tried),
    settle(id, outcome) {
      const home = homes.get(id)
      homes.delete(id)
      return home === undefined ? tell((shard) => shard.settle(id, outcome)) : one(home).settle(id, outcome)
    },
    note: (notes) =>
      spread(
        notes,
        (note: Note) => ('id' in note ? note.id : null),
        (shard, own) => shard.note(own),
      ),
    renew: (renewals) =>
      spread(
        // Of calls that ended nothing is renewed.
        renewals.filter(({ id }) => homes.has(id)),
        ({ id }: Renewal) => id,
        (shard, own) => shard.renew(own),
      ),
  }
}

/** What is of the whole goes to all. */
function restOf({ count, one, all, tell }: Shards): Omit<Remote<Pool>, Calls> {
  return {
    hear: (digest) => tell((shard) => shard.hear(digest)),
    expire: () => tell((shard) => shard.expire()),
    holder: async (state) => (await all((shard) => shard.holder(state))).find((id) => id !== null) ?? null,
    hold: (state, workerId) => one(hashText(state) % count).hold(state, workerId),
    hint: (version) => tell((shard) => shard.hint(version)),
    configure: (config) => tell((shard) => shard.configure(config)),
    report: (workerId, load) => tell((shard) => shard.report(workerId, load)),
    forget: (workerId) => tell((shard) => shard.forget(workerId)),
    release: (session) => tell((shard) => shard.release(session)),
    events: async (workerId, batch, seq) => (await all((shard) => shard.events(workerId, batch, seq)))[0]!,
    view: async () => mergeViews(await all((shard) => shard.view())),
    decision: async (id) =>
      (await all((shard) => shard.decision(id))).find((found) => found !== null) ?? null,
    explain: (ask) => one(shardOf(ask, count)).explain(ask),
    shadow: async () => mergeShadows(await all((shard) => shard.shadow())),
    alarm: () => tell((shard) => shard.alarm()),
  }
}
