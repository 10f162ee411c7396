// Pools that choose among the same workers tell each other what they have there: shards of one pool, or pools of several routers.
import type { ActorState } from './actor.ts'
import type { ReportedLoad } from './ask.ts'
import type { Ledger } from './ledger.ts'
import type { Roster } from './roster.ts'
import type { Seat } from './seat.ts'

/** Who has something tells all of it that often, ms, so that nobody misses for long what was lost on the way. */
const BEAT = 2_000
/** What was not told again for so long is true no more, ms. */
const SILENCE = 3 * BEAT
/** A timer that is late by so much will not ring: what made it may have ended, ms. */
const LOST = 1_000
/** Numbers a worker: calls, backlog tokens, KV tokens, health. */
const WIDTH = 4
const [CALLS, TOKENS, HELD, HEALTH] = [0, 1, 2, 3]
/** The sender does not look after that worker; it is well; it is out; somebody who does should look at it. */
const [UNSEEN, UP, DOWN, DOUBTED] = [0, 1, 2, 3]
/** Prefixes that are told at once at most: more are lost, which costs a miss each. */
const MOST_PREFIXES = 256

/** A prompt went there. */
export interface Placed {
  readonly worker: string
  readonly prefix: Float64Array
}

/** A worker's id and its load. */
export type Report = readonly [string, ReportedLoad]

/** What one pool tells the others: sums, not changes, so that a digest may be lost or come twice. */
export interface Digest {
  readonly from: string
  /** It holds all that the sender has: what it told before is void. */
  readonly isWhole: boolean
  /** Calls in flight by the sender. */
  readonly leases: number
  /** Ids of the workers of which something is new. */
  readonly workers: readonly string[]
  /** Four numbers for each of them. */
  readonly loads: readonly number[]
  readonly placed: readonly Placed[]
  /** What workers told of their load to the pool that looks after them. */
  readonly reports: readonly Report[]
}

/** A pool that is told. */
export interface Neighbour {
  hear(digest: Digest): void | Promise<void>
  /** It gets calls of the same conversations: it must know where prompts went. */
  readonly sharesPrompts: boolean
}

export interface ExchangeSeams {
  /** What this pool is called among the others. */
  readonly name: string
  readonly state: Pick<ActorState, 'now' | 'timer' | 'after' | 'log'>
  readonly roster: Roster
  readonly ledger: Pick<Ledger, 'leases'>
  readonly neighbours: readonly Neighbour[]
  /** This pool tells no more often than this, ms. */
  readonly gap: number
  /** Whether this pool is the one that looks after a worker, and tells the others how it is. */
  isOwn(seat: Seat): boolean
  /** Another pool could not reach a worker. */
  suspect(seat: Seat): void
  /** Another pool placed a prompt. */
  placed(placed: Placed): void
  /** A worker told another pool its load. */
  reported(workerId: string, load: ReportedLoad): void
  /** Another pool found that a worker went down or came back. */
  changed(seat: Seat, change: 'down' | 'up'): void
  /** There may be room again. */
  eased(): void
}

interface Sender {
  leases: number
  heardAt: number
  readonly loads: Map<string, readonly number[]>
}

export class Exchange {
  readonly #seams: ExchangeSeams
  /** By worker: what the others were told last. */
  readonly #told = new Map<string, number[]>()
  readonly #senders = new Map<string, Sender>()
  #placed: Placed[] = []
  readonly #reports = new Map<string, ReportedLoad>()
  #leasesTold = 0
  /** When the next telling and the next beat are due. */
  #sendAt = -Infinity
  #beatAt = -Infinity
  #sentAt = -Infinity
  #wholeAt = -Infinity
  /** Calls in flight by the others. */
  leases = 0

  constructor(seams: ExchangeSeams) {
    this.#seams = seams
  }

