// The clocks of the calls under way.
import type { Host } from '../host.ts'

/** Something that wants to be called at a time. `dueAt` may move to a later one while it is set: it is looked at when it was due. */
export interface Alarm {
  /** Epoch ms. */
  readonly dueAt: number
  /** Where it stands among those that are set, for `Alarms` alone; -1: it is not set. */
  place: number
  /** Its time has come. It is set no more; it may set itself again. */
  ring(now: number): void
  /** The router stops now, and waits for nobody any more. It is set no more. */
  end(): void
}

/** Those that are set. */
export interface Alarms {
  now(): number
  set(alarm: Alarm, now: number): void
  /** Harmless when it is not set. */
  drop(alarm: Alarm): void
  /** Ends all that are set. */
  end(): void
}

/**
 * All of them by one timer: hardly any ever rings, and a timer each would cost more than its call's routing. It stays when no call is
 * under way any more, and rings for nothing once: calls that come one by one would each make one, and take it back (4 % of their CPU).
 */
export class SharedAlarms implements Alarms {
  readonly #host: Pick<Host, 'now' | 'timer'>
  /**
   * In no order. A Set would be made anew for every few calls, and what is left of one points to the next: once the first has
   * become old, the collector keeps all of them and their calls until its great round (12 ms in place of 4 for each small one).
   */
  readonly #set: Alarm[] = []
  #ringAt = Infinity
  #cancel: (() => void) | null = null

  constructor(host: Pick<Host, 'now' | 'timer'>) {
    this.#host = host
  }

  now(): number {
    return this.#host.now()
  }

  set(alarm: Alarm, now: number): void {
    if (alarm.place < 0) alarm.place = this.#set.push(alarm) - 1
    if (alarm.dueAt < this.#ringAt) this.#arm(alarm.dueAt, now)
  }

  drop(alarm: Alarm): void {
    this.#take(alarm)
  }

  end(): void {
    const all = [...this.#set]
    for (const alarm of all) {
      this.drop(alarm)
      alarm.end()
    }
    if (this.#set.length === 0) this.#disarm()
  }

  #arm(at: number, now: number): void {
    this.#disarm()
    this.#ringAt = at
    this.#cancel = this.#host.timer(Math.max(0, at - now), () => this.#ring())
  }

  #disarm(): void {
    this.#cancel?.()
    this.#cancel = null
    this.#ringAt = Infinity
  }

  #ring(): void {
    this.#cancel = null
    this.#ringAt = Infinity
    const now = this.#host.now()
    let next = Infinity
    // Timers may ring a fraction of a millisecond early.
    const due = this.#set.filter((alarm) => alarm.dueAt <= now + 1)
    for (const alarm of due) if (this.#take(alarm)) alarm.ring(now)
    for (const { dueAt } of this.#set) next = Math.min(next, dueAt)
    if (next < this.#ringAt) this.#arm(next, now)
  }

  /** Takes it out; the last one gets its place. False: it was not set. */
  #take(alarm: Alarm): boolean {
    const { place } = alarm
    if (place < 0) return false
    alarm.place = -1
    const last = this.#set.pop()
    if (last === undefined || last === alarm) return true
    this.#set[place] = last
    last.place = place
    return true
  }
}
