// Keeps a pool's view exact where engines publish what happens in their KV caches; where they don't, the view stays a good guess.
import type { KvSourceSpec } from '../engines/kv-sources.ts'
import type { LogEvent } from '../host.ts'
import { KvAsks, type Finding } from '../prefix/kv-asks.ts'
import { GPU, type BlocksRemoved, type BlocksStored, type KvBatch } from '../prefix/kv-batch.ts'
import { type Holding, BLOCK_BYTES, KvBlocks } from '../prefix/kv-blocks.ts'
import { Sequence } from '../prefix/kv-sequence.ts'
import { attribute, cut, extend } from '../prefix/kv-texts.ts'
import { TIERS, tierId, tierOf } from '../prefix/kv-tiers.ts'
import type { Clock, Sockets } from '../zmtp/wire.ts'
import type { Outcome } from './ask.ts'
import { KvSource } from './kv-source.ts'
import { KvWorker } from './kv-worker.ts'
import type { Lease } from './ledger.ts'
import type { Seat } from './seat.ts'
import type { PrefixView } from './view.ts'

export type { KvBatch }

/** What it needs of the actor's state. */
export interface KvSeams extends Clock {
  log(event: LogEvent): void
  readonly sockets?: Sockets
}

/** What became of a batch that was pushed by HTTP. */
export type Pushed =
  | { readonly kind: 'taken' | 'seen' | 'restarted' | 'gap'; readonly next: number | null }
  | { readonly kind: 'unknown' }
  | { readonly kind: 'followed' }

/** How events are read. */
export interface KvRules {
  /** Copies outside of GPU memory count, too. */
  readonly hasTiers: boolean
  /** Tokens of a block where events do not tell. */
  readonly blockTokens: number
}

/** Blocks may hold this much more than the capacity that the engine told, before copies are taken to be repetitions. */
const SLACK = 1.05

export class KvEvents {
  readonly #seams: KvSeams
  readonly #view: PrefixView
  readonly #changed: (seat: Seat) => void
  readonly #blocks = new KvBlocks()
  readonly #workers = new Map<string, KvWorker>()
  readonly #asks = new KvAsks((id, isFound) => this.#workers.get(id)?.attributed(isFound))

  readonly #rules: KvRules

  /** `changed`: told of seats whose events can be relied on from now on, or no more. */
  constructor(
    seams: KvSeams,
    view: PrefixView,
    changed: (seat: Seat) => void = () => {},
    rules: KvRules = { hasTiers: false, blockTokens: 16 },
  ) {
    this.#seams = seams
    this.#rules = rules
    this.#view = view
    this.#changed = changed
  }

  /** Blocks that any worker holds. */
  get size(): number {
    return this.#blocks.size
  }

