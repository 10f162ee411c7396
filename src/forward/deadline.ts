// The four clocks of a call after its connection: first token, silence inside the answer, and the whole. One timer serves all.
import { UpstreamFailure, type FailureKind, type Host } from '../host.ts'

export interface DeadlineRules {
  /** All in ms; 0: no limit. */
  readonly firstToken: number
  readonly idle: number
  readonly total: number
}

const SENTENCES: Partial<Record<FailureKind, string>> = {
  first_token_timeout: 'The worker gave no token in time',
  idle_timeout: 'The worker fell silent inside its answer',
  total_timeout: 'The answer took longer than allowed',
}

/** Calls `onLate` once, with the failure, when a limit passes. Its timer is moved only when it rings: a chunk costs one assignment. */
export class Deadline {
  readonly #host: Pick<Host, 'now' | 'timer'>
  readonly #rules: DeadlineRules
  readonly #onLate: (failure: UpstreamFailure) => void
  readonly #totalAt: number
  #phase: 'first_token_timeout' | 'idle_timeout' = 'first_token_timeout'
  #isUnseen = false
  #since: number
  #cancel: (() => void) | null = null

  /** `startedAt`: when the whole call began (for `total`); the first-token clock starts now. */
  constructor(
    host: Pick<Host, 'now' | 'timer'>,
    rules: DeadlineRules,
    startedAt: number,
    onLate: (failure: UpstreamFailure) => void,
  ) {
    this.#host = host
    this.#rules = rules
    this.#onLate = onLate
    this.#since = host.now()
    this.#totalAt = rules.total > 0 ? startedAt + rules.total : Infinity
    this.#arm(this.#since)
  }

  /** Bytes came at that time. */
  touch(now: number): void {
    if (this.#phase === 'idle_timeout') this.#since = now
  }

  /** The first token is here: from now on only silence counts. */
  began(now: number): void {
    if (this.#phase === 'idle_timeout') return
    this.#phase = 'idle_timeout'
    this.#since = now
  }

  /** The rest passes unseen: nobody can tell whether it falls silent. */
  passUnseen(): void {
    this.#isUnseen = true
  }

  stop(): void {
    this.#cancel?.()
    this.#cancel = null
  }

  #due(): { at: number; kind: FailureKind } {
    if (this.#isUnseen) return { at: this.#totalAt, kind: 'total_timeout' }
    const limit = this.#phase === 'first_token_timeout' ? this.#rules.firstToken : this.#rules.idle
    const at = limit > 0 ? this.#since + limit : Infinity
    return this.#totalAt <= at ? { at: this.#totalAt, kind: 'total_timeout' } : { at, kind: this.#phase }
  }

  #arm(now: number): void {
    let { at } = this.#due()
    // The idle clock may begin to count at any moment: never sleep longer than it lasts.
    if (this.#rules.idle > 0) at = Math.min(at, now + this.#rules.idle)
    if (at < Infinity) this.#cancel = this.#host.timer(Math.max(0, at - now), () => this.#ring())
  }

  #ring(): void {
    this.#cancel = null
    const now = this.#host.now()
    const { at, kind } = this.#due()
    // Timers may ring a fraction of a millisecond early.
    if (at <= now + 1) this.#onLate(new UpstreamFailure(kind, `${SENTENCES[kind]}.`))
    else this.#arm(now)
  }
}
