// Which way its policies went, as the SGLang router counts it of those that remember or hash keys.
import type { PoolView } from '../../actors/pool-view.ts'
import type { Core } from '../../core.ts'
import { Assignments } from '../../policies/assignments.ts'
import type { Flight } from '../gateway/flights.ts'
import type { Tally } from '../gateway/tally.ts'

export class Branches {
  readonly #policy: string
  /** What the policy `manual` remembers, followed from outside: it may be in another place than this app. */
  #given: Assignments | null = null

  constructor(policy: string) {
    this.#policy = policy
  }

  /** A call was sent to a worker. */
  chose(tally: Tally, flight: Flight, core: Core): void {
    if (this.#policy === 'manual')
      tally.add('smg_manual_policy_branch_total', { branch: this.#manual(flight, core) })
    if (this.#policy === 'consistent_hashing')
      tally.add('smg_consistent_hashing_policy_branch_total', { branch: hashed(flight) })
    if (this.#policy === 'prefix_hash')
      tally.add('smg_prefix_hash_policy_branch_total', {
        branch: flight.hasPrefix ? 'ring_hit' : 'no_tokens',
      })
  }

  /** A client named a worker that there is none of. */
  missed(tally: Tally): void {
    tally.add('smg_consistent_hashing_policy_branch_total', { branch: 'target_worker_miss' })
  }

  show(tally: Tally, { workers }: PoolView, core: Core): void {
    if (this.#policy !== 'manual') return
    const given = this.#assignments(core)
    tally.setOwn('smg_manual_policy_cache_entries', {}, given.size)
    for (const { id } of workers)
      tally.setOwn('smg_worker_routing_keys_active', { worker: id }, given.count(id))
  }

  #manual({ session, legs }: Flight, core: Core): string {
    if (session === null) return 'no_routing_id'
    const worker = legs.at(-1)?.id ?? ''
    const given = this.#assignments(core)
    const now = core.host.now()
    const known = given.find(session, now)
    if (known.includes(worker)) return 'occupied_hit'
    given.give(session, worker, now)
    return known.length === 0 ? 'vacant' : 'occupied_miss'
  }

  #assignments({ config }: Core): Assignments {
    return (this.#given ??= new Assignments(config.manualIdle))
  }
}

function hashed({ isPinned, session }: Flight): string {
  if (isPinned) return 'target_worker_hit'
  return session === null ? 'random_fallback' : 'routing_key_hit'
}
