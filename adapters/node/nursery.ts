// Bounds V8's young generation. On machines with much memory it grows to 128 MiB, and with it grow the buffers that wait to be
// collected: twice the resident memory, for no CPU that could be measured (bench/soak.ts --growth).
import { PerformanceObserver } from 'node:perf_hooks'
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8'

/** Both halves together, bytes. */
const LIMIT = 32 * 1024 * 1024

/** Lets the young generation grow as it likes up to a limit, then no further. */
export function boundNursery(): void {
  // It grows after a collection only.
  const observer = new PerformanceObserver(() => {
    const size = getHeapSpaceStatistics().find((space) => space.space_name === 'new_space')?.space_size ?? 0
    if (size < LIMIT) return
    setFlagsFromString('--semi-space-growth-factor=1')
    observer.disconnect()
  })
  observer.observe({ entryTypes: ['gc'] })
}
