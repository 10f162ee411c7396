// The clocks of calls where timers end with the request that made them: each has its own.
import type { Host } from '../host.ts'
import type { Alarm, Alarms } from './alarms.ts'

export class OwnAlarms implements Alarms {
  readonly #host: Pick<Host, 'now' | 'timer'>
  /** By alarm: takes its timer back. */
  readonly #set = new Map<Alarm, () => void>()

  constructor(host: Pick<Host, 'now' | 'timer'>) {
    this.#host = host
  }

  now(): number {
    return this.#host.now()
  }

  set(alarm: Alarm, now: number): void {
    this.#set.get(alarm)?.()
    const ring = () => {
      this.#set.delete(alarm)
      alarm.ring(this.#host.now())
    }
    this.#set.set(alarm, this.#host.timer(Math.max(0, alarm.dueAt - now), ring))
  }

  drop(alarm: Alarm): void {
    this.#set.get(alarm)?.()
    this.#set.delete(alarm)
  }

  end(): void {
    const all = [...this.#set.keys()]
    for (const alarm of all) {
      this.drop(alarm)
      alarm.end()
    }
  }
}
