// What a pool knows of one worker's KV events: its ranks, whether they can be relied on, and what is told of that.
import type { LogEvent } from '../host.ts'
import type { KvBatch } from '../prefix/kv-batch.ts'
import { Holding } from '../prefix/kv-blocks.ts'
import { tierId, TIERS, type KvTier } from '../prefix/kv-tiers.ts'
import { Sequence } from '../prefix/kv-sequence.ts'
import type { Caches } from '../prefix/kv-texts.ts'
import type { KvSource } from './kv-source.ts'
import type { Seat } from './seat.ts'

/** Why a view is no better than a guess. */
export type KvTrouble = 'disconnected' | 'gap' | 'unattributed' | 'unreadable' | 'overflow'

/** A worker's KV events as its seat shows them. */
export interface KvEventsView {
  readonly state: 'connecting' | 'live' | 'degraded'
  readonly trouble: KvTrouble | null
  readonly batches: number
  readonly events: number
  /** Times that events were lost for good. */
  readonly gaps: number
  /** Blocks that it holds. */
  readonly blocks: number
  /** Calls whose blocks were found among the events, and those whose blocks were not. */
  readonly attributed: number
  readonly unattributed: number
}

export interface KvRank {
  readonly number: number
  readonly holding: Holding
  /** Copies in other media; none until one is told of. */
  readonly shelves: Map<KvTier, Holding>
  sequence: Sequence
  /** Null: its events are pushed, or it is followed no more. */
  source: KvSource | null
}

interface WorkerSeams {
  log(event: LogEvent): void
  timer(ms: number, run: () => void): () => void
}

/** So many calls in a row whose blocks are in no event: something is wrong. */
const MOST_UNFOUND = 20
/** What was lost is renewed by then, for the most part, ms. */
const HEALING = 60_000

export class KvWorker implements Caches {
  readonly seat: Seat
  readonly ranks: KvRank[] = []
  readonly #seams: WorkerSeams
  readonly #changed: () => void
  blockTokens = 0
  gaps = 0
  isPushed = false
  /** It has told of blocks in other media. */
  hasTiers = false
  #isUp = false
  #trouble: KvTrouble | null = null
  #batches = 0
  #events = 0
  #found = 0
  #unfound = 0
  #unfoundInRow = 0
  #cancelHealing = () => {}

  /** `changed`: told when its events can be relied on from now on, or no more. */
  constructor(seat: Seat, seams: WorkerSeams, changed: () => void) {
    this.seat = seat
    this.#seams = seams
    this.#changed = changed
  }

  get workerId(): string {
    return this.seat.id
  }

  get holdings(): readonly Holding[] {
    return this.ranks.map(({ holding }) => holding)
  }

  /** What it has in a tier or nearer, for each tier; none where it has told of none. */
  get tiers(): readonly Caches[] {
    if (!this.hasTiers) return []
    return TIERS.map((tier, at) => ({
      workerId: tierId(this.seat.id, tier),
      holdings: this.ranks.flatMap(({ holding, shelves }) => [
        holding,
        ...TIERS.slice(0, at + 1).flatMap((one) => shelves.get(one) ?? []),
      ]),
    }))
  }

  /** A rank's copies in a tier. */
  shelf(number: number, tier: KvTier): Holding {
    const { shelves } = this.rank(number)
    let shelf = shelves.get(tier)
    if (!shelf) {
      shelf = new Holding()
      // Being there twice is being there.
      shelf.isRepeating = true
      shelves.set(tier, shelf)
      this.hasTiers = true
    }
    return shelf
  }

  rank(number: number): KvRank {
    let rank = this.ranks.find((one) => one.number === number)
    if (!rank) {
      rank = { number, holding: new Holding(), shelves: new Map(), sequence: new Sequence(), source: null }
      this.ranks.push(rank)
    }
    return rank
  }

  seen({ events }: KvBatch): void {
    this.#batches++
    this.#events += events.length
  }

  /** A publisher is there. */
  up(): void {
    this.#isUp = true
    if (this.#trouble === 'disconnected') this.#heal()
    this.show()
  }

  /** A call's blocks were found among the events, or were not though there must be some. */
  attributed(isFound: boolean): void {
    if (isFound) {
      this.#found++
      this.#unfoundInRow = 0
      if (this.#trouble === 'unattributed') this.#heal()
    } else {
      this.#unfound++
      this.#unfoundInRow++
      if (this.#unfoundInRow === MOST_UNFOUND)
        this.degrade('unattributed', `none of its last ${MOST_UNFOUND} prompts were found among them`)
    }
    this.show()
  }

  /** The view is a guess from now on. One line in the log, however often it is said. */
  degrade(trouble: KvTrouble, reason: string): void {
    this.#cancelHealing()
    if (trouble !== 'disconnected' && trouble !== 'unattributed')
      this.#cancelHealing = this.#seams.timer(HEALING, () => this.#heal())
    if (trouble === 'disconnected') this.#isUp = false
    const isNew = this.#trouble === null
    this.#trouble = trouble
    if (isNew)
      this.say(
        'warn',
        `its KV events are degraded (${reason}): what it holds is a guess until they are whole`,
      )
    this.show()
  }

  say(level: 'info' | 'warn', what: string): void {
    const { id, url } = this.seat
    this.#seams.log({ level, message: `worker ${url}: ${what}`, worker: id, trouble: this.#trouble })
  }

  show(): void {
    const state = this.#trouble !== null ? 'degraded' : this.#isUp ? 'live' : 'connecting'
    const isFollowed = this.isPushed || this.ranks.some(({ source }) => source !== null)
    const before = this.seat.kvEvents?.state
    if (!isFollowed) this.seat.kvEvents = null
    else this.seat.kvEvents = this.#view(state)
    if (this.seat.kvEvents?.state !== before) this.#changed()
  }

  #view(state: KvEventsView['state']): KvEventsView {
    return {
      state,
      trouble: this.#trouble,
      batches: this.#batches,
      events: this.#events,
      gaps: this.gaps,
      blocks: this.ranks.reduce((sum, { holding }) => sum + holding.copies.size, 0),
      attributed: this.#found,
      unattributed: this.#unfound,
    }
  }

  close(): void {
    this.#cancelHealing()
    for (const { source } of this.ranks) source?.close()
  }

  #heal(): void {
    this.#cancelHealing()
    if (this.#trouble === null) return
    this.#trouble = null
    this.say('info', 'its KV events are whole again')
    this.show()
  }
}
