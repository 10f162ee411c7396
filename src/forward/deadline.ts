// The four clocks of a call after its connection: first token, silence inside the answer, and the whole. One alarm serves all.
import type { Config } from '../config/schema.ts'
import { UpstreamFailure, type FailureKind } from '../host.ts'
import type { Alarm, Alarms } from './alarms.ts'

/** All in ms; 0: no limit. */
export type DeadlineRules = Pick<Config, 'firstTokenTimeout' | 'idleTimeout' | 'totalTimeout'>

const SENTENCES: Partial<Record<FailureKind, string>> = {
  first_token_timeout: 'The worker gave no token in time',
  idle_timeout: 'The worker fell silent inside its answer',
  total_timeout: 'The answer took longer than allowed',
}

/** Whoever is told that a limit has passed. */
export interface Late {
  late(failure: UpstreamFailure): void
}

/** Who hears an answer's bytes come. */
export interface Listener {
  /** When the last ones came, ms. */
  readonly lastAt: number
}

/** Calls `late` once, with the failure, when a limit passes. Its alarm is moved only when it rings: bytes that come do not touch it. */
export class Deadline implements Alarm {
  place = -1
  dueAt = Infinity
  readonly #alarms: Alarms
  readonly #rules: DeadlineRules
  readonly #owner: Late
  readonly #totalAt: number
  /** From the first token on. */
  #listener: Listener | null = null
  #isUnseen = false
  #since = 0

  /** `startedAt`: when the whole call began (for `totalTimeout`). */
  constructor(alarms: Alarms, rules: DeadlineRules, startedAt: number, owner: Late) {
    this.#alarms = alarms
    this.#rules = rules
    this.#owner = owner
    this.#totalAt = rules.totalTimeout > 0 ? startedAt + rules.totalTimeout : Infinity
  }

  /** The first-token clock starts. */
  start(now: number): void {
    this.#since = now
    this.#arm(now)
  }

  /** The first token is here: from now on only silence counts, which is asked for when the alarm rings. */
  began(now: number, listener: Listener): void {
    if (this.#listener !== null) return
    this.#listener = listener
    this.#since = now
  }

  /** The rest passes unseen: nobody can tell whether it falls silent. */
  passUnseen(): void {
    this.#isUnseen = true
  }

  stop(): void {
    this.#alarms.drop(this)
  }

  /** Its limit may have passed, or was moved meanwhile. */
  ring(now: number): void {
    const kind = this.#kind()
    // Timers may ring a fraction of a millisecond early.
    if (this.#limitAt(kind) <= now + 1) this.#owner.late(new UpstreamFailure(kind, `${SENTENCES[kind]}.`))
    else this.#arm(now)
  }

  /** The router's own time is up, which is the call's. */
  end(): void {
    this.#owner.late(new UpstreamFailure('total_timeout', 'The router is being stopped.'))
  }

  /** The limit that passes next. */
  #kind(): FailureKind {
    const phase = this.#listener === null ? 'first_token_timeout' : 'idle_timeout'
    return this.#isUnseen || this.#totalAt <= this.#limitAt(phase) ? 'total_timeout' : phase
  }

  #limitAt(kind: FailureKind): number {
    if (kind === 'total_timeout') return this.#totalAt
    const { firstTokenTimeout, idleTimeout } = this.#rules
    const limit = kind === 'first_token_timeout' ? firstTokenTimeout : idleTimeout
    const since = this.#listener === null ? this.#since : Math.max(this.#since, this.#listener.lastAt)
    return limit > 0 ? since + limit : Infinity
  }

  #arm(now: number): void {
    const at = this.#limitAt(this.#kind())
    // The idle clock may begin to count at any moment: never sleep longer than it lasts.
    const { idleTimeout } = this.#rules
    this.dueAt = idleTimeout > 0 ? Math.min(at, now + idleTimeout) : at
    if (this.dueAt < Infinity) this.#alarms.set(this, now)
  }
}
