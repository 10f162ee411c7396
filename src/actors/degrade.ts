// A pool that can be lost (reset, overloaded, out of reach): asked once more by the same id; then the router itself decides, by
// rendezvous hashing over the last known members.
import type { Config } from '../config/schema.ts'
import { opaqueId, rendezvousScore } from '../hash.ts'
import type { Host, WorkerRef } from '../host.ts'
import type { ActorRef, Remote } from './actor.ts'
import type { Ask, Failure, Pick } from './ask.ts'
import { memberOf, type Member } from './members.ts'
import type { Pool } from './pool.ts'
import { gaveUp } from './refusals.ts'
import type { Registry } from './registry.ts'
import { serves } from './roster.ts'

export interface DegradeSeams {
  readonly pool: ActorRef<Pool>
  readonly registry: ActorRef<Registry>
  readonly config: Config
  readonly log: Host['log']
}

/** What was decided without the pool for one call. */
interface Alone {
  readonly tried: string[]
}

/**
 * A pool reference whose `pick` and `repick` never fail. Plans made without the pool carry `isDegraded`. The other methods
 * are asked once more and then fail as the pool does: they are for after the answer, or for the control plane.
 */
export function degrading(seams: DegradeSeams): ActorRef<Pool> {
  const members = knownMembers(seams)
  /** Calls decided here; the pool knows nothing of them, so that it is asked of them no more. */
  const alone = new Map<string, Alone>()

  const decide = async (ask: Ask): Promise<Pick> => {
    const tried = alone.get(ask.id)?.tried ?? []
    const worker = ownerOf(ask, await members(), tried)
    if (worker === null) return { refusal: NOBODY }
    alone.set(ask.id, { tried: [...tried, worker.id] })
    const attempt = tried.length + 1
    const plan = { kind: 'single', worker, decision: ask.id, attempt, waited: 0, delay: 0 } as const
    return { plan: { ...plan, isDegraded: true } }
  }

  const lost = (error: unknown) =>
    seams.log({ level: 'warn', message: 'the pool did not answer: decided without it', error: String(error) })

  return (name) => {
    const pool = twice(() => seams.pool(name))
    return {
      ...pool,
      async pick(ask) {
        try {
          return await pool.pick(ask)
        } catch (error) {
          lost(error)
          return decide(ask)
        }
      },
      async repick(failure, ask) {
        try {
          if (!alone.has(ask.id)) return await pool.repick(failure, ask)
        } catch (error) {
          lost(error)
        }
        return mayRetry(failure, ask, alone.get(ask.id), seams.config.retries) ?? decide(ask)
      },
      async settle(id, outcome) {
        alone.delete(id)
        await pool.settle(id, outcome)
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
function mayRetry(failure: Failure, ask: Ask, call: Alone | undefined, retries: number): Pick | null {
  const neverSent = failure.kind === 'connect' || failure.kind === 'connect_timeout'
  if ((call?.tried.length ?? 1) > retries) return { refusal: gaveUp('every attempt failed') }
  if (failure.kind.endsWith('_timeout') && !neverSent) return { refusal: gaveUp('its time is up') }
  if (ask.makesState && !neverSent) return { refusal: gaveUp('it may have made state already') }
  return null
}

/** The member with the highest weighted score for the session (or else the call) among those that serve it; of those not tried, if any. */
function ownerOf(ask: Ask, members: readonly Member[], tried: readonly string[]): WorkerRef | null {
  const serving = members.filter((member) =>
    ask.pin === null ? serves(member, ask) && !member.draining : member.ref.id === ask.pin,
  )
  const fresh = serving.filter((member) => !tried.includes(member.ref.id))
  const key = ask.session ?? ask.id
  let best: Member | null = null
  let bestScore = Infinity
  for (const member of fresh.length > 0 ? fresh : serving) {
    const score = -Math.log(rendezvousScore(key, member.ref.id)) / member.weight
    if (score >= bestScore) continue
    best = member
    bestScore = score
  }
  return best?.ref ?? null
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
  return config.workers.map((spec) => {
    const id = opaqueId('w', spec.url)
    const record = { id, spec, source: 'flag', addedAt: 0, draining: false, facts: null } as const
    const unasked = { ...record, askAt: 0, silent: 0, asked: false }
    return memberOf(unasked, { ...config, models: 'ignore' })
  })
}

const METHODS: readonly (keyof Remote<Pool>)[] = [
  'pick',
  'repick',
  'note',
  'renew',
  'settle',
  'expire',
  'holder',
  'hold',
  'hint',
  'configure',
  'view',
]

/** Each method once more with a new reference when the first fails. All of them may be repeated: what they do is known by its id. */
function twice(pool: () => Remote<Pool>): Remote<Pool> {
  type Call = (...args: unknown[]) => unknown
  const call = (method: keyof Remote<Pool>) => (pool()[method] as Call).bind(pool())
  const entries = METHODS.map((method) => {
    const again = async (...args: unknown[]) => {
      try {
        return await call(method)(...args)
      } catch (error) {
        if (isOverloaded(error)) throw error
        return call(method)(...args)
      }
    }
    return [method, again]
  })
  return Object.fromEntries(entries) as Remote<Pool>
}

/** An object that has too much to do is not helped by more (it says so by that property). */
const isOverloaded = (error: unknown): boolean =>
  typeof error === 'object' && error !== null && 'overloaded' in error && error.overloaded === true
