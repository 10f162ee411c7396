// The members of a pool: a seat for each, found by what an ask needs.
import type { Ask } from './ask.ts'
import type { Member, Membership } from './members.ts'
import { Seat } from './seat.ts'

/** Model names come from clients where any name is served: what is remembered must not grow with them. */
const MAX_KINDS = 1000

export class Roster {
  readonly seats = new Map<string, Seat>()
  /** Seats by model and engines; made when first needed, dropped when the membership changes. */
  readonly #serving = new Map<string, readonly Seat[]>()
  /** The ask that was looked up last, and what was found. */
  #ask: Ask | null = null
  #seats: readonly Seat[] = []
  /** Of the membership that this is; 0: none was pulled yet. */
  version = 0

  /** Takes over a membership. Who stays keeps its load and health. Returns the ids of those that left. */
  apply(membership: Membership, now: number): Iterable<string> {
    const joinedAt = this.version === 0 ? 0 : now
    this.version = membership.version
    const gone = new Set(this.seats.keys())
    for (const member of membership.members) {
      gone.delete(member.ref.id)
      const seat = this.seats.get(member.ref.id)
      if (seat) seat.join(member)
      else this.seats.set(member.ref.id, new Seat(member, joinedAt))
    }
    for (const id of gone) this.seats.delete(id)
    this.#serving.clear()
    this.#ask = null
    return gone
  }

  /** The seats that serve an ask, well or not; the same list as before when there is no other. */
  serving(ask: Ask): readonly Seat[] {
    if (ask !== this.#ask) {
      this.#seats = this.#find(ask)
      this.#ask = ask
    }
    return this.#seats
  }

  #find(ask: Ask): readonly Seat[] {
    if (ask.pin !== null) return [...this.seats.values()].filter((seat) => seat.id === ask.pin)
    const key = `${ask.engines?.join() ?? ''}\n${ask.model === null ? '' : `=${ask.model}`}`
    let seats = this.#serving.get(key)
    if (!seats) {
      seats = servingBest([...this.seats.values()], ask)
      if (this.#serving.size >= MAX_KINDS) this.#serving.clear()
      this.#serving.set(key, seats)
    }
    return seats
  }
}

/** Those whose engine is known to have the endpoint; if none is, all that have the model: their engine's own answer is the truth. */
function servingBest(seats: readonly Seat[], ask: Ask): readonly Seat[] {
  const best = seats.filter((seat) => serves(seat.member, ask))
  return best.length > 0 ? best : seats.filter((seat) => serves(seat.member, { ...ask, engines: null }))
}

/** A worker serves an ask when it has the model and the endpoint. Prefill and decode workers never serve alone. */
export function serves(member: Member, ask: Ask): boolean {
  if (member.role !== 'mixed') return false
  if (ask.engines && member.ref.engine !== 'unknown' && !ask.engines.includes(member.ref.engine)) return false
  return (
    member.models === null ||
    (ask.model === null ? member.models.length > 0 : member.models.includes(ask.model))
  )
}
