// The calls that wait for room in a pool, each with the promise of its pick.
import { Queue, type Waiter } from '../admission/queue.ts'
import type { Ask, Pick, RefusalValue } from './ask.ts'
import type { Placement, Turn } from './placement.ts'
import type { Seat } from './seat.ts'

/** A call that waits, and what was tried before it came to wait. */
export interface Waiting extends Waiter {
  readonly turn: Turn
  readonly promise: Promise<Pick>
  readonly resolve: (pick: Pick) => void
}

export type WaitCode = 'queue_full' | 'queue_timeout'

/** Decides who of those that wait goes where, by more than whether there is room. */
export interface Binder {
  readonly isLate: boolean
  keyOf(ask: Ask): number
  /** Whether it is time for another round; if not, it sees to it that one comes. */
  isDue(): boolean
  /** A round: whoever waits is asked for in order, until nobody is open. */
  begin(): void
  readonly hasOpen: boolean
  /** Whether the call that was looked at last goes to that seat. */
  takes(seat: Seat): boolean
  end(): void
}

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
  readonly binder: Binder
}

/** Calls that a round of late binding looks at. */
const ROUND = 512

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
    return this.#add(ask, turn, false)
  }

  /** Joins the line though there is room: whatever its length, and until it is best to go. */
  hold(ask: Ask, turn: Turn): Promise<Pick> {
    const promise = this.#add(ask, turn, true)
    this.serve()
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

  /** Refuses those whose time is up; who waited by choice goes now, if there is room. */
  expire(): void {
    if (this.#queue.size === 0) return
    for (const waiting of this.#queue.expire(this.#seams.now())) {
      // Who waits by choice is not refused while there is room.
      if ((waiting.turn.isHeld || this.#seams.binder.isLate) && !this.#seams.isAtLimit()) this.#send(waiting)
      waiting.resolve({ refusal: this.#seams.refusal('queue_timeout') })
    }
  }

  /** Room came: lets in as many as fit, in their order. */
  serve(): void {
    if (this.#queue.size === 0) return
    this.expire()
    const { binder } = this.#seams
    if (binder.isLate) return binder.isDue() ? this.#bind() : undefined
    const { look } = this.#seams
    while (!this.#seams.isAtLimit()) {
      const waiting = this.#queue.next((one) => look(one.ask, one.turn).kind !== 'full')
      if (!waiting) return
      this.#queue.take(waiting.ask.id)
      this.#send(waiting)
    }
  }

  /** A round of late binding. */
  #bind(): void {
    const { binder, look } = this.#seams
    binder.begin()
    for (const waiting of this.#queue.inOrder().slice(0, ROUND)) {
      if (!binder.hasOpen || this.#seams.isAtLimit()) break
      const placement = look(waiting.ask, waiting.turn)
      if (placement.kind === 'full') continue
      if (placement.kind === 'seat' && !binder.takes(placement.seat)) continue
      this.#queue.take(waiting.ask.id)
      this.#answer(waiting, placement)
    }
    binder.end()
  }

  #add(ask: Ask, turn: Turn, isHeld: boolean): Promise<Pick> {
    const { now, binder } = this.#seams
    let resolve!: (pick: Pick) => void
    const promise = new Promise<Pick>((done) => (resolve = done))
    this.#queue.add({
      ask,
      since: now(),
      key: binder.keyOf(ask),
      resolve,
      turn: { ...turn, isHeld },
      promise,
    })
    return promise
  }

  /** Nothing happens where there is no room after all. */
  #send(waiting: Waiting): void {
    this.#answer(waiting, this.#seams.look(waiting.ask, waiting.turn))
  }

  #answer(waiting: Waiting, placement: Placement): void {
    const { open, now } = this.#seams
    if (placement.kind === 'refused') waiting.resolve({ refusal: placement.refusal })
    if (placement.kind === 'seat') waiting.resolve(open(waiting, placement, now() - waiting.since))
  }
}
