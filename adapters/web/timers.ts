// Timers that end together: actors arm their alarms for as long as they live.
import type { Host } from '../../src/host.ts'

export interface Timers {
  readonly start: Host['timer']
  /** Stops all timers; what is started later never rings. */
  close(): void
}

/** Timers of one host, none of which rings once they are closed. */
export function createTimers(): Timers {
  const live = new Set<ReturnType<typeof setTimeout>>()
  let isClosed = false
  const start = (ms: number, run: () => void) => {
    if (isClosed) return () => {}
    const ring = () => {
      live.delete(timer)
      run()
    }
    // Longer ones would ring at once.
    const timer = setTimeout(ring, Math.min(ms, 2_147_483_647))
    live.add(timer)
    return () => {
      live.delete(timer)
      clearTimeout(timer)
    }
  }
  const close = () => {
    isClosed = true
    for (const timer of live) clearTimeout(timer)
    live.clear()
  }
  return { start, close }
}
