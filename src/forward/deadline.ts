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

/** Calls `late` once, with the failure, when a limit passes. Its alarm is moved only when it rings: a chunk costs one assignment. */
export class Deadline implements Alarm {
  place = -1
  dueAt = Infinity
  readonly #alarms: Alarms
  readonly #rules: DeadlineRules
  readonly #owner: Late
  readonly #totalAt: number
  #phase: 'first_token_timeout' | 'idle_timeout' = 'first_token_timeout'
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
    return this.#isUnseen || this.#totalAt <= this.#limitAt(this.#phase) ? 'total_timeout' : this.#phase
  }

  #limitAt(kind: FailureKind): number {
    if (kind === 'total_timeout') return this.#totalAt
    const { firstTokenTimeout, idleTimeout } = this.#rules
    const limit = kind === 'first_token_timeout' ? firstTokenTimeout : idleTimeout
    return limit > 0 ? this.#since + limit : Infinity
  }

  #arm(now: number): void {
    const at = this.#limitAt(this.#kind())
    // The idle clock may begin to count at any moment: never sleep longer than it lasts.
    const { idleTimeout } = this.#rules
    this.dueAt = idleTimeout > 0 ? Math.min(at, now + idleTimeout) : at
    if (this.dueAt < Infinity) this.#alarms.set(this, now)
  }
}
