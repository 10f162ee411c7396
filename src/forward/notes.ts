// News of running calls for the pool, gathered for a moment and sent together; nobody waits for them.
import type { Renewal } from '../actors/ask.ts'
import type { Note } from '../actors/ask.ts'
import type { Host } from '../host.ts'

const GATHER = 10
/** Live leases are renewed this often; they fall after 150 s. */
const RENEW = 60_000

/** What a renewal tells of a call; `worker` is null until it was sent to one. */
interface Live {
  readonly tokens: number
  worker: string | null
  isDecoding: boolean
}

export class Notes {
  readonly #host: Host
  readonly #live = new Map<string, Live>()
  /** Per request: each call has a timer of its own. */
  readonly #timers = new Map<string, () => void>()
  #pending: Note[] = []
  #stopRenewing: (() => void) | null = null

  constructor(host: Host) {
    this.#host = host
  }

  add(note: Note): void {
    const live = note.kind === 'first' ? this.#live.get(note.id) : undefined
    if (live) live.isDecoding = true
    if (this.#pending.push(note) > 1) return
    // Other requests do not run before the next turn.
    if (this.#host.isPerRequest) queueMicrotask(() => this.#flush())
    else this.#host.timer(GATHER, () => this.#flush())
  }

  /** A call whose leases live until `ended`. `tokens`: a guess of its prompt. */
  began(id: string, tokens: number): void {
    this.#live.set(id, { tokens, worker: null, isDecoding: false })
    if (this.#host.isPerRequest) return this.#renewLater(id)
    if (this.#stopRenewing === null) this.#stopRenewing = this.#host.timer(RENEW, () => this.#renew())
  }

  /** It goes to that worker now; null: to none until the pool has chosen anew. */
  sent(id: string, worker: string | null): void {
    const live = this.#live.get(id)
    if (live) live.worker = worker
  }

  ended(id: string): void {
    this.#timers.get(id)?.()
    this.#timers.delete(id)
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
      this.#tell([id])
    }
    this.#timers.set(id, this.#host.timer(RENEW, renew))
  }

  #renew(): void {
    this.#stopRenewing = this.#host.timer(RENEW, () => this.#renew())
    this.#tell(this.#live.keys())
  }

  /** Renews those that a worker has. */
  #tell(ids: Iterable<string>): void {
    const renewals: Renewal[] = []
    for (const id of ids) {
      const live = this.#live.get(id)
      if (live?.worker) renewals.push({ id, ...live, worker: live.worker })
    }
    if (renewals.length > 0) this.#send(() => this.#host.pool('main').renew(renewals))
  }

  #send(call: () => void | Promise<void>): void {
    const work = call()
    if (work) this.#host.after(work)
  }
}
