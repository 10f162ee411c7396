// The members of a pool: a seat for each, found by what an ask needs.
import type { Ask } from './ask.ts'
import type { Member, Membership } from './members.ts'
import { serverIdOf } from './ranks.ts'
import { Seat } from './seat.ts'

/** Model names come from clients where any name is served: what is remembered must not grow with them. */
const MAX_KINDS = 1000

/** Workers among which a pair is found: at least one of each role. */
export interface Pairing {
  readonly prefill: readonly Seat[]
  readonly decode: readonly Seat[]
  readonly mixed: readonly Seat[]
  /** Who may answer: decode and mixed ones. */
  readonly serving: readonly Seat[]
}

export class Roster {
  readonly seats = new Map<string, Seat>()
  /** Seats by model and engines; made when first needed, dropped when the membership changes. */
  readonly #serving = new Kinds<readonly Seat[]>()
  /** The same for pairs; null: there is none. */
  readonly #pairings = new Kinds<Pairing | null>()
  /** The ask that was looked up last, and what was found: most that follow are like it. */
  #ask: Ask | null = null
  #seats: readonly Seat[] = []
  #pairing: Pairing | null = null
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
    this.#groupRanks()
    this.#serving.clear()
    this.#pairings.clear()
    this.#ask = null
    return gone
  }

  #groupRanks(): void {
    const servers = Map.groupBy(this.seats.values(), ({ id }) => serverIdOf(id))
    for (const ranks of servers.values()) for (const seat of ranks) seat.ranks = ranks
  }

  /** The seats that may answer an ask, well or not; the same list as before when there is no other. */
  serving(ask: Ask): readonly Seat[] {
    this.#turnTo(ask)
    return this.#seats
  }

  /** The workers that may share an ask; null: it goes to one of `serving`. */
  pairing(ask: Ask): Pairing | null {
    this.#turnTo(ask)
    return this.#pairing
  }

  #turnTo(ask: Ask): void {
    if (ask === this.#ask) return
    if (this.#ask === null || !isAlike(ask, this.#ask)) {
      this.#pairing = this.#findPairing(ask)
      this.#seats = this.#pairing?.serving ?? this.#find(ask)
    }
    this.#ask = ask
  }

  #findPairing(ask: Ask): Pairing | null {
    if (ask.pairs === undefined || ask.pin !== null) return null
    let pairing = this.#pairings.get(ask.model, ask.pairs)
    if (pairing === undefined) {
      pairing = pairingOf([...this.seats.values()], ask)
      this.#pairings.set(ask.model, ask.pairs, pairing)
    }
    return pairing
  }

  #find(ask: Ask): readonly Seat[] {
    if (ask.pin !== null) return [...this.seats.values()].filter((seat) => seat.id === ask.pin)
    let seats = this.#serving.get(ask.model, ask.engines)
    if (!seats) {
      seats = servingBest([...this.seats.values()], ask)
      this.#serving.set(ask.model, ask.engines, seats)
    }
    return seats
  }
}

/** Whether the same workers may answer them, as long as the membership stays. Within a process lists of engines are always the same few. */
const isAlike = (one: Ask, other: Ask): boolean =>
  one.model === other.model &&
  one.engines === other.engines &&
  one.pairs === other.pairs &&
  one.pin === other.pin

/** What was found by model and engines. Looking up makes no key. */
class Kinds<T> {
  readonly #models = new Map<string | null, Map<string, T>>()
  /** Lists of engines as one word; within a process they are always the same few lists. */
  readonly #words = new WeakMap<readonly string[], string>()
  #size = 0

  get(model: string | null, engines: readonly string[] | null): T | undefined {
    return this.#models.get(model)?.get(this.#word(engines))
  }

  set(model: string | null, engines: readonly string[] | null, found: T): void {
    if (this.#size >= MAX_KINDS) this.clear()
    this.#size++
    const kinds = this.#models.get(model) ?? new Map<string, T>()
    this.#models.set(model, kinds.set(this.#word(engines), found))
  }

  clear(): void {
    this.#models.clear()
    this.#size = 0
  }

  #word(engines: readonly string[] | null): string {
    if (engines === null) return ''
    let word = this.#words.get(engines)
    if (word === undefined) this.#words.set(engines, (word = engines.join()))
    return word
  }
}

/**
 * Those whose engine is known to have the endpoint; if none is, all that have the model: their engine's own answer is the truth.
 * Where nobody is mixed, decode workers take what can't be shared.
 */
function servingBest(seats: readonly Seat[], ask: Ask): readonly Seat[] {
  for (const role of ['mixed', 'decode']) {
    const able = seats.filter((seat) => seat.role === role)
    const best = able.filter((seat) => serves(seat.member, ask))
    const found =
      best.length > 0 ? best : able.filter((seat) => serves(seat.member, { ...ask, engines: null }))
    if (found.length > 0) return found
  }
  return []
}

/** Of workers with roles those that have the model, and a mate whose engine is the same. */
function pairingOf(seats: readonly Seat[], ask: Ask): Pairing | null {
  const able = seats.filter((seat) => serves(seat.member, { ...ask, engines: ask.pairs ?? [] }))
  const of = (role: string) => able.filter((seat) => seat.role === role)
  const [prefill, decode] = [of('prefill'), of('decode')]
  const mated = (seat: Seat, mates: readonly Seat[]) => mates.some((mate) => mate.engine === seat.engine)
  const found = {
    prefill: prefill.filter((seat) => mated(seat, decode)),
    decode: decode.filter((seat) => mated(seat, prefill)),
    mixed: seats.filter((seat) => seat.role === 'mixed' && serves(seat.member, ask)),
  }
  return found.prefill.length > 0 ? { ...found, serving: [...found.decode, ...found.mixed] } : null
}

/** A worker serves an ask when it has the model and the endpoint. */
export function serves(member: Member, ask: Ask): boolean {
  if (ask.engines && member.ref.engine !== 'unknown' && !ask.engines.includes(member.ref.engine)) return false
  return (
    member.models === null ||
    (ask.model === null ? member.models.length > 0 : member.models.includes(ask.model))
  )
}
