// Room that comes back by the clock before calls end: a token bucket, as some routers have in place of a plain limit.
import type { ActorState } from './actor.ts'

export class Refill {
  readonly #state: Pick<ActorState, 'now' | 'timer'>
  /** Calls under way whose places were given anew. */
  #regrown = 0
  #at: number
  #isWaking = false

  constructor(state: Pick<ActorState, 'now' | 'timer'>) {
    this.#state = state
    this.#at = state.now()
  }

  /** Calls under way that still take a place. `rate`: places that come back a second; 0: none do. */
  counted(underWay: number, rate: number): number {
    if (rate === 0) return underWay
    const now = this.#state.now()
    this.#regrown = Math.min(underWay, this.#regrown + ((now - this.#at) / 1000) * rate)
    this.#at = now
    return underWay - Math.floor(this.#regrown)
  }

  /** Rings whenever a place comes back, as long as `isWanted`. */
  wake(rate: number, serve: () => void, isWanted: () => boolean): void {
    if (rate === 0 || this.#isWaking) return
    this.#isWaking = true
    this.#state.timer(1000 / rate, () => {
      this.#isWaking = false
      serve()
      if (isWanted()) this.wake(rate, serve, isWanted)
    })
  }
}
