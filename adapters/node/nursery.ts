// Tells V8 how much garbage to let lie. Its young generation is bounded: on machines with much memory it grows to 128 MiB, and with
// it grow the buffers that wait to be collected: twice the resident memory, for no CPU that could be measured (bench/soak.ts
// --growth). With 16 MiB 1,000 open streams take 15 MiB less than with 32, for no CPU that could be measured either.
import { PerformanceObserver } from 'node:perf_hooks'
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8'

/** Both halves together, bytes. */
const LIMIT = 16 * 1024 * 1024

/**
 * Lets the young generation grow as it likes up to a limit, then no further. Bodies, which lie outside of the heap, count
 * with it as a whole: by themselves each 20 MB of them would start a full collection, which is a quarter of the CPU of
 * calls of 128 KB (bench/README.md).
 */
export function boundNursery(): void {
  // Only V8 13 (Node 24) is known to have it, and others would print an error.
  if (process.versions.v8.startsWith('13.')) setFlagsFromString('--external-memory-accounted-in-global-limit')
  if (stopsGrowing()) return
  // It grows after a collection only.
  const observer = new PerformanceObserver(() => void (stopsGrowing() && observer.disconnect()))
  observer.observe({ entryTypes: ['gc'] })
}

/** Whether it has got to the limit: then it is told not to grow. */
function stopsGrowing(): boolean {
  const size = getHeapSpaceStatistics().find((space) => space.space_name === 'new_space')?.space_size ?? 0
  if (size < LIMIT) return false
  setFlagsFromString('--semi-space-growth-factor=1')
  return true
}
