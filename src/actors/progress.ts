// What becomes of calls that a pool has sent: first tokens, hand-overs, ends, and what each teaches of the workers.
import type { Books } from './account.ts'
import type { Failure, Note, Outcome } from './ask.ts'
import type { Health } from './health.ts'
import type { Lease } from './ledger.ts'
import type { Pairs } from './pairs.ts'

export interface ProgressSeams extends Books {
  readonly pairs: Pairs
  readonly health: Health
  now(): number
  /** A worker has room again. */
  freed(): void
  /** KV tokens of a worker that does not tell. */
  kvCapacity(): number
}

export class Progress {
  readonly #seams: ProgressSeams

  constructor(seams: ProgressSeams) {
    this.#seams = seams
  }

  /** The first token came. Returns the lease of its call; null: there is none. */
  first(note: Pick<Note & { kind: 'first' }, 'id' | 'after' | 'load'>): Lease | null {
    const { ledger, health } = this.#seams
    const lease = ledger.leases.get(note.id) ?? null
    if (lease && note.load) health.loads.heard(lease.seat, note.load)
    // Who answers has the prompt.
    this.handedOver(note)
    if (lease && ledger.first(lease, note.after, this.#seams.now())) this.#settleSpeeds()
    return lease
  }

  /** The prefill worker of a pair has done its part. */
  handedOver(note: Pick<Note & { kind: 'handover' }, 'id' | 'after' | 'usage'>): void {
    const { pairs, now, freed } = this.#seams
    if (!pairs.carries(note.id)) return
    if (pairs.handedOver(note, now())) this.#settleSpeeds()
    freed()
  }

  /** An attempt ended, on both legs of a pair; null when it had ended already. */
  end(id: string, outcome: Outcome, now: number): Lease | null {
    const { ledger, knowledge, health, pairs, roster } = this.#seams
    const unreachable = pairs.end(id, outcome, now)
    if (unreachable) health.suspect(unreachable)
    // What a prefill worker did is no fault of its mate.
    const own: Outcome = outcome.failure?.leg ? { kind: 'left' } : outcome
    const ended = ledger.close(id, own, now)
    if (!ended) return null
    const { lease, isUnreachable } = ended
    knowledge.ended(lease, lease.plan?.kind === 'pair' ? withoutUsage(own) : own)
    if (outcome.load) health.loads.heard(lease.seat, outcome.load)
    if (knowledge.isOutgrown) knowledge.meet(roster.seats.values(), this.#seams.kvCapacity())
    if (isUnreachable) health.suspect(lease.seat)
    return lease
  }

  /** An attempt of a call whose lease is lost failed on that worker. */
  blame(workerId: string | undefined, failure: Failure): void {
    const { roster, ledger, health } = this.#seams
    const seat = workerId === undefined ? undefined : roster.seats.get(workerId)
    if (seat && ledger.blame(seat, failure, this.#seams.now())) health.suspect(seat)
  }

  #settleSpeeds(): void {
    const { roster, knowledge } = this.#seams
    for (const seat of roster.seats.values()) knowledge.speeds.settle(seat)
  }
}

/** The counts of a pair's prompt are those of its prefill worker. */
function withoutUsage({ usage: _usage, ...outcome }: Outcome): Outcome {
  return outcome
}
