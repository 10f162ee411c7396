// News of running calls for the pool, gathered for a moment and sent together; nobody waits for them.
import type { Note } from '../actors/pool.ts'
import type { Host } from '../host.ts'

const GATHER = 10
/** Live leases are renewed this often; they fall after 150 s. */
const RENEW = 60_000

export class Notes {
  readonly #host: Host
  readonly #live = new Set<string>()
  /** Per request: each call has a timer of its own. */
  readonly #renewals = new Map<string, () => void>()
  #pending: Note[] = []
  #stopRenewing: (() => void) | null = null

  constructor(host: Host) {
    this.#host = host
  }

  add(note: Note): void {
    if (this.#pending.push(note) > 1) return
    // Other requests do not run before the next turn.
    if (this.#host.isPerRequest) queueMicrotask(() => this.#flush())
    else this.#host.timer(GATHER, () => this.#flush())
  }

  /** A lease that lives until `ended`. */
  began(id: string): void {
    if (this.#host.isPerRequest) return this.#renewLater(id)
    this.#live.add(id)
    if (this.#stopRenewing === null) this.#stopRenewing = this.#host.timer(RENEW, () => this.#renew())
  }

  ended(id: string): void {
    this.#renewals.get(id)?.()
    this.#renewals.delete(id)
    this.#live.delete(id)
    if (this.#live.size > 0) return
    this.#stopRenewing?.()
    this.#stopRenewing = null
  }

  #flush(): void {
    const notes = this.#pending
    this.#pending = []
    this.#send(() => this.#host.pool('main').note(notes))
  }

  #renewLater(id: string): void {
    const renew = () => {
      this.#renewLater(id)
      this.#send(() => this.#host.pool('main').renew([id]))
    }
    this.#renewals.set(id, this.#host.timer(RENEW, renew))
  }

  #renew(): void {
    this.#stopRenewing = this.#host.timer(RENEW, () => this.#renew())
    this.#send(() => this.#host.pool('main').renew([...this.#live]))
  }

  #send(call: () => void | Promise<void>): void {
    const work = call()
    if (work) this.#host.after(work)
  }
}
