// A clock that only tests move: timers ring when time passes them, in order.

export interface Clock {
  now(): number
  timer(ms: number, run: () => void): () => void
  /** Moves time, ringing what is due on the way; lets promises settle in between. */
  advance(ms: number): Promise<void>
  readonly pending: number
}

/** Lets everything that is ready run, without letting time pass. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve))
}

export function createClock(start = 1_000_000): Clock {
  let time = start
  let next = 0
  const timers = new Map<number, { at: number; run: () => void }>()
  return {
    now: () => time,
    timer(ms, run) {
      const id = next++
      timers.set(id, { at: time + ms, run })
      return () => timers.delete(id)
    },
    async advance(ms) {
      const until = time + ms
      for (;;) {
        const due = [...timers].filter(([, { at }]) => at <= until).sort((a, b) => a[1].at - b[1].at)[0]
        if (!due) break
        timers.delete(due[0])
        time = Math.max(time, due[1].at)
        due[1].run()
        await settle()
      }
      time = until
      await settle()
    },
    get pending() {
      return timers.size
    },
  }
}
