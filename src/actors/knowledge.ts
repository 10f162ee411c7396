// What a pool learns of its workers beyond their load: the prefixes that they hold, how long prompts are, how fast they are read.
import type { Config } from '../config/schema.ts'
import type { Outcome, ReportedLoad } from './ask.ts'
import { IndexKeeper, type KeeperSeams } from './index-keeper.ts'
import { KvEvents, type KvSeams } from './kv-events.ts'
import type { Lease } from './ledger.ts'
import { PromptTokens } from './prompt-tokens.ts'
import type { Seat } from './seat.ts'
import { Sense } from './sense.ts'
import { Speeds } from './speeds.ts'
import { usesTiers } from '../policies/policy.ts'
import { bytesAt } from '../prefix/sizes.ts'
import { PrefixView } from './view.ts'

/**
 * Where engines tell what they drop, the bound of their cache is no more than a safeguard: the view drops things in an order of
 * its own, and would drop what the engine still has.
 */
const ROOM = 2

/** An engine may lack this share of what it was believed to hold, and so many tokens: its blocks are not cut where ours are. */
const SLACK = 0.05
const SLACK_TOKENS = 256

export class Knowledge {
  readonly view: PrefixView
  readonly prompts = new PromptTokens()
  readonly speeds: Speeds
  readonly sense: Sense
  /** What the engines tell of their caches. */
  readonly events: KvEvents
  readonly #keeper: IndexKeeper
  /** Bytes a token by which the workers' capacities were set last. */
  #ratio = 0
  /** Tokens that fit into the cache of a worker that does not tell. */
  #assumed = 0
  /** Part of a worker's cache that is filled by this pool's calls: the rest by those of its other shards. */
  readonly #share: number

  constructor(config: Config, state: KvSeams & KeeperSeams) {
    this.#share = 1 / config.poolShards
    this.view = new PrefixView(config.indexSize, config.costTau)
    this.#keeper = new IndexKeeper(state, this.view)
    this.speeds = new Speeds(config.prefillSpeed)
    const { random } = state
    this.sense = new Sense({ view: this.view, prompts: this.prompts, speeds: this.speeds, random })
    const reading = { hasTiers: usesTiers(config), blockTokens: config.kvBlockTokens }
    this.events = new KvEvents(state, this.view, (seat) => this.meet([seat], this.#assumed), reading)
  }

  /** The membership changed: these are the seats now, and those left. */
  met(seats: ReadonlyMap<string, Seat>, left: readonly string[], assumed: number): void {
    for (const id of left) if (!seats.has(id)) this.view.leave(id)
    this.meet(seats.values(), assumed)
    if (seats.size > 0) this.#keeper.restore()
    this.events.meet([...seats.values()])
  }

  /** From the pool's alarm: what would be lost with this incarnation is stored now and then. */
  keep(): void {
    this.#keeper.save()
  }

  /** The seats as they are now: who is new gets a place in the view, and each the bound of its KV cache. */
  meet(seats: Iterable<Seat>, assumed: number): void {
    const ratio = this.prompts.bytesPerToken
    this.#ratio = ratio
    this.#assumed = assumed
    for (const seat of seats) {
      if (seat.speed === 0) this.speeds.reset(seat)
      const room = seat.kvEvents?.state === 'live' ? ROOM : this.#share
      this.view.join(seat.id, (seat.capacityTokens || assumed) * ratio * room)
    }
  }

  /** An engine told its load, and maybe how much fits in its cache. */
  report(seat: Seat, load: ReportedLoad, assumed: number): void {
    const before = seat.capacityTokens
    seat.report(load)
    if (seat.capacityTokens !== before) this.meet([seat], assumed)
  }

  /** Whether what is known of the length of tokens has moved so far that capacities must be set anew. */
  get isOutgrown(): boolean {
    return Math.abs(this.prompts.bytesPerToken - this.#ratio) > 0.05 * this.#ratio
  }

  /** The KV cache of a worker, or of all of them, is empty now. */
  clear(workerId: string | null): void {
    if (workerId === null) this.view.clearAll()
    else this.view.clear(workerId)
  }

  /** Its worker came back: whatever it held, was fast with, or told is gone. */
  restart(seat: Seat, now: number): void {
    this.view.clear(seat.id)
    this.speeds.reset(seat)
    seat.tellsCached = false
    seat.joinedAt = now
  }

  /** A call went there: from now on it is believed to hold the prompt. `isAgain`: the call was counted already. */
  opened(lease: Lease, isAgain: boolean, now: number): void {
    const prefix = lease.ask?.prefix
    if (prefix) this.view.hold(lease.seat.id, prefix, isAgain ? null : now)
    this.events.opened(lease)
  }

  /** A call ended: its answer, or the engine's events, tell what is true. */
  ended(lease: Lease, outcome: Outcome): void {
    const { seat, ask, depth } = lease
    // It never read the prompt.
    if (outcome.kind === 'failed' && !lease.isDecoding && ask?.prefix)
      this.view.forget(seat.id, ask.prefix, depth)
    this.#correct(lease, outcome)
    // What engines say of their blocks counts more than what follows from an answer.
    this.events.ended(lease, outcome)
  }

  /** An answer told what the prompt counted and how much of it was cached: corrects the belief. */
  #correct({ seat, ask, tokens, matched }: Lease, { usage }: Outcome): void {
    if (ask === null || !usage || usage.estimated || usage.promptTokens <= 0) return
    this.prompts.learn(ask, usage.promptTokens)
    if (usage.cachedTokens !== null) seat.tellsCached = true
    if (!seat.tellsCached || ask.prefix === null) return
    // Some engines tell no zero.
    const told = usage.cachedTokens ?? 0
    seat.reused(matched, told)
    // Both in our own tokens: the guess of the prompt may have been off.
    const cached = told * (tokens / usage.promptTokens)
    if (cached >= matched * (1 - SLACK) - SLACK_TOKENS) return
    const bytes = (ask.promptBytes * told) / usage.promptTokens
    this.view.forget(seat.id, ask.prefix, depthOf(bytes, ask.prefix.length))
    this.view.hold(seat.id, ask.prefix, null)
  }
}

/** Blocks that end within so many bytes, at most `most`. */
function depthOf(bytes: number, most: number): number {
  let low = 0
  let high = most
  while (low < high) {
    const middle = (low + high + 1) >> 1
    if (bytesAt(middle) <= bytes) low = middle
    else high = middle - 1
  }
  return low
}
