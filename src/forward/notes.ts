// News of running calls for the pool; nobody waits for them.
import type { Renewal } from '../actors/ask.ts'
import type { Note } from '../actors/ask.ts'
import type { Host } from '../host.ts'

/** Live leases are renewed this often; they fall after 150 s. */
const RENEW = 60_000

/** A call from its first attempt to its end, as renewals tell of it. */
export class Life {
  readonly id: string
  /** A guess of its prompt's. */
  readonly tokens: number
  /** Id of the worker that it was sent to; null: it has none until the pool has chosen (anew). */
  worker: string | null = null
  /** Its first token has come. */
  isDecoding = false
  /** Where it stands among those that live, for `Notes` alone; -1: it does not. */
  place = -1

  constructor({ id, tokens }: { readonly id: string; readonly tokens: number }) {
    this.id = id
    this.tokens = tokens
  }
}

export class Notes {
  readonly #host: Host
  /** In no order, and in no Map: that would hash each id, and be made anew for every few calls (see `SharedAlarms`). */
  readonly #live: Life[] = []
  /** Per request: each call has a timer of its own. */
  readonly #timers = new Map<Life, () => void>()
  /** Per request: what this turn has to tell. */
  readonly #pending: Note[] = []
  #isRenewing = false

  constructor(host: Host) {
    this.#host = host
  }

  /** It is told at once: a moment to gather more in would be a timer, and a process that wakes, for nearly each stream. */
  add(note: Note): void {
    if (!this.#host.isPerRequest) return this.#note([note])
    // Each is a call of another isolate; other requests do not run before the next turn.
    if (this.#pending.push(note) === 1) queueMicrotask(() => this.#note(this.#pending.splice(0)))
  }

  /** A call whose leases live until `ended`. */
  began(life: Life): void {
    if (life.place < 0) life.place = this.#live.push(life) - 1
    if (this.#host.isPerRequest) return this.#renewLater(life)
    if (!this.#isRenewing) this.#renewAll()
  }

  /** Harmless when it never began, or has ended. */
  ended(life: Life): void {
    const { place } = life
    if (place < 0) return
    life.place = -1
    const last = this.#live.pop() as Life
    if (last !== life) {
      this.#live[place] = last
      last.place = place
    }
    if (this.#host.isPerRequest) this.#renewNoMore(life)
  }

  #note(notes: readonly Note[]): void {
    this.#goOn(this.#host.pool('main').note(notes))
  }

  #renewLater(life: Life): void {
    const renew = () => {
      this.#renewLater(life)
      this.#tell([life])
    }
    this.#timers.set(life, this.#host.timer(RENEW, renew))
  }

  #renewNoMore(life: Life): void {
    this.#timers.get(life)?.()
    this.#timers.delete(life)
  }

  /** Calls that come one by one would each make a timer, and take it back: it stays, and rings once for nothing. */
  #renewAll(): void {
    this.#isRenewing = true
    this.#host.timer(RENEW, () => {
      this.#isRenewing = false
      if (this.#live.length === 0) return
      this.#renewAll()
      this.#tell(this.#live)
    })
  }

  /** Renews those that a worker has. */
  #tell(lives: readonly Life[]): void {
    const renewals: Renewal[] = []
    for (const { id, worker, tokens, isDecoding } of lives)
      if (worker !== null) renewals.push({ id, worker, tokens, isDecoding })
    if (renewals.length > 0) this.#goOn(this.#host.pool('main').renew(renewals))
  }

  #goOn(work: void | Promise<void>): void {
    if (work) this.#host.after(work)
  }
}
