// Pulls a pool's members from the registry: once for all that wait for it, and again when a newer membership was announced meanwhile.
import type { ActorState } from './actor.ts'
import type { Roster } from './roster.ts'

export class Membership {
  readonly #state: Pick<ActorState, 'now' | 'registry'>
  readonly #roster: Roster
  /** Told after each pull with the ids of those that left. */
  readonly #changed: (left: readonly string[]) => void
  /** Newest membership that the registry announced. */
  #hinted = 0
  #pulling: Promise<void> | null = null

  constructor(
    state: Pick<ActorState, 'now' | 'registry'>,
    roster: Roster,
    changed: (left: readonly string[]) => void,
  ) {
    this.#state = state
    this.#roster = roster
    this.#changed = changed
  }

  /** The registry has a newer membership than that. Resolves when the pool has it, too. */
  hint(version: number): void | Promise<void> {
    this.#hinted = version
    if (version !== this.#roster.version) return this.pull()
  }

  /** Runs when the members are known: a pool that has just begun pulls them first. */
  ready<T>(run: () => T | Promise<T>): T | Promise<T> {
    return this.#roster.version === 0 ? this.pull().then(run) : run()
  }

  pull(): Promise<void> {
    return (this.#pulling ??= Promise.resolve().then(() => this.#pullAll()))
  }

  async #pullAll(): Promise<void> {
    const left: string[] = []
    try {
      do {
        const membership = await this.#state.registry('main').members(this.#roster.version)
        if (membership) left.push(...this.#roster.apply(membership, this.#state.now()))
      } while (this.#roster.version < this.#hinted)
    } finally {
      // In the same turn as the last look, so that no hint falls between.
      this.#pulling = null
    }
    this.#changed(left)
  }
}
