// The calls that wait for room in a pool, each with the promise of its pick.
import { Queue, type Waiter } from '../admission/queue.ts'
import type { Ask, Pick, RefusalValue } from './ask.ts'
import type { Placement, Turn } from './placement.ts'

/** A call that waits, and what was tried before it came to wait. */
export interface Waiting extends Waiter {
  readonly turn: Turn
  readonly promise: Promise<Pick>
  readonly resolve: (pick: Pick) => void
}

export type WaitCode = 'queue_full' | 'queue_timeout'

/** What a line must know of its pool. */
export interface LineSeams {
  now(): number
  /** Most calls that may wait. */
  size(): number
  isAtLimit(): boolean
  /** Where an ask may go now. */
  look(ask: Ask, turn: Turn): Placement
  /** Gives the worker to a call that waited for so long. */
  open(waiting: Waiting, placement: Placement & { kind: 'seat' }, waited: number): Pick
  refusal(code: WaitCode): RefusalValue
}

const LEFT: RefusalValue = {
  status: 499,
  code: 'client_left',
  message: 'The client left while it waited.',
}

export class Line {
  readonly #queue = new Queue<Waiting>()
  readonly #seams: LineSeams

  constructor(seams: LineSeams) {
    this.#seams = seams
  }

  get size(): number {
    return this.#queue.size
  }

  /** The promise of a call that waits already. */
  promiseOf(id: string): Promise<Pick> | undefined {
    return this.#queue.get(id)?.promise
  }

  /** Joins the line, or is refused when it is full or no time is left. */
  wait(ask: Ask, turn: Turn): Pick | Promise<Pick> {
    const now = this.#seams.now()
    this.expire()
    if (this.#queue.size >= this.#seams.size()) return { refusal: this.#seams.refusal('queue_full') }
    if (ask.queueUntil <= now) return { refusal: this.#seams.refusal('queue_timeout') }
    let resolve!: (pick: Pick) => void
    const promise = new Promise<Pick>((done) => (resolve = done))
    this.#queue.add({ ask, since: now, resolve, turn, promise })
    return promise
  }

  /** A client left: harmless when it did not wait. */
  leave(id: string): void {
    this.#queue.take(id)?.resolve({ refusal: LEFT })
  }

  /** Counts what a tenant got. */
  served(ask: Ask): void {
    this.#queue.served(ask)
  }

  /** Refuses those whose time is up. */
  expire(): void {
    if (this.#queue.size === 0) return
    for (const waiting of this.#queue.expire(this.#seams.now()))
      waiting.resolve({ refusal: this.#seams.refusal('queue_timeout') })
  }

  /** Room came: lets in as many as fit, in their order. */
  serve(): void {
    if (this.#queue.size === 0) return
    this.expire()
    const { look, open, now } = this.#seams
    while (!this.#seams.isAtLimit()) {
      const waiting = this.#queue.next((one) => look(one.ask, one.turn).kind !== 'full')
      if (!waiting) return
      this.#queue.take(waiting.ask.id)
      const placement = look(waiting.ask, waiting.turn)
      if (placement.kind === 'refused') waiting.resolve({ refusal: placement.refusal })
      if (placement.kind !== 'seat') continue
      waiting.resolve(open(waiting, placement, now() - waiting.since))
    }
  }
}
