// Time as this process lived it, for limits that are the subject of a test: what it waited for a processor does not count.

/** Milliseconds between two looks at the clocks. */
const BEAT = 2
/** The most that counts of the time between two looks in which hardly anything was computed. */
const STEP = 6

const spent = (): number => {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

let total = 0
let seenAt = performance.now()
let spentThen = spent()

/**
 * Milliseconds that go by with `performance.now()` on a machine that is free. Where the process was kept from running, by
 * others on its processor, a step counts for what was computed in it: something that blocks is seen, something that waits
 * for its turn is not. For what happens in this process alone: another one may be held up while this one is not.
 */
export function lived(): number {
  const now = performance.now()
  const spentNow = spent()
  total += Math.min(now - seenAt, Math.max(STEP, spentNow - spentThen))
  seenAt = now
  spentThen = spentNow
  return total
}

setInterval(lived, BEAT).unref()