  /** The seats as they are now: follows those that publish, and no one else. */
  meet(seats: readonly Seat[]): void {
    const here = new Set(seats.map(({ id }) => id))
    for (const [id, worker] of this.#workers) if (!here.has(id)) this.#leave(worker)
    for (const seat of seats) {
      const specs = this.#seams.sockets ? (seat.member.kvEvents ?? []) : []
      const known = this.#workers.get(seat.id)
      // A member that was removed and added again is another one.
      if (known && known.seat !== seat) this.#leave(known)
      if (specs.length > 0 || this.#workers.has(seat.id)) this.#follow(this.#worker(seat), specs)
    }
  }

  /** A call went there. */
  opened({ ask, seat }: Lease): void {
    if (this.#workers.size === 0 || !ask?.prefix || ask.promptBytes === 0) return
    if (!this.#workers.has(seat.id)) return
    this.#asks.open({
      id: ask.id,
      workerId: seat.id,
      stamp: ask.kvSession ?? ask.id,
      path: ask.prefix,
      bytes: ask.promptBytes,
      openedAt: this.#seams.now(),
    })
  }

  /** It ended: its length is known now. */
  ended({ ask, seat, tokens: guessed }: Lease, { kind, usage }: Outcome): void {
    const worker = this.#workers.size === 0 ? undefined : this.#workers.get(seat.id)
    if (!worker || !ask) return
    const now = this.#seams.now()
    const isTold = usage !== undefined && !usage.estimated && usage.promptTokens > 0
    const tokens = isTold ? usage.promptTokens : guessed
    // Of a call that broke off nobody knows how far it came.
    const cached = isTold && kind === 'done' ? (usage.cachedTokens ?? 0) : tokens
    const { blockTokens } = worker
    this.#settle(worker, this.#asks.end(ask.id, { now, tokens, cached, blockTokens }))
    this.#asks.sweep(now)
  }

  /** A batch that was pushed by HTTP. `seq`: its number, where the sender counts. */
  push(seat: Seat | undefined, batch: KvBatch, seq: number | null): Pushed {
    if (!seat) return { kind: 'unknown' }
    const worker = this.#worker(seat)
    const rank = worker.rank(batch.rank ?? 0)
    if (rank.source) return { kind: 'followed' }
    worker.isPushed = true
    worker.up()
    if (seq === null) {
      this.#apply(worker, batch.rank ?? 0, batch)
      return { kind: 'taken', next: null }
    }
    const { sequence } = rank
    const step = sequence.judge(seq)
    if (step === 'old') return { kind: 'seen', next: sequence.last + 1 }
    const isGap = step === 'gap' && sequence.hasBegun
    if (step === 'restart') this.#forget(worker, batch.rank ?? 0)
    if (isGap) this.#lose(worker, batch.rank ?? 0, `${seq - sequence.last - 1} pushed batches are missing`)
    sequence.last = seq
    this.#apply(worker, batch.rank ?? 0, batch)
    return { kind: isGap ? 'gap' : step === 'restart' ? 'restarted' : 'taken', next: seq + 1 }
  }

  close(): void {
    for (const worker of this.#workers.values()) this.#leave(worker)
  }

  #worker(seat: Seat): KvWorker {
    let worker = this.#workers.get(seat.id)
    if (!worker)
      this.#workers.set(seat.id, (worker = new KvWorker(seat, this.#seams, () => this.#changed(seat))))
    return worker
  }

  #follow(worker: KvWorker, specs: readonly KvSourceSpec[]): void {
    for (const rank of worker.ranks) {
      const spec = specs.find((one) => one.rank === rank.number)
      if (!rank.source || (spec && isSame(spec, rank.source.spec))) continue
      rank.source.close()
      rank.source = null
      this.#blocks.clear(rank.holding)
    }
    for (const spec of specs) {
      const rank = worker.rank(spec.rank)
      if (rank.source) continue
      rank.sequence = new Sequence()
      rank.source = this.#open(worker, spec)
      // It never rejects, and ends with `close`.
      void rank.source.start()
    }
    worker.show()
  }

  #open(worker: KvWorker, spec: KvSourceSpec): KvSource {
    const { rank } = spec
    const sockets = this.#seams.sockets as Sockets
    return new KvSource(
      spec,
      { sockets, clock: this.#seams },
      {
        batch: (batch) => this.#apply(worker, rank, batch),
        restarted: () => this.#forget(worker, rank),
        lost: (reason) => this.#lose(worker, rank, reason),
        up: () => worker.up(),
        down: (reason) => worker.degrade('disconnected', reason),
        broken: (reason) => worker.degrade('unreadable', reason),
      },
    )
  }

  #apply(worker: KvWorker, number: number, batch: KvBatch): void {
    worker.seen(batch)
    const { holding } = worker.rank(number)
    for (const event of batch.events) {
      if (event.kind === 'cleared') this.#forget(worker, number)
      else if (event.kind === 'stored') this.#store(worker, holding, whole(event, this.#rules.blockTokens))
      else this.#remove(worker, holding, event)
      if (event.kind !== 'cleared' && event.medium !== GPU && this.#rules.hasTiers)
        this.#shelve(worker, number, event)
    }
    worker.show()
  }

  #store(worker: KvWorker, holding: Holding, event: BlocksStored): void {
    const blocks = this.#blocks.store(holding, event)
    if (blocks.length === 0) return
    worker.blockTokens = event.blockTokens
    const capacity = worker.seat.capacityTokens
    if (!holding.isRepeating && capacity > 0 && holding.total * event.blockTokens > capacity * SLACK) {
      this.#blocks.countOnce(holding)
      worker.say('info', 'its KV events tell of blocks again that it has: each is counted once')
    }
    if (this.#blocks.size * BLOCK_BYTES > this.#view.limit) {
      this.#blocks.clear(holding)
      worker.degrade('overflow', 'more blocks than fit in memory (--index-size)')
      return
    }
    const { seat } = worker
    this.#settle(worker, this.#asks.stored(seat.id, event.session, blocks, this.#seams.now()))
    for (const caches of [worker, ...worker.tiers]) extend(this.#view, caches, blocks)
  }

  /** A copy in another medium came, or went. */
  #shelve(worker: KvWorker, number: number, event: BlocksStored | BlocksRemoved): void {
    if (event.kind === 'stored' && !event.isFull) return
    const shelf = worker.shelf(number, tierOf(event.medium))
    for (const tier of TIERS) this.#view.join(tierId(worker.seat.id, tier), Infinity, true)
    if (event.kind === 'stored') {
      const blocks = this.#blocks.shelve(shelf, event.hashes)
      for (const caches of worker.tiers) extend(this.#view, caches, blocks)
      return
    }
    const gone = this.#blocks.unshelve(shelf, event.hashes)
    for (const caches of worker.tiers) cut(this.#view, caches, gone, this.#blocks.anchors)
  }

  #remove(worker: KvWorker, holding: Holding, event: BlocksRemoved): void {
    const gone = this.#blocks.remove(holding, event)
    for (const caches of [worker, ...worker.tiers]) cut(this.#view, caches, gone, this.#blocks.anchors)
  }

  #settle(worker: KvWorker, findings: readonly Finding[]): void {
    const { anchors } = this.#blocks
    for (const caches of findings.length > 0 ? [worker, ...worker.tiers] : [])
      for (const { text, last } of findings) attribute(this.#view, caches, text, { last, anchors })
  }

  /** Its cache is empty now. */
  #forget(worker: KvWorker, number: number): void {
    this.#clear(worker, number)
    this.#asks.forget(worker.seat.id)
    this.#view.clear(worker.seat.id)
    for (const { workerId } of worker.tiers) this.#view.clear(workerId)
    worker.show()
  }

  /** Nobody knows any more what it holds: the guess goes on alone. */
  #lose(worker: KvWorker, number: number, reason: string): void {
    this.#clear(worker, number)
    this.#asks.forget(worker.seat.id)
    worker.gaps++
    worker.degrade('gap', reason)
  }

  /** All copies that a rank has, wherever. */
  #clear(worker: KvWorker, number: number): void {
    const { holding, shelves } = worker.rank(number)
    for (const one of [holding, ...shelves.values()]) this.#blocks.clear(one)
  }

  #leave(worker: KvWorker): void {
    this.#workers.delete(worker.seat.id)
    for (const { number } of worker.ranks) this.#clear(worker, number)
    for (const { workerId } of worker.tiers) this.#view.leave(workerId)
    this.#asks.leave(worker.seat.id)
    worker.close()
  }
}

/** An event as it would be if it told how long its blocks are. */
const whole = (event: BlocksStored, blockTokens: number): BlocksStored =>
  event.blockTokens > 0
    ? event
    : { ...event, blockTokens, tokens: event.tokens || event.hashes.length * blockTokens }

const isSame = (a: KvSourceSpec, b: KvSourceSpec): boolean => JSON.stringify(a) === JSON.stringify(b)
