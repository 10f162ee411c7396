// Time that only the simulation moves, and the timers that ring in it.

interface Timer {
  readonly at: number
  readonly run: () => void
}

export class SimulatedClock {
  /** Milliseconds. */
  now = 0
  /** In the order of their times. There are few: an alarm, the renewal of leases, an exchange between routers. */
  readonly #timers: Timer[] = []

  /** When the next timer rings, ms; Infinity: there is none. */
  get next(): number {
    return this.#timers[0]?.at ?? Infinity
  }

  /** Runs `run` once, `ms` from now; the function returned takes it back. */
  timer(ms: number, run: () => void): () => void {
    const timer = { at: this.now + Math.max(0, ms), run }
    let place = this.#timers.length
    while (place > 0 && (this.#timers[place - 1] as Timer).at > timer.at) place--
    this.#timers.splice(place, 0, timer)
    return () => {
      const at = this.#timers.indexOf(timer)
      if (at >= 0) this.#timers.splice(at, 1)
    }
  }

  /** Goes to the next timer and rings it. */
  ring(): void {
    const timer = this.#timers.shift()
    if (!timer) return
    this.now = timer.at
    timer.run()
  }
}
