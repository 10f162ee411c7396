// What quiet seconds are good for. V8 collects the old generation when it is full, so in the middle of calls; and behind a rest it makes
// the young generation small, so the first thousand calls are collected sixteen times as often. Here the one is done early, and the
// other not at all.
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { isMainThread } from 'node:worker_threads'

/** How often it is looked at, ms. */
const OFTEN = 1000
/** A process that uses less of a core is quiet. */
const LITTLE = 0.03
/** Bytes that come to the old generation before a collection is worth its CPU. V8 waits for some 8 MB. */
const ENOUGH = 4 * 1024 * 1024

/**
 * Collects all garbage of this thread in a second in which it has no call and the process next to nothing to do, where enough has
 * come together. While it is quiet, and for the first second behind it, V8 leaves the young generation as large as it is.
 * @param inFlight how many calls are under way
 */
export function useQuiet(inFlight: () => number): void {
  const load = loadMeter()
  const garbage = new Garbage()
  let seconds = 0
  const look = () => {
    const isQuiet = load() < LITTLE && inFlight() === 0
    seconds = isQuiet ? Math.min(seconds, 0) - 1 : Math.max(seconds, 0) + 1
    if (seconds === -1) keepSizes(true)
    if (seconds === 2) keepSizes(false)
    if (isQuiet) garbage.collect()
  }
  setInterval(look, OFTEN).unref()
}

/** Tells how much of a core the process has used since it was asked before. */
function loadMeter(): () => number {
  let at = performance.now()
  let before = process.cpuUsage()
  return () => {
    const now = performance.now()
    const { user, system } = process.cpuUsage(before)
    const used = (user + system) / 1000 / (now - at)
    before = process.cpuUsage()
    at = now
    return used
  }
}

/**
 * V8's word for it is "predictable": of all that it means at the start, two things are left for a process that runs. Spaces keep their
 * sizes; and marking goes on to its end once begun, which is why it does not stay on under load.
 */
function keepSizes(should: boolean): void {
  // It counts for all threads.
  if (isMainThread) setFlagsFromString(should ? '--predictable' : '--no-predictable')
}

/** What has come to the old generation. */
class Garbage {
  /** Bytes behind the last collection, by whom ever. */
  #least = Number.POSITIVE_INFINITY
  #run: (() => void) | null = null

  collect(): void {
    const size = oldSize()
    this.#least = Math.min(this.#least, size)
    if (size < this.#least + ENOUGH) return
    this.#run ??= collector()
    this.#run()
    this.#least = oldSize()
  }
}

/** Bytes that objects take outside of the young generation. */
function oldSize(): number {
  let bytes = 0
  for (const space of getHeapSpaceStatistics())
    if (space.space_name !== 'new_space') bytes += space.space_used_size
  return bytes
}

/** V8 gives its collector to contexts that are made while the flag is up: 160 KB. */
function collector(): () => void {
  setFlagsFromString('--expose-gc')
  const gc = runInNewContext('gc') as (options: object) => void
  setFlagsFromString('--no-expose-gc')
  return () => gc({ type: 'major', execution: 'sync' })
}
