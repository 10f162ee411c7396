// Keeps the newest part of a pool's view of prefixes where incarnations end at any time, so that the next one is not cold.
import type { ActorState } from './actor.ts'
import type { PrefixView, SavedView } from './view.ts'

const KEY = 'prefixes'
/** A SQLite value of a Durable Object may be larger; what was used last of all is what matters, and it is read at every start. */
const MOST_BYTES = 96 * 1024
/** A snapshot is written no more often than this, ms. */
const PAUSE = 60_000
/** An older one tells more of the past than of the engines' caches, ms. */
const MAX_AGE = 15 * 60_000

export type KeeperSeams = Pick<ActorState, 'storage' | 'now' | 'after' | 'log' | 'keepsIndex'>

interface Saved extends SavedView {
  readonly savedAt: number
}

export class IndexKeeper {
  readonly #seams: KeeperSeams
  readonly #view: PrefixView
  #savedAt: number
  #savedUses = 0
  #isRead = false

  constructor(seams: KeeperSeams, view: PrefixView) {
    this.#seams = seams
    this.#view = view
    this.#savedAt = seams.now()
  }

  /** From the alarm alone: a write on the way of a decision would hold up all of them. */
  save(): void {
    const { keepsIndex, storage, now, after } = this.#seams
    const { uses } = this.#view
    if (!keepsIndex || now() - this.#savedAt < PAUSE || uses === this.#savedUses) return
    this.#savedAt = now()
    this.#savedUses = uses
    const saved: Saved = { ...this.#view.save(MOST_BYTES), savedAt: now() }
    after(storage.put(KEY, saved))
  }

  /** Once, when the members are known. What is not there, or too old, is left. */
  restore(): void {
    if (!this.#seams.keepsIndex || this.#isRead) return
    this.#isRead = true
    this.#seams.after(this.#read())
  }

  async #read(): Promise<void> {
    const { storage, now, log } = this.#seams
    const saved = (await storage.get(KEY)) as Saved | undefined
    if (saved === undefined || now() - saved.savedAt > MAX_AGE) return
    this.#view.restore(saved)
    this.#savedUses = this.#view.uses
    log({ level: 'info', message: 'prefixes of the last incarnation are known', bytes: this.#view.bytes })
  }
}
