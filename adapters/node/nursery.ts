// Tells V8 how much garbage to let lie. Its young generation is bounded: on machines with much memory it grows to 128 MiB, and with
// it grow the buffers that wait to be collected: twice the resident memory, for no CPU that could be measured (bench/soak.ts
// --growth). With 16 MiB 1,000 open streams take 15 MiB less than with 32, for no CPU that could be measured either.
import { PerformanceObserver } from 'node:perf_hooks'
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8'

/** Both halves together, bytes. */
const LIMIT = 16 * 1024 * 1024
/** V8 does not make it smaller, bytes. */
const SMALLEST = 1024 * 1024
/** All is collected when so much garbage lies beside what is alive, %. */
const GARBAGE = 100
/** How often its size is looked at while it is held, ms. */
const OFTEN = 1000

/**
 * Lets the young generation grow as it likes up to a limit, then no further. Bodies, which lie outside of the heap, count
 * with it as a whole: by themselves each 20 MB of them would start a full collection, which is a quarter of the CPU of
 * calls of 128 KB (bench/README.md). V8 may collect all as soon as 8 MB are added to what is alive, and what bursts
 * of events leave outside of the heap between two small rounds is more: a full collection came for every 660 of them.
 * @param isShared by other threads, in one of which this is: what V8 is told counts for all of them
 */
export function boundNursery(isShared = false): void {
  // Only V8 13 (Node 24) is known to have it, and others would print an error.
  if (process.versions.v8.startsWith('13.')) setFlagsFromString('--external-memory-accounted-in-global-limit')
  setFlagsFromString(`--heap-growing-percent=${GARBAGE}`)
  letGrow(2, isShared)
}

/** `most`: by how much at once. */
function letGrow(most: number, isShared: boolean): void {
  // It grows by collections only.
  const observer = new PerformanceObserver(() => look())
  observer.observe({ entryTypes: ['gc'] })
  const look = () => {
    const size = sizeNow()
    if (size * 2 > LIMIT) {
      observer.disconnect()
      hold(isShared)
    } else if (!isShared) growBy(Math.min(most, Math.floor(LIMIT / Math.max(SMALLEST, size))))
  }
  look()
}

/**
 * Lets it grow no more, until it has become small: behind some quiet seconds V8 makes it so. Were it held then, too, 1 MiB would be
 * all that it has for good, and a collection come every 40 calls of 128 KB in place of every 300. An observer would cost 130 µs for
 * each collection, a look 20.
 */
function hold(isShared: boolean): void {
  growBy(1)
  // One that became small may not let the others grow.
  if (isShared) return
  const timer = setInterval(() => {
    if (sizeNow() * 2 > LIMIT) return
    clearInterval(timer)
    // Few objects of a call live long enough to be counted towards it.
    letGrow(4, isShared)
  }, OFTEN).unref()
}

function growBy(factor: number): void {
  setFlagsFromString(`--semi-space-growth-factor=${factor}`)
}

function sizeNow(): number {
  return getHeapSpaceStatistics().find((space) => space.space_name === 'new_space')?.space_size ?? 0
}
