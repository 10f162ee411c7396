// A pool that can be lost (reset, overloaded, out of reach): asked once more by the same id; then the router itself decides, by
// rendezvous hashing over the last known members.
import { workersOf } from '../config/fleet.ts'
import type { Config } from '../config/schema.ts'
import { opaqueId } from '../hash.ts'
import type { Host } from '../host.ts'
import type { ActorRef, Remote } from './actor.ts'
import { decideAlone } from './alone.ts'
import type { Ask, Failure, Pick } from './ask.ts'
import type { Member } from './members.ts'
import type { Pool } from './pool.ts'
import { membersOf } from './ranks.ts'
import { gaveUp } from './refusals.ts'
import type { Registry } from './registry.ts'

export interface DegradeSeams {
  readonly pool: ActorRef<Pool>
  readonly registry: ActorRef<Registry>
  readonly config: Config
  readonly log: Host['log']
}

/** What is known here of a call under way. */
interface CallState {
  /** Ids of the workers that it was sent to. */
  readonly tried: readonly string[]
  /** Decided here: the pool knows nothing of it, so that it is not asked of it any more. */
  readonly isAlone: boolean
}

const NEW: CallState = { tried: [], isAlone: false }

/**
 * A pool reference whose `pick` and `repick` never fail. Plans made without the pool carry `isDegraded`. The other methods
 * are asked once more and then fail as the pool does: they are for after the answer, or for the control plane.
 */
export function degrading(seams: DegradeSeams): ActorRef<Pool> {
  const members = knownMembers(seams)
  const calls = new Map<string, CallState>()

  const remember = (id: string, pick: Pick, isAlone: boolean): Pick => {
    if ('plan' in pick)
      calls.set(id, { tried: [...(calls.get(id) ?? NEW).tried, pick.plan.worker.id], isAlone })
    return pick
  }

  const decide = async (ask: Ask, error: unknown): Promise<Pick> => {
    const { tried, isAlone } = calls.get(ask.id) ?? NEW
    if (!isAlone) {
      const message = 'the pool did not answer: decided without it'
      seams.log({ level: 'warn', message, error: String(error) })
    }
    const plan = decideAlone(ask, await members(), tried, seams.config)
    return plan === null ? { refusal: NOBODY } : remember(ask.id, { plan }, true)
  }

  const homes = new Map<string, Remote<Pool>>()
  return (name) => {
    const home = homes.get(name) ?? open(name)
    homes.set(name, home)
    return home
  }

  function open(name: string): Remote<Pool> {
    const pool = twice(() => seams.pool(name))
    return {
      ...pool,
      async pick(ask) {
        try {
          return remember(ask.id, await pool.pick(ask), false)
        } catch (error) {
          return decide(ask, error)
        }
      },
      async repick(failure, ask, tried) {
        const call = calls.get(ask.id) ?? NEW
        // Not asked twice: a pool that has chosen already would take its new choice for the one that failed.
        try {
          if (!call.isAlone)
            return remember(ask.id, await seams.pool(name).repick(failure, ask, tried), false)
        } catch (error) {
          return mayNotRetry(failure, ask, call, seams.config.retries) ?? decide(ask, error)
        }
        return mayNotRetry(failure, ask, call, seams.config.retries) ?? decide(ask, null)
      },
      async settle(id, outcome) {
        const { tried, isAlone } = calls.get(id) ?? NEW
        calls.delete(id)
        await pool.settle(id, isAlone ? { ...outcome, alone: tried } : outcome)
      },
    }
  }
}

const NOBODY = {
  status: 503,
  code: 'no_workers',
  message: 'No worker is known that could take this call now. Try again soon.',
  retryAfter: 1,
}

/** The pool's rules for retries, as far as they need no memory of others; null: it may. */
function mayNotRetry(failure: Failure, ask: Ask, { tried }: CallState, retries: number): Pick | null {
  const neverSent = failure.kind === 'connect' || failure.kind === 'connect_timeout'
  if (tried.length > retries) return { refusal: gaveUp('every attempt failed') }
  if (failure.kind.endsWith('_timeout') && !neverSent) return { refusal: gaveUp('its time is up') }
  if (failure.kind === 'aborted') return { refusal: gaveUp('it was aborted') }
  if (ask.makesState && !neverSent) return { refusal: gaveUp('it may have made state already') }
  return null
}

/** The registry's members; those it last told when it can't be reached either; before that, those of the configuration. */
function knownMembers({ registry, config }: DegradeSeams): () => Promise<readonly Member[]> {
  let known: readonly Member[] | null = null
  return async () => {
    try {
      known = (await registry('main').members(0))?.members ?? known
    } catch {
      // What is known has to do.
    }
    return known ?? configured(config)
  }
}

/** Workers that were never asked: any model is sent to those that name none. */
function configured(config: Config): readonly Member[] {
  return workersOf(config).flatMap((spec) => {
    const id = opaqueId('w', spec.url)
    const record = { id, spec, source: 'flag', addedAt: 0, draining: false, facts: null } as const
    const unasked = { ...record, askAt: 0, silent: 0, asked: false, problem: null }
    return membersOf(unasked, { ...config, models: 'ignore' })
  })
}

const METHODS: readonly (keyof Remote<Pool>)[] = [
  'pick',
  'repick',
  'hear',
  'note',
  'renew',
  'settle',
  'expire',
  'holder',
  'hold',
  'hint',
  'configure',
  'report',
  'forget',
  'release',
  'events',
  'view',
  'decision',
  'explain',
  'shadow',
]

/** Each method once more with a new reference when the first fails. All of them may be repeated: what they do is known by its id. */
function twice(pool: () => Remote<Pool>): Remote<Pool> {
  type Methods = Record<string, (...args: unknown[]) => unknown>
  const entries = METHODS.map((method) => {
    const again = async (...args: unknown[]) => {
      try {
        return await (pool() as unknown as Methods)[method]?.(...args)
      } catch (error) {
        if (isOverloaded(error)) throw error
        return (pool() as unknown as Methods)[method]?.(...args)
      }
    }
    return [method, again]
  })
  return Object.fromEntries(entries) as Remote<Pool>
}

/** An object that has too much to do is not helped by more (it says so by that property). */
const isOverloaded = (error: unknown): boolean =>
  typeof error === 'object' && error !== null && 'overloaded' in error && error.overloaded === true
