// The clocks of all calls under way by one timer: hardly any of them ever rings, and a timer each would cost more than its call's routing.
import type { Host } from '../host.ts'

/** Something that wants to be called at a time. `dueAt` may move to a later one while it is set: it is looked at when it was due. */
export interface Alarm {
  /** Epoch ms. */
  readonly dueAt: number
  /** Its time has come. It is set no more; it may set itself again. */
  ring(now: number): void
  /** The router stops now, and waits for nobody any more. It is set no more. */
  end(): void
}

export class Alarms {
  readonly #host: Pick<Host, 'now' | 'timer' | 'isPerRequest'>
  readonly #set = new Set<Alarm>()
  /** Per request: timers end with the request that made them, so that each alarm has its own. */
  readonly #own = new Map<Alarm, () => void>()
  #ringAt = Infinity
  #cancel: (() => void) | null = null

  constructor(host: Pick<Host, 'now' | 'timer' | 'isPerRequest'>) {
    this.#host = host
  }

  now(): number {
    return this.#host.now()
  }

  set(alarm: Alarm, now: number): void {
    if (this.#host.isPerRequest) return this.#setAlone(alarm, now)
    this.#set.add(alarm)
    if (alarm.dueAt < this.#ringAt) this.#arm(alarm.dueAt, now)
  }

  /** Harmless when it is not set. */
  drop(alarm: Alarm): void {
    if (this.#host.isPerRequest) {
      this.#own.get(alarm)?.()
      this.#own.delete(alarm)
      return
    }
    // Nothing keeps the process awake while no call is under way.
    if (this.#set.delete(alarm) && this.#set.size === 0) this.#disarm()
  }

  /** Ends all that are set. */
  end(): void {
    for (const alarm of [...this.#set, ...this.#own.keys()]) {
      this.drop(alarm)
      alarm.end()
    }
  }

  #setAlone(alarm: Alarm, now: number): void {
    this.#own.get(alarm)?.()
    const ring = () => {
      this.#own.delete(alarm)
      alarm.ring(this.#host.now())
    }
    this.#own.set(alarm, this.#host.timer(Math.max(0, alarm.dueAt - now), ring))
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
    for (const alarm of this.#set) {
      // Timers may ring a fraction of a millisecond early.
      if (alarm.dueAt > now + 1) next = Math.min(next, alarm.dueAt)
      else if (this.#set.delete(alarm)) alarm.ring(now)
    }
    if (next < this.#ringAt) this.#arm(next, now)
  }
}
