// News of running calls for the pool, gathered for a moment and sent together; nobody waits for them.
import type { Note } from '../actors/pool.ts'
import type { Host } from '../host.ts'

const GATHER = 10
/** Live leases are renewed this often; they fall after 150 s. */
const RENEW = 60_000

export class Notes {
  readonly #host: Host
  readonly #live = new Set<string>()
  #pending: Note[] = []
  #stopRenewing: (() => void) | null = null

  constructor(host: Host) {
    this.#host = host
  }

  add(note: Note): void {
    if (this.#pending.push(note) > 1) return
    this.#host.timer(GATHER, () => {
      const notes = this.#pending
      this.#pending = []
      this.#send(() => this.#host.pool('main').note(notes))
    })
  }

  /** A lease that lives until `ended`. */
  began(id: string): void {
    this.#live.add(id)
    if (this.#stopRenewing === null) this.#stopRenewing = this.#host.timer(RENEW, () => this.#renew())
  }

  ended(id: string): void {
    this.#live.delete(id)
    if (this.#live.size > 0) return
    this.#stopRenewing?.()
    this.#stopRenewing = null
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