  /** Something may have changed here: the others hear of it, at once or when the last telling is so long ago. */
  touch(): void {
    const { neighbours, state } = this.#seams
    if (neighbours.length === 0) return
    const now = state.now()
    if (now < this.#sendAt + LOST) return
    this.#sendAt = Math.max(now, this.#sentAt + this.#seams.gap)
    state.timer(this.#sendAt - now, () => this.#send())
  }

  /** A prompt went to a worker. */
  place(worker: string, prefix: Float64Array | null): void {
    const { neighbours } = this.#seams
    if (prefix === null || neighbours.length === 0) return
    if (!neighbours.some(({ sharesPrompts }) => sharesPrompts)) return
    if (this.#placed.length < MOST_PREFIXES) this.#placed.push({ worker, prefix })
  }

  /** A worker told its load: where only one pool asks it, the others hear of it. */
  report(seat: Seat, load: ReportedLoad): void {
    if (this.#seams.neighbours.length === 0 || !this.#seams.isOwn(seat)) return
    this.#reports.set(seat.id, load)
    this.touch()
  }

  /** Another pool tells what it has. */
  hear({ from, isWhole, leases, workers, loads, placed, reports }: Digest): void {
    // A list of routers may name this one, too.
    if (from === this.#seams.name) return
    const sender = this.#senderOf(from)
    sender.heardAt = this.#seams.state.now()
    if (isWhole) for (const id of sender.loads.keys()) if (!workers.includes(id)) this.#take(sender, id, [])
    for (const [index, id] of workers.entries())
      this.#take(sender, id, loads.slice(index * WIDTH, (index + 1) * WIDTH))
    this.leases += leases - sender.leases
    sender.leases = leases
    for (const one of placed) this.#seams.placed(one)
    for (const [id, load] of reports) this.#seams.reported(id, load)
    this.#beatLater()
    this.#seams.eased()
  }

  /** Workers came or went: what was told of those that came counts from now on. */
  meet(): void {
    for (const seat of this.#seams.roster.seats.values()) {
      const sums = [0, 0, 0]
      for (const { loads } of this.#senders.values())
        for (const [at] of sums.entries()) sums[at]! += loads.get(seat.id)?.[at] ?? 0
      setBeside(seat, sums)
    }
    this.touch()
  }

  #senderOf(from: string): Sender {
    let sender = this.#senders.get(from)
    if (!sender) this.#senders.set(from, (sender = { leases: 0, heardAt: 0, loads: new Map() }))
    return sender
  }

  /** `load`: empty where it has nothing there. */
  #take(sender: Sender, id: string, load: readonly number[]): void {
    const before = sender.loads.get(id) ?? []
    if (load.length === 0) sender.loads.delete(id)
    else sender.loads.set(id, load)
    const seat = this.#seams.roster.seats.get(id)
    if (!seat) return
    const { calls, tokens, held } = seat.beside
    const moved = (at: number) => (load[at] ?? 0) - (before[at] ?? 0)
    setBeside(seat, [calls + moved(CALLS!), tokens + moved(TOKENS!), held + moved(HELD!)])
    if (load[HEALTH!] !== before[HEALTH!]) this.#judge(seat, load[HEALTH!])
  }

  /** How another pool finds a worker now. */
  #judge(seat: Seat, health: number | undefined): void {
    if (health === DOUBTED && this.#seams.isOwn(seat) && !seat.isDown) return this.#seams.suspect(seat)
    if ((health !== UP && health !== DOWN) || seat.isDown === (health === DOWN)) return
    seat.isDown = health === DOWN
    seat.isSuspect = false
    this.#seams.changed(seat, seat.isDown ? 'down' : 'up')
  }

  #send(): void {
    const { state, neighbours, ledger } = this.#seams
    const now = state.now()
    this.#sendAt = -Infinity
    const isWhole = now - this.#wholeAt >= BEAT
    if (isWhole) this.#told.clear()
    const { workers, loads } = this.#news()
    const placed = this.#placed
    this.#placed = []
    const reports = [...this.#reports]
    this.#reports.clear()
    const leases = ledger.leases.size
    const news = workers.length + placed.length + reports.length
    if (!isWhole && news === 0 && leases === this.#leasesTold) return
    this.#sentAt = now
    if (isWhole) this.#wholeAt = now
    this.#leasesTold = leases
    const digest: Digest = { from: this.#seams.name, isWhole, leases, workers, loads, placed, reports }
    const bare = placed.length > 0 ? { ...digest, placed: [] } : digest
    for (const neighbour of neighbours) this.#tell(neighbour, neighbour.sharesPrompts ? digest : bare)
    this.#beatLater()
  }

  /** One that does not hear now is told again with the next beat. */
  #tell(neighbour: Neighbour, digest: Digest): void {
    const { log, after } = this.#seams.state
    const failed = (error: unknown) =>
      log({ level: 'debug', message: 'another pool did not hear this one', error: String(error) })
    try {
      const hearing = neighbour.hear(digest)
      if (hearing) after(hearing.catch(failed))
    } catch (error) {
      failed(error)
    }
  }

  /** The workers of which something has changed since it was told. */
  #news(): Pick<Digest, 'workers' | 'loads'> {
    const workers: string[] = []
    const loads: number[] = []
    for (const seat of this.#seams.roster.seats.values()) {
      const health = this.#healthOf(seat)
      const told = this.#told.get(seat.id)
      const load = [seat.inFlight, Math.round(seat.backlogTokens), Math.round(seat.ownTokens), health]
      if (told ? load.every((value, at) => value === told[at]) : load.every((value) => value === 0)) continue
      this.#told.set(seat.id, load)
      workers.push(seat.id)
      loads.push(...load)
    }
    return { workers, loads }
  }

  #healthOf(seat: Seat): number {
    if (this.#seams.isOwn(seat)) return seat.isDown ? DOWN! : UP!
    return seat.isSuspect ? DOUBTED! : UNSEEN!
  }

  /** While anybody has anything: tells all, and forgets who fell silent. */
  #beatLater(): void {
    const { state } = this.#seams
    const now = state.now()
    if (now < this.#beatAt + LOST) return
    this.#beatAt = now + BEAT
    state.timer(BEAT, () => {
      this.#beatAt = -Infinity
      this.#forget()
      const isBusy = this.#seams.ledger.leases.size > 0 || this.#leasesTold > 0
      if (isBusy) this.touch()
      if (isBusy || this.#senders.size > 0) this.#beatLater()
    })
  }

  #forget(): void {
    const now = this.#seams.state.now()
    for (const [from, sender] of this.#senders) {
      if (now - sender.heardAt <= SILENCE) continue
      for (const id of sender.loads.keys()) this.#take(sender, id, [])
      this.leases -= sender.leases
      this.#senders.delete(from)
    }
    this.#seams.eased()
  }
}

/** Sums of differences may end a little off. */
function setBeside({ beside }: Seat, [calls, tokens, held]: readonly number[]): void {
  beside.calls = calls ?? 0
  beside.tokens = Math.max(0, tokens ?? 0)
  beside.held = Math.max(0, held ?? 0)
}
