// Workers in a store that several routers share: what one adds, changes or removes, the others know soon.
import type { ActorState } from './actor.ts'
import { KEY, restoreWorkers, type StoredWorker } from './stored-workers.ts'

/** The store is looked at this often, ms. */
const LOOK = 1000

/** Is told the workers that are stored whenever others may have changed them. */
export type Changed = (stored: readonly StoredWorker[]) => void

/** Such a store, followed. */
export interface Shared {
  /** Looks again and again. */
  follow(): void
  /** Before a change of our own: the whole list is written at once, and must not lose what others added. */
  catchUp(): Promise<void>
}

/** Follows what other routers write to the store. */
export class SharedWorkers implements Shared {
  readonly #state: ActorState
  readonly #changed: Changed
  readonly #versionOf: (key: string) => Promise<string>
  #version = ''

  /** `versionOf`: another text whenever somebody wrote the value of that key. */
  constructor(state: ActorState, changed: Changed, versionOf: (key: string) => Promise<string>) {
    this.#state = state
    this.#changed = changed
    this.#versionOf = versionOf
  }

  follow(): void {
    this.#state.timer(LOOK, () => this.#state.after(this.catchUp().finally(() => this.follow())))
  }

  async catchUp(): Promise<void> {
    try {
      const version = await this.#versionOf(KEY)
      if (version === this.#version) return
      const stored = await restoreWorkers(this.#state)
      this.#version = version
      this.#changed(stored)
    } catch (error) {
      this.#state.log({
        level: 'warn',
        message: 'the store of workers can not be read',
        error: String(error),
      })
    }
  }
}
