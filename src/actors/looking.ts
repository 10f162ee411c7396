// A look at all workers because somebody names a model that none is known to have: rarely, and not for long.
import type { ActorState } from './actor.ts'

/** Milliseconds between two looks, however many ask for one. */
const PAUSE = 2000
/** Nobody waits for one longer than this, ms. */
const PATIENCE = 1000

export class Looking {
  readonly #state: Pick<ActorState, 'now' | 'timer'>
  #at = -Infinity
  #work: Promise<unknown> | null = null

  constructor(state: Pick<ActorState, 'now' | 'timer'>) {
    this.#state = state
  }

  /** Resolves when `ask` has, whoever began it, or when it takes too long. */
  async look(ask: () => Promise<unknown>): Promise<void> {
    const now = this.#state.now()
    if (now - this.#at >= PAUSE) {
      this.#at = now
      this.#work = ask()
    }
    let cancel = () => {}
    const late = new Promise((resolve) => (cancel = this.#state.timer(PATIENCE, () => resolve(null))))
    await Promise.race([this.#work, late])
    cancel()
  }
}
